"""The work folder: what waits between reading and writing, and how far the work is.

It lies in the data folder while that is being made, where every worker can see it.
"""

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np

from pipelines import storage
from pipelines.sources.source import Block


@dataclasses.dataclass(frozen=True)
class Waiting:
    """A block that was read and waits in the work folder.

    Args:
        block: which; without its names.
        pictures: uint8 [n, H, W, C].
        labels: int64 [n], -1 where there is none.
        keepers: the split of each, by its place in `KEEPERS`, int64 [n].
        hashes: of each, uint64 [n, 2].
        names: of the images.
        rejected: (name, reason) of those that could not be used.
    """

    block: Block
    pictures: np.ndarray
    labels: np.ndarray
    keepers: np.ndarray
    hashes: np.ndarray
    names: list[str]
    rejected: list[tuple[str, str]]

    def write(self, folder: str) -> None:
        """Write it to the work folder, whole or not at all."""
        block = dataclasses.astuple(self.block)[:5]  # all but names
        texts = json.dumps([block, self.names, self.rejected]).encode()
        arrays = (
            np.frombuffer(texts, np.uint8),
            self.labels,
            self.keepers,
            self.hashes,
            self.pictures,
        )
        with storage.create(in_work(folder, piece("block", self.block.index))) as file:
            for array in arrays:
                np.lib.format.write_array(file, array, allow_pickle=False)

    @staticmethod
    def read(folder: str, index: int, pictures: bool = True) -> "Waiting":
        """Read it back, with or without its pictures."""
        with storage.open_to_read(in_work(folder, piece("block", index))) as file:
            arrays = [
                np.lib.format.read_array(file, allow_pickle=False) for _ in range(4 + pictures)
            ]
        texts, labels, keepers, hashes = arrays[:4]
        block, names, rejected = json.loads(texts.tobytes())
        loaded = arrays[4] if pictures else np.empty(0, np.uint8)
        reasons = [(name, reason) for name, reason in rejected]
        return Waiting(Block(*block), loaded, labels, keepers, hashes, names, reasons)


def hash_images(pictures: np.ndarray) -> np.ndarray:
    """Hash each image's pixels: the first 16 bytes of their SHA-256, uint64 [n, 2]."""
    digests = b"".join(hashlib.sha256(picture).digest()[:16] for picture in pictures)
    return np.frombuffer(digests, ">u8").reshape(-1, 2).astype(np.uint64)


def tsv(*columns: Any) -> bytes:
    """Write a line; what would break it is escaped."""
    escaped = (json.dumps(str(column), ensure_ascii=False)[1:-1] for column in columns)
    return ("\t".join(escaped) + "\n").encode("utf-8", "backslashreplace")


def report(folder: str, what: str, index: int, count: int) -> None:
    """Note how many of a block's images were done, for whoever watches the work folder."""
    if not storage.is_remote(folder):
        with open(in_work(folder, piece(what, index)), "w") as file:  # noqa: PTH123
            file.write(str(count))


def in_work(folder: str, *names: str) -> str:
    """Name a data folder's work folder, or something in it."""
    return storage.join(folder, "work", *names)


def piece(what: str, index: int) -> str:
    """Name a block's file in the work folder."""
    return f"{what}-{index:05d}"
