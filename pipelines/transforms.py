"""The steps of preprocessing, one after another. Beam moves blocks of images, never single ones.

A block is a stretch of the source that becomes one shard in each split it feeds. What a shard
holds is therefore a property of the source alone, not of runners, workers or timing. Blocks wait
in a work folder while their images' hashes are compared.
"""

import contextlib
import dataclasses
import functools
import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from keras_gan import records
from keras_gan.config import validation_rule
from pipelines import storage, work
from pipelines.sources.source import Block, Source
from pipelines.statistics import Moments

# When the same image is in several splits, the first of these keeps it.
KEEPERS = ("test", "validation", "train")
BUCKET_IMAGES = 2**20


@dataclasses.dataclass(frozen=True)
class Digests:
    """What is compared of a block's images.

    Args:
        block: its index.
        rows: where each image stands in the block, int64 [n].
        hashes: the first 16 bytes of each one's SHA-256, uint64 [n, 2].
        keepers: its split's place in `KEEPERS`, int64 [n].
        labels: its class number or -1, int64 [n].
    """

    block: int
    rows: np.ndarray
    hashes: np.ndarray
    keepers: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Duplicates:
    """Images of a block that are elsewhere, too.

    Args:
        rows: where they stand in the block, int64 [n].
        kept: (block, row, split's place in `KEEPERS`, label) of the copy that stays, int64 [n, 4].
    """

    rows: np.ndarray
    kept: np.ndarray


@dataclasses.dataclass(frozen=True)
class Summary:
    """What became of some blocks.

    Args:
        shards: that were written.
        moments: the sums of each split's images.
        duplicates: images dropped because they are elsewhere, too.
        conflicts: those of them whose copy has another label.
        overlap: those of them whose copy is in another split, by "train in test".
        rejected: images that could not be used.
    """

    shards: tuple[records.Shard, ...] = ()
    moments: dict[str, Moments] = dataclasses.field(default_factory=dict)
    duplicates: int = 0
    conflicts: int = 0
    overlap: dict[str, int] = dataclasses.field(default_factory=dict)
    rejected: int = 0

    def __add__(self, other: "Summary") -> "Summary":
        return Summary(
            tuple(sorted((*self.shards, *other.shards), key=lambda shard: shard.name)),
            _add(self.moments, other.moments),
            self.duplicates + other.duplicates,
            self.conflicts + other.conflicts,
            _add(self.overlap, other.overlap),
            self.rejected + other.rejected,
        )


def _add(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return {
        key: left[key] + right[key]
        if key in left and key in right
        else left.get(key, right.get(key))
        for key in sorted(left.keys() | right.keys())
    }


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """Everything between a source and a data folder, as one chain without side inputs.

    Args:
        source: where images come from.
        folder: where shards go.
        validation: "last:N", "hash:SHARE" or "none".
        test: "hash:SHARE" or "none".
        compression: "none" or "gzip".
    """

    source: Source
    folder: str
    validation: str
    test: str
    compression: str

    def expand(self, pipeline: beam.Pipeline, blocks: list[Block]) -> beam.PCollection:
        """Add the steps to a pipeline."""
        images = sum(self.source.splits.values())
        buckets = 1 + images // BUCKET_IMAGES
        # The blocks have their names with them; the source goes to every worker without.
        source = dataclasses.replace(self.source, names={})  # type: ignore[type-var]
        return (
            pipeline
            | "Plan" >> beam.Create(blocks)
            | "Spread" >> beam.Reshuffle()
            | "Read"
            >> beam.ParDo(ReadBlock(source, self.folder, self.validation, self.test, buckets))
            | "Collect" >> beam.GroupByKey()
            | "Compare" >> beam.ParDo(FindDuplicates())
            | "Return" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(WriteShards(self.folder, self.compression))
            | "Summarise" >> beam.CombineGlobally(Summarise()).without_defaults()
            | "Finish" >> beam.ParDo(Finish(self.folder, source.classes))
        )


class ReadBlock(beam.DoFn):
    """Block -> (bucket, `Digests`); its images, in uint8 [H, W, C], go into the work folder.

    The source's own "validation" and "test" splits stay what they are; its "train" split is divided
    by the rules unless the source has the other splits.

    Args:
        source: where images come from.
        folder: where the work folder is.
        validation: "last:N", "hash:SHARE" or "none".
        test: "hash:SHARE" or "none".
        buckets: how many groups images are compared in.
    """

    def __init__(self, source: Any, folder: str, validation: str, test: str, buckets: int):
        self._source = source
        self._folder = folder
        self._validation = validation_rule("none" if "validation" in source.splits else validation)
        self._test = validation_rule("none" if "test" in source.splits else test)
        self._buckets = buckets

    def process(self, element: Block) -> Iterator[tuple[int, Digests]]:
        """Read one block, unless an earlier attempt already has."""
        if not storage.exists(work.in_work(self._folder, work.piece("block", element.index))):
            self._read(element).write(self._folder)
        waiting = work.Waiting.read(self._folder, element.index, pictures=False)
        buckets = waiting.hashes[:, 0] % np.uint64(self._buckets)
        for bucket in range(self._buckets):  # each block goes into each, to come out of each
            rows = np.flatnonzero(buckets == bucket)
            columns = (waiting.hashes, waiting.keepers, waiting.labels)
            yield bucket, Digests(element.index, rows, *(column[rows] for column in columns))

    def _read(self, block: Block) -> work.Waiting:
        count = block.stop - block.start
        pictures = np.empty((count, *self._source.image_shape), np.uint8)
        labels = np.full(count, -1, np.int64)
        positions = np.empty(count, np.int64)
        names: list[str] = []
        rejected: list[tuple[str, str]] = []
        for chunk in self._source.read(block):
            own = slice(len(names), len(names) + len(chunk.names))
            pictures[own] = chunk.pictures
            positions[own] = chunk.positions
            if chunk.labels is not None:
                labels[own] = chunk.labels
            names += chunk.names
            rejected += chunk.rejected
            work.report(self._folder, "read", block.index, len(names) + len(rejected))
        if len(names) + len(rejected) != count:
            raise ValueError(
                f"Expected {count} images of block {block.index}; received {len(names)} and "
                f"{len(rejected)} rejected."
            )
        read = slice(0, len(names))
        hashes = work.hash_images(pictures[read])
        keepers = self._assign(block, hashes[:, 0], positions[read])
        return work.Waiting(block, pictures[read], labels[read], keepers, hashes, names, rejected)

    def _assign(self, block: Block, hashes: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Choose each image's split, by its place in `KEEPERS`."""
        keepers = np.full(len(hashes), KEEPERS.index(block.split))
        if block.split != "train":
            return keepers
        # The same image always lands in the same split, whatever else is in the set.
        share = hashes / 2.0**64
        (rule, amount), (_, tested) = self._validation, self._test
        if rule == "last":
            held_out = positions >= self._source.splits["train"] - int(amount)
        else:
            held_out = share < tested + amount
        keepers[held_out] = KEEPERS.index("validation")
        keepers[share < tested] = KEEPERS.index("test")
        return keepers


class FindDuplicates(beam.DoFn):
    """(bucket, `Digests` of every block) -> (block, `Duplicates`), one for each block."""

    def process(self, element: tuple[int, Iterable[Digests]]) -> Iterator[tuple[int, Duplicates]]:
        """Compare one bucket: test images stay before validation, these before training ones."""
        blocks = sorted(element[1], key=lambda digests: digests.block)
        hashes = np.concatenate([b.hashes for b in blocks])
        number = np.concatenate([np.full(len(b.rows), b.block) for b in blocks])
        rows = np.concatenate([b.rows for b in blocks])
        keepers = np.concatenate([b.keepers for b in blocks])
        labels = np.concatenate([b.labels for b in blocks])
        order = np.lexsort((rows, number, keepers, hashes[:, 1], hashes[:, 0]))
        same = np.zeros(len(order), bool)
        same[1:] = (hashes[order][1:] == hashes[order][:-1]).all(axis=1)
        first = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
        copies, kept = order[same], order[first[same]]
        for block in blocks:
            own = number[copies] == block.block
            source = kept[own]
            columns = (number[source], rows[source], keepers[source], labels[source])
            yield block.block, Duplicates(rows[copies[own]], np.stack(columns, axis=1))


class WriteShards(beam.DoFn):
    """(block, its `Duplicates`) -> `Summary`; its images go to one shard in each split.

    Args:
        folder: where shards go.
        compression: "none" or "gzip".
    """

    def __init__(self, folder: str, compression: str):
        self._folder = folder
        self._compression = compression

    def process(self, element: tuple[int, Iterable[Duplicates]]) -> Iterator[Summary]:
        """Write one block."""
        index, found = element[0], list(element[1])
        waiting = work.Waiting.read(self._folder, index)
        rows = np.concatenate([each.rows for each in found])
        kept = np.concatenate([each.kept for each in found])[np.argsort(rows)]
        rows = np.sort(rows)
        stays = np.ones(len(waiting.names), bool)
        stays[rows] = False
        shards, moments = [], {}
        for place, split in enumerate(KEEPERS):
            chosen = stays & (waiting.keepers == place)
            if chosen.any():
                pictures, labels = waiting.pictures[chosen], waiting.labels[chosen]
                shards.append(self._write(waiting.block, split, pictures, labels))
                moments[split] = Moments.of(pictures, labels)
        overlap: dict[str, int] = {}
        for own, other in zip(waiting.keepers[rows], kept[:, 2], strict=True):
            if own != other:
                pair = f"{KEEPERS[own]} in {KEEPERS[other]}"
                overlap[pair] = overlap.get(pair, 0) + 1
        self._list(waiting, rows, kept)
        work.report(self._folder, "written", index, len(waiting.names) + len(waiting.rejected))
        yield Summary(
            tuple(shards),
            moments,
            duplicates=len(rows),
            conflicts=int((waiting.labels[rows] != kept[:, 3]).sum()),
            overlap=overlap,
            rejected=len(waiting.rejected),
        )

    def _write(
        self, block: Block, split: str, pictures: np.ndarray, labels: np.ndarray
    ) -> records.Shard:
        """Write one shard."""
        suffix = ".gz" if self._compression == "gzip" else ""
        name = f"{split}-{block.index:05d}-of-{block.total:05d}.tfrecord{suffix}"
        content = io.BytesIO()
        # No time of writing: the same images give the same bytes.
        packed: Any = (
            gzip.GzipFile(fileobj=content, mode="wb", compresslevel=6, mtime=0, filename="")
            if suffix
            else contextlib.nullcontext(content)
        )
        with packed as file:
            for picture, label in zip(pictures, labels.tolist(), strict=True):
                file.write(records.frame(records.encode(picture, label if label >= 0 else None)))
        written = content.getbuffer()
        with storage.create(storage.join(self._folder, name)) as file:
            file.write(written)
        digest = hashlib.sha256(written).hexdigest()
        return records.Shard(name, split, len(pictures), len(written), digest)

    def _list(self, waiting: work.Waiting, rows: np.ndarray, kept: np.ndarray) -> None:
        """Write what was left out, and why, for people."""
        index = waiting.block.index
        if waiting.rejected:
            lines = (work.tsv(name, reason) for name, reason in waiting.rejected)
            with storage.create(work.in_work(self._folder, work.piece("rejected", index))) as file:
                file.writelines(lines)
        if len(rows):
            names = functools.cache(
                lambda block: work.Waiting.read(self._folder, block, False).names
            )
            with storage.create(
                work.in_work(self._folder, work.piece("duplicates", index))
            ) as file:
                for row, (block, kept_row, place, label) in zip(rows, kept, strict=True):
                    own = (KEEPERS[waiting.keepers[row]], waiting.labels[row])
                    other = names(int(block))[kept_row]
                    file.write(work.tsv(waiting.names[row], *own, other, KEEPERS[place], label))


class Summarise(beam.CombineFn):
    """`Summary` of each block -> that of all, on any runner."""

    def create_accumulator(self) -> Summary:
        """Start from nothing."""
        return Summary()

    def add_input(self, accumulator: Summary, element: Summary) -> Summary:
        """Add one block's."""
        return accumulator + element

    def merge_accumulators(self, accumulators: Iterable[Summary]) -> Summary:
        """Add several."""
        return sum(accumulators, Summary())

    def extract_output(self, accumulator: Summary) -> Summary:
        """Return the sum."""
        return accumulator


class Finish(beam.DoFn):
    """The whole `Summary` -> statistics of each split, and `summary.json` in the work folder.

    Args:
        folder: where they go.
        classes: class names in label order.
    """

    def __init__(self, folder: str, classes: tuple[str, ...]):
        self._folder = folder
        self._classes = classes

    def process(self, element: Summary) -> None:
        """Write the files."""
        storage.make_folder(storage.join(self._folder, "statistics"))
        for split, moments in element.moments.items():
            storage.make_folder(storage.join(self._folder, "statistics", f"Split-{split}"))
            with storage.create(
                storage.join(self._folder, records.split_statistics(split))
            ) as file:
                proto = moments.to_proto(split, self._classes)
                file.write(proto.SerializeToString(deterministic=True))
        if "train" in element.moments:
            content = io.BytesIO()
            np.savez(content, **element.moments["train"].summary())  # type: ignore[arg-type]
            with storage.create(storage.join(self._folder, records.STATISTICS_FILE)) as file:
                file.write(content.getbuffer())
        found = dataclasses.asdict(dataclasses.replace(element, moments={}))
        found["counts"] = {split: moments.count for split, moments in element.moments.items()}
        with storage.create(work.in_work(self._folder, "summary.json")) as file:
            file.write(json.dumps(found).encode())
