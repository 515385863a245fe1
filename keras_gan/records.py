"""The contract between preprocessing and training: what a record and a data folder hold.

A data folder holds TFRecord shards of `tf.train.Example`, statistics, the schema they were checked
against, lists of what was left out and, written last, `dataset_info.json`. A folder without that
last file is not finished, or was found wanting, and is refused.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import google_crc32c
import numpy as np

from keras_gan.interfaces import UserError

INFO_FILE = "dataset_info.json"
UNBLESSED_FILE = "unblessed.json"
STATISTICS_FILE = "statistics.npz"
SCHEMA_FILE = "schema.pbtxt"
FORMAT_VERSION = 3


@dataclasses.dataclass(frozen=True)
class Shard:
    """One TFRecord file: its name in the folder, split, number of records and content."""

    name: str
    split: str
    count: int
    size: int  # bytes
    sha256: str


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What a data folder holds, and where it came from.

    Args:
        dataset: the source's name.
        image_shape: (height, width, channels) of every image.
        classes: class names in label order; empty when the source has no labels.
        counts: images in each split.
        shards: every TFRecord file.
        source: what the images were read from and how: version, files, checksums.
        parameters: the flags that decide the content.
        versions: of the packages that wrote it.
        quality: what was read, left out, found wrong and accepted, and the schema's hash.
        format_version: of this contract.
    """

    dataset: str
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    counts: dict[str, int]
    shards: tuple[Shard, ...]
    source: dict[str, Any]
    parameters: dict[str, Any]
    versions: dict[str, str]
    quality: dict[str, Any] = dataclasses.field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    @property
    def data_hash(self) -> str:
        """Hash of the content of all shards, independent of when and where it was written."""
        lines = sorted(f"{shard.name} {shard.sha256}" for shard in self.shards)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def compression(self) -> str:
        """What TensorFlow calls the shards' compression."""
        return "GZIP" if any(shard.name.endswith(".gz") for shard in self.shards) else ""

    def to_json(self) -> str:
        """Write it as `dataset_info.json` has it."""
        data = dataclasses.asdict(self) | {"data_hash": self.data_hash}
        return json.dumps(data, indent=2, sort_keys=True) + "\n"

    @staticmethod
    def read(folder: str | os.PathLike[str]) -> "DatasetInfo":
        """Read a finished data folder's description.

        Raises:
            UserError: if the folder is missing, unfinished, unblessed or of another format.
        """
        path = pathlib.Path(folder) / INFO_FILE
        if path.with_name(UNBLESSED_FILE).is_file():
            raise UserError(
                f"Expected data without anomalies; received {folder}, which has some. Try python "
                "-m pipelines.preprocess with the same images: it lists them, and how to accept "
                "them."
            )
        if not path.is_file():
            raise UserError(
                f"Expected a finished data folder, with {INFO_FILE} in it; received {folder}. "
                "Try python -m pipelines.preprocess."
            )
        return DatasetInfo.from_json(path.read_bytes(), str(path))

    @staticmethod
    def from_json(text: bytes, path: str) -> "DatasetInfo":
        """Read what `to_json` wrote; `path` says where it is from.

        Raises:
            UserError: if it is of another format, or none.
        """
        try:
            data = json.loads(text)
            if data.get("format_version") != FORMAT_VERSION:
                raise UserError(
                    f"Expected data of format {FORMAT_VERSION}; received {path} of format "
                    f"{data.get('format_version')}. Try preprocessing it again."
                )
            data.pop("data_hash")
            data["image_shape"] = tuple(data["image_shape"])
            data["classes"] = tuple(data["classes"])
            data["shards"] = tuple(Shard(**shard) for shard in data["shards"])
            return DatasetInfo(**data)
        except UserError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"Expected {path} to describe a data set; received {error!r}."
            ) from error

    def verify(self, folder: str | os.PathLike[str]) -> None:
        """Check every shard and the statistics against their SHA-256.

        Raises:
            UserError: naming the first file that is missing or changed.
        """
        advice = f"Try deleting {folder} and preprocessing the data again."
        for name, digest in self.quality.get("statistics_sha256", {}).items():
            path = pathlib.Path(folder) / name
            if not path.is_file() or file_sha256(path) != digest:
                raise UserError(f"Expected {path} as {INFO_FILE} describes it. {advice}")
        for shard in self.shards:
            path = pathlib.Path(folder) / shard.name
            if not path.is_file():
                raise UserError(f"Expected shard {path}; received nothing. {advice}")
            if path.stat().st_size != shard.size or file_sha256(path) != shard.sha256:
                raise UserError(
                    f"Expected shard {path} as {INFO_FILE} describes it ({shard.size} bytes, "
                    f"sha256 {shard.sha256[:12]}...); received other content. {advice}"
                )


def find(root: str | os.PathLike[str], data_hash: str | None) -> pathlib.Path:
    """Find the finished data folder below `root` with this content.

    Raises:
        UserError: if there is none.
    """
    if data_hash is None:
        raise UserError(
            "Expected --examples, as the model does not say which data it was trained on; received "
            "none. Try --examples=FOLDER."
        )
    for path in sorted(pathlib.Path(root).glob(f"*/{INFO_FILE}")):
        with contextlib.suppress(UserError):  # another folder's trouble
            if DatasetInfo.read(path.parent).data_hash == data_hash:
                return path.parent
    raise UserError(
        f"Expected the data that the model was trained on below {root}; received no folder with "
        f"data_hash={data_hash}. Try --examples=FOLDER."
    )


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Hash a file's content."""
    with pathlib.Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def split_statistics(split: str) -> str:
    """Name a split's statistics in a data folder, as TFX does."""
    return f"statistics/Split-{split}/FeatureStats.pb"


def read_statistics(folder: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the training split's statistics: `pixel_mean`, [H, W, C] in [0, 1], and more."""
    with np.load(pathlib.Path(folder) / STATISTICS_FILE, allow_pickle=False) as file:
        return dict(file)


def all_labelled(folder: str | os.PathLike[str]) -> bool:
    """Say whether every training image has a class."""
    info = DatasetInfo.read(folder)
    labelled = int(read_statistics(folder)["label_counts"].sum()) if info.classes else 0
    return bool(info.classes) and labelled == info.counts["train"]


def encode(image: np.ndarray, label: int | None) -> bytes:
    """Serialise one example, as `tf.train.Example` does, without TensorFlow.

    Args:
        image: uint8 [H, W, C].
        label: class number, or None when the source has no labels.

    Returns:
        A `tf.train.Example` with `image` (raw bytes, row by row) and, if given, `label`.
    """
    before, after = _around(image.size, label)
    return b"".join((before, image.tobytes(), after))


@functools.cache
def _around(size: int, label: int | None) -> tuple[bytes, bytes]:
    """Return the bytes of an Example before and after its `size` bytes of pixels."""

    def field(content: bytes, more: int = 0) -> bytes:
        """Write field 1, whose content is `content` and `more` bytes after it."""
        return b"\x0a" + _varint(len(content) + more) + content

    # Example{1: Features{1: entry{1: key, 2: Feature{1: BytesList{1: value}}}}}
    value = field(b"", size)
    entry = _entry(b"image", b"\x0a", len(value) + size) + value
    image = b"\x0a" + _varint(len(entry) + size) + entry
    after = b""
    if label is not None:
        # Feature{3: Int64List{1: packed numbers}}
        numbers = field(_varint(label % 2**64))
        after = field(_entry(b"label", b"\x1a", len(numbers)) + numbers)
    return b"\x0a" + _varint(len(image) + size + len(after)) + image, after


def _entry(key: bytes, kind: bytes, length: int) -> bytes:
    """Start an entry of the map of features: its key and the headers of its list's content."""
    values = kind + _varint(length)
    feature = b"\x12" + _varint(len(values) + length) + values
    return b"\x0a" + _varint(len(key)) + key + feature


def _varint(number: int) -> bytes:
    """Write a whole number as protocol buffers do: seven bits a byte, the lowest first."""
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


def frame(record: bytes) -> bytes:
    """Put a record into TFRecord framing: length, its masked CRC-32C, data, its masked CRC-32C."""
    length = len(record).to_bytes(8, "little")
    return b"".join((length, _masked_crc(length), record, _masked_crc(record)))


def unframe(content: bytes) -> Iterator[bytes]:
    """Read the records of a TFRecord file's content.

    Raises:
        ValueError: at the first record that is cut short or has changed.
    """
    position = 0
    while position < len(content):
        start = position + 12  # after the length and its checksum
        length = content[position : position + 8]
        stop = start + int.from_bytes(length, "little")
        sums = content[start - 4 : start], content[stop : stop + 4]
        if sums != (_masked_crc(length), _masked_crc(content[start:stop])):
            raise ValueError(f"a record at byte {position:,} that is cut short or has changed")
        yield content[start:stop]
        position = stop + 4


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return masked.to_bytes(4, "little")


def parse(serialized: Any, info: DatasetInfo, *, labels: bool) -> Any:
    """Read a batch of serialised examples inside tf.data.

    Args:
        serialized: string tensor [B].
        info: the folder they come from.
        labels: whether to return labels as well.

    Returns:
        uint8 images [B, H, W, C], or the pair (images, int64 labels [B]), -1 where there is none.
    """
    import tensorflow as tf

    features = {"image": tf.io.FixedLenFeature([], tf.string)}
    if labels:
        features["label"] = tf.io.FixedLenFeature([], tf.int64, default_value=-1)
    parsed = tf.io.parse_example(serialized, features)
    shape = info.image_shape
    flat = tf.io.decode_raw(parsed["image"], tf.uint8, fixed_length=int(np.prod(shape)))
    images = tf.reshape(flat, (-1, *shape))  # [B, H, W, C]
    return (images, parsed["label"]) if labels else images
