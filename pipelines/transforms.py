"""The steps of preprocessing. Beam moves blocks of images, never single ones.

A block is a stretch of the source that becomes one shard in each split it feeds. Which images
share a shard is therefore a property of the source alone, not of workers or timing.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import google_crc32c
import numpy as np

from keras_gan import files, records
from keras_gan.config import validation_rule
from pipelines.statistics import Moments

BLOCK_BYTES = 2**25
MAX_BLOCK_IMAGES = 8192


@dataclasses.dataclass(frozen=True)
class Block:
    """Images `start` to `stop` of a source's split; `index` of `total` blocks."""

    split: str
    start: int
    stop: int
    index: int
    total: int


@dataclasses.dataclass(frozen=True)
class Images:
    """A block's images that go to one split."""

    block: Block
    split: str
    pictures: np.ndarray  # uint8 [n, H, W, C]
    labels: np.ndarray | None  # int64 [n]


def plan_blocks(splits: dict[str, int], image_shape: tuple[int, int, int]) -> list[Block]:
    """Cut a source's splits into blocks of at most 32 MiB and 8192 images."""
    length = max(1, min(MAX_BLOCK_IMAGES, BLOCK_BYTES // int(np.prod(image_shape))))
    spans = [
        (split, start, min(start + length, count))
        for split, count in splits.items()
        for start in range(0, count, length)
    ]
    return [Block(*span, index, len(spans)) for index, span in enumerate(spans)]


ReadImages = tuple[Block, np.ndarray, np.ndarray | None, np.ndarray]


class ReadBlock(beam.DoFn):
    """Block -> (block, images, labels, original positions), from any source."""

    def __init__(self, source: Any):
        self._source = source

    def process(self, element: Block) -> Iterator[ReadImages]:
        """Read one block."""
        pictures, labels, positions = self._source.read(element.split, element.start, element.stop)
        if len(pictures) != element.stop - element.start:
            raise ValueError(
                f"Expected {element.stop - element.start} images of {element}; "
                f"received {len(pictures)}."
            )
        yield element, pictures, labels, positions


class AssignSplits(beam.DoFn):
    """What `ReadBlock` gives -> `Images`, one for each split that gets some.

    The source's own "validation" and "test" splits stay what they are; its "train" split is divided
    by the rule unless the source has a validation split.

    Args:
        validation: "last:N", "hash:SHARE" or "none".
        splits: images in each of the source's splits.
    """

    def __init__(self, validation: str, splits: dict[str, int]):
        self._kind, self._amount = validation_rule(validation)
        self._splits = splits

    def process(self, element: ReadImages) -> Iterator[Images]:
        """Divide one block."""
        block, pictures, labels, positions = element
        if block.split in ("validation", "test"):
            yield Images(block, block.split, pictures, labels)
            return
        held_out = self._held_out(block, pictures, positions)
        for split, chosen in (("train", ~held_out), ("validation", held_out)):
            if chosen.any():
                own = None if labels is None else labels[chosen]
                yield Images(block, split, pictures[chosen], own)

    def _held_out(self, block: Block, pictures: np.ndarray, positions: np.ndarray) -> np.ndarray:
        if "validation" in self._splits or self._kind == "none":
            return np.zeros(len(pictures), bool)
        if self._kind == "last":
            return positions >= self._splits[block.split] - int(self._amount)
        # The same image always lands in the same split, whatever else is in the set.
        limit = int(self._amount * 2**64)
        digests = (hashlib.sha256(picture.tobytes()).digest()[:8] for picture in pictures)
        return np.array([int.from_bytes(digest, "big") < limit for digest in digests])


class WriteShard(beam.DoFn):
    """`Images` -> (the shard they were written to, their sums).

    Args:
        folder: where shards go.
    """

    def __init__(self, folder: str):
        self._folder = folder

    def process(self, element: Images) -> Iterator[tuple[records.Shard, Moments]]:
        """Write one shard."""
        block = element.block
        name = f"{element.split}-{block.index:05d}-of-{block.total:05d}.tfrecord"
        path = pathlib.Path(self._folder) / name
        labels = element.labels if element.labels is not None else [None] * len(element.pictures)
        framed = bytearray()
        for picture, label in zip(element.pictures, labels, strict=True):
            framed += frame(records.encode(picture, None if label is None else int(label)))
        with files.replacing(path) as temporary:
            temporary.write_bytes(framed)
        digest = hashlib.sha256(framed).hexdigest()
        shard = records.Shard(name, element.split, len(element.pictures), len(framed), digest)
        yield shard, Moments.of(element.pictures, element.labels)


def frame(record: bytes) -> bytes:
    """Put a record into TFRecord framing: length, its masked CRC-32C, data, its masked CRC-32C."""
    length = len(record).to_bytes(8, "little")
    return length + _masked_crc(length) + record + _masked_crc(record)


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return masked.to_bytes(4, "little")


class Summarise(beam.CombineFn):
    """(shard, sums) pairs -> {"shards": [...], "moments": {split: sums}}, on any runner."""

    def create_accumulator(self) -> dict[str, Any]:
        """Start from nothing."""
        return {"shards": [], "moments": {}}

    def add_input(
        self, accumulator: dict[str, Any], element: tuple[records.Shard, Moments]
    ) -> dict[str, Any]:
        """Add one shard."""
        shard, moments = element
        known = accumulator["moments"].get(shard.split)
        accumulator["shards"].append(shard)
        accumulator["moments"][shard.split] = moments if known is None else known + moments
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """Add several."""
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged["shards"] += accumulator["shards"]
            for split, moments in accumulator["moments"].items():
                known = merged["moments"].get(split)
                merged["moments"][split] = moments if known is None else known + moments
        return merged

    def extract_output(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        """Put the shards in order."""
        return {**accumulator, "shards": sorted(accumulator["shards"], key=lambda s: s.name)}


class Finish(beam.DoFn):
    """The summary -> `statistics.npz` and, last, `dataset_info.json`.

    Args:
        folder: where they go.
        info: the description, but for shards and counts.
    """

    def __init__(self, folder: str, info: records.DatasetInfo):
        self._folder = folder
        self._info = info

    def process(self, element: dict[str, Any]) -> None:
        """Write both files."""
        moments = element["moments"]
        if "train" in moments:
            records.write_statistics(self._folder, moments["train"].summary())
        counts = {split: moments[split].count for split in sorted(moments)}
        info = dataclasses.replace(self._info, shards=tuple(element["shards"]), counts=counts)
        info.write(self._folder)
