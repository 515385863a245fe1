"""Any image data set of TensorFlow Datasets: prepared, downloaded, or from its original files."""

import contextlib
import dataclasses
import functools
import gzip
import hashlib
import importlib.metadata
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_gan import images
from keras_gan.interfaces import UserError
from pipelines.options import SPLITS, Options, split_expressions
from pipelines.sources import tfds_builder
from pipelines.sources.source import Block, Chunk

CHUNK = 256


@dataclasses.dataclass(frozen=True)
class TfdsSource:
    """Images of a prepared TensorFlow Datasets data set.

    Args:
        name: full name, with configuration and version.
        image_shape: (H, W, C) that every image is brought to.
        stored_shape: (H, W, C) that images are stored in, None where it varies.
        fit: how an image becomes square.
        keys: the features of the image, its class (or None) and its number in a text (or None).
        classes: class names in label order.
        splits: images of each of our splits.
        theirs: what TFDS calls each of them.
        fingerprint: hash of TFDS's version and of when the data were written.
        files: (file, records to skip, records to take) of each.
    """

    name: str
    image_shape: tuple[int, int, int]
    stored_shape: tuple[int | None, ...]
    fit: str
    keys: tuple[str, str | None, str | None]
    classes: tuple[str, ...]
    splits: dict[str, int]
    theirs: dict[str, str]
    fingerprint: str
    files: dict[str, tuple[tuple[str, int, int], ...]] = dataclasses.field(repr=False)
    names: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Say what is read."""
        return {"kind": "tensorflow_datasets", "name": self.name, "splits": self.theirs}

    def read(self, block: Block) -> Iterator[Chunk]:
        """Read a block's records in the order that TFDS stored them in."""
        start = block.start
        theirs = self.theirs[block.split]
        for encoded, labels, ids in self._records(block):
            pictures, rejected = self._decode(encoded)
            good = np.array([reason is None for reason in rejected], bool)
            names = [f"{theirs}[{start + index}]" for index in range(len(encoded))]
            positions = original_positions(self.name, theirs, pictures, ids, start)
            yield Chunk(
                pictures[good],
                None if labels is None else labels[good],
                positions[good],
                [name for name, reason in zip(names, rejected, strict=True) if reason is None],
                [(name, reason) for name, reason in zip(names, rejected, strict=True) if reason],
            )
            start += len(encoded)

    def _records(self, block: Block) -> Iterator[tuple[Any, np.ndarray | None, Any]]:
        """Read (encoded images, labels, ids), a batch at a time: several times faster than TFDS."""
        import tensorflow as tf

        image_key, label_key, id_key = self.keys
        kinds = {image_key: tf.string, label_key: tf.int64, id_key: tf.string}
        features = {key: tf.io.FixedLenFeature([], kind) for key, kind in kinds.items() if key}
        serialized = None
        before = 0
        for path, skip, take in self.files[block.split]:
            first, last = max(block.start - before, 0), min(block.stop - before, take)
            if first < last:
                part = tf.data.TFRecordDataset(path).skip(skip + first).take(last - first)
                serialized = part if serialized is None else serialized.concatenate(part)
            before += take
        if serialized is None:
            return
        batches = serialized.batch(CHUNK).map(lambda batch: tf.io.parse_example(batch, features))
        for batch in batches:
            labels = batch[label_key].numpy() if label_key else None
            yield batch[image_key], labels, list(batch[id_key].numpy()) if id_key else None

    def _decode(self, encoded: Any) -> tuple[np.ndarray, list[str | None]]:
        """Decode images: (uint8 [n, H, W, C], why each could not be used)."""
        import tensorflow as tf

        if self.stored_shape == self.image_shape:
            with contextlib.suppress(tf.errors.InvalidArgumentError):
                count, full = len(encoded), encoded
                if count < CHUNK:  # the last ones are filled up with copies of the first
                    full = tf.concat([encoded, tf.repeat(encoded[:1], CHUNK - count)], axis=0)
                return _decoder(self.image_shape)(full).numpy()[:count], [None] * count
        pictures = np.zeros((len(encoded), *self.image_shape), np.uint8)
        reasons: list[str | None] = []
        for index, content in enumerate(encoded.numpy()):
            try:
                picture = images.decode(content)
                pictures[index] = images.to_shape(picture, self.image_shape, self.fit)
                reasons.append(None)
            except images.BadImage as reason:
                reasons.append(str(reason))
        return pictures, reasons


@functools.cache
def _decoder(shape: tuple[int, int, int]) -> Any:
    """Make the function that decodes `CHUNK` images of one shape."""
    import tensorflow as tf

    def decode(content: tf.Tensor) -> tf.Tensor:
        # It reads JPEG and GIF, too, and is quicker than the op that says so in its name.
        return tf.ensure_shape(tf.io.decode_png(content, shape[-1]), shape)

    # Unrolled: a loop takes as long again for small images as decoding them.
    @tf.function(input_signature=[tf.TensorSpec([CHUNK], tf.string)])
    def decode_all(contents: tf.Tensor) -> tf.Tensor:
        return tf.stack([decode(content) for content in tf.unstack(contents)])

    return decode_all


def open_source(options: Options) -> TfdsSource:
    """Find a TensorFlow Datasets data set; prepare it from its original files if need be.

    Raises:
        UserError: if there is no such data set, its files are not to be had, or it has no images.
    """
    import tensorflow_datasets as tfds

    dataset = options.dataset
    for name in ("data_dir", "manual_dir"):
        folder = getattr(options, name)
        if folder is not None and not pathlib.Path(folder).is_dir():
            raise UserError(
                f"Expected --{name} to be a folder; received {folder}, which is not one."
            )
    builder = tfds_builder.find(dataset, options.data_dir)
    if not builder.is_prepared():
        builder = tfds_builder.prepare(builder, options)
    features = builder.info.features
    if not isinstance(features, tfds.features.FeaturesDict):
        raise UserError(f"Expected a data set of images; received {dataset}, which has none.")
    image_keys = [k for k, f in features.items() if isinstance(f, tfds.features.Image)]
    if not image_keys:
        raise UserError(
            f"Expected a data set of images; received {dataset}, with {', '.join(features)}."
        )
    image_key = "image" if "image" in image_keys else image_keys[0]
    label_keys = [k for k, f in features.items() if isinstance(f, tfds.features.ClassLabel)]
    label_key = "label" if "label" in label_keys else next(iter(label_keys), None)
    shape, dtype = tuple(features[image_key].shape), features[image_key].np_dtype
    if dtype != np.uint8:
        raise UserError(f"Expected images of 8 bits; received {dataset} with {dtype} {shape}.")
    size = options.size
    if size == 0 and None in shape[:2]:
        raise UserError(
            f"Expected images of one size; received {dataset}, whose sizes vary. "
            "Try --size=64 (python -m pipelines.preprocess) or --set image_size=64 (training)."
        )
    if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
        raise UserError(
            f"Expected a data set stored as TFRecord; received {dataset} as "
            f"{builder.info.file_format.value}. Try preparing it again as TFRecord."
        )
    theirs = _theirs(builder, options)
    chosen = {ours: builder.info.splits[name] for ours, name in theirs.items()}
    channels = options.channels or (1 if shape[-1] == 1 else 3)
    return TfdsSource(
        name=builder.info.full_name,
        image_shape=(size or shape[0], size or shape[1], channels),
        stored_shape=shape,
        fit=options.fit,
        keys=(
            image_key,
            label_key,
            "id" if isinstance(dict(features).get("id"), tfds.features.Text) else None,
        ),
        classes=tuple(features[label_key].names or ()) if label_key else (),
        splits={ours: split.num_examples for ours, split in chosen.items()},
        theirs=theirs,
        fingerprint=fingerprint(options),
        files={
            ours: tuple((str(f.filename), f.skip, f.take) for f in split.file_instructions)
            for ours, split in chosen.items()
        },
    )


def fingerprint(options: Options) -> str:
    """Hash TFDS's version and when the prepared and original files were written."""
    stamps: list[Any] = [importlib.metadata.version("tensorflow-datasets")]
    default = os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    prepared = pathlib.Path(options.data_dir or default).expanduser()
    name = re.split("[/:]", options.dataset)[0]
    originals = pathlib.Path(options.manual_dir) if options.manual_dir else None
    for folder, pattern in ((prepared / name, "**/dataset_info.json"), (originals, "*")):
        if folder is not None and folder.is_dir():
            for path in sorted(folder.glob(pattern)):
                status = path.stat()
                relative = str(path.relative_to(folder))
                stamps.append((relative, status.st_size, status.st_mtime_ns))
    return hashlib.sha256(repr(stamps).encode()).hexdigest()


def _theirs(builder: Any, options: Options) -> dict[str, str]:
    """Say which of the data set's splits are used as which: {ours: theirs}."""
    available = builder.info.splits
    chosen = split_expressions(options.splits)
    for theirs in chosen.values():
        try:
            _ = available[theirs].num_examples
        except (KeyError, ValueError, AssertionError) as error:
            raise UserError(
                f"Expected --splits to name splits of {options.dataset} "
                f"({', '.join(available)}), as in train=train+test or test=test[:50%]; received "
                f"{theirs!r}."
            ) from error
    used = chosen or {split: split for split in SPLITS if split in available}
    if "train" not in used or not available[used["train"]].num_examples:
        raise UserError(
            f"Expected a training split; received {options.dataset} with {', '.join(available)}. "
            f"Try --splits=train={next(iter(available), 'NAME')}."
        )
    return used


def original_positions(
    name: str, split: str, pictures: np.ndarray, ids: list[bytes] | None, start: int
) -> np.ndarray:
    """Find where images stood in the original distribution: TFDS stores them shuffled.

    By the number that ends TFDS's "id" (CIFAR-10: b"train_00042"), by content for MNIST, whose
    original files are here; otherwise TFDS's order is all there is.

    Args:
        name: the data set's full name.
        split: what TFDS calls the split; only of whole ones are the numbers their own.
        pictures: uint8 [n, H, W, C].
        ids: TFDS's id of each, or None.
        start: position of the first in TFDS's order.

    Returns:
        int64 [n].
    """
    numbers = [re.search(rb"_(\d+)$", text) for text in ids or []]
    if split in SPLITS and numbers and all(numbers):
        return np.asarray([int(match[1]) for match in numbers if match], np.int64)
    if name.startswith("mnist/") and split == "train" and pictures.shape[1:] == (28, 28, 1):
        table = _mnist_positions()
        found = [table.get(hashlib.sha256(picture.tobytes()).digest()) for picture in pictures]
        if None not in found:
            return np.asarray(found, np.int64)
    return np.arange(start, start + len(pictures))


@functools.cache
def _mnist_positions() -> dict[bytes, int]:
    with gzip.open(tfds_builder.EMBEDDED / "mnist" / "train-images-idx3-ubyte.gz") as file:
        pixels = file.read()[16:]
    return {
        hashlib.sha256(pixels[i * 784 : (i + 1) * 784]).digest(): i
        for i in range(len(pixels) // 784)
    }
