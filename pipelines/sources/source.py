"""What every source promises, and how it is cut into blocks."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

MAX_BLOCK_IMAGES = 8192


@dataclasses.dataclass(frozen=True)
class Block:
    """Images `start` to `stop` of a split; `index` of `total` blocks; their names, if known."""

    split: str
    start: int
    stop: int
    index: int
    total: int
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Some images of a block.

    Args:
        pictures: uint8 [n, H, W, C].
        labels: int64 [n], -1 where an image has none; or None if the source has no labels.
        positions: int64 [n]: where each stood in the original distribution; "last:N" counts by it.
        names: what a person finds each by.
        rejected: (name, reason) of images that could not be used.
    """

    pictures: np.ndarray
    labels: np.ndarray | None
    positions: np.ndarray
    names: list[str]
    rejected: list[tuple[str, str]] = dataclasses.field(default_factory=list)


class Source(Protocol):
    """A collection of images."""

    name: str
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    splits: dict[str, int]
    fingerprint: str
    names: dict[str, tuple[str, ...]]

    def describe(self) -> dict[str, Any]:
        """Say what is read."""
        ...

    def read(self, block: Block) -> Iterator[Chunk]:
        """Read a block's images in order."""
        ...


def plan_blocks(source: Source, shard_bytes: int) -> list[Block]:
    """Cut a source into blocks, each of which becomes at most one shard in each split.

    Args:
        source: what to cut.
        shard_bytes: pixels that a block may hold.
    """
    image_bytes = int(np.prod(source.image_shape))
    length = max(1, min(MAX_BLOCK_IMAGES, shard_bytes // image_bytes))
    spans = [
        (split, start, min(start + length, count))
        for split, count in source.splits.items()
        for start in range(0, count, length)
    ]
    names = source.names
    return [
        Block(split, start, stop, index, len(spans), names.get(split, ())[start:stop])
        for index, (split, start, stop) in enumerate(spans)
    ]
