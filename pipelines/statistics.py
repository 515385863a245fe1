"""Statistics of a set of images, gathered in the same pass that writes the records."""

import dataclasses

import numpy as np
from tensorflow_metadata.proto.v0 import statistics_pb2

CHUNK_BYTES = 2**20
LEVELS = 256  # of a pixel, and so of an image's mean; its deviation is at most half of that


@dataclasses.dataclass
class Moments:
    """Exact sums over some uint8 images; sums of integers do not depend on their order.

    Args:
        count: images.
        total: sum per pixel, int64 [H, W, C].
        squares: sum of squares per channel, int64 [C].
        lowest: smallest value of any pixel.
        highest: largest value of any pixel.
        brightness: images by the mean of their pixels, rounded down, int64 [256].
        contrast: images by the standard deviation of their pixels, rounded down, int64 [256].
        labels: images per class number; -1 for those without.
    """

    count: int
    total: np.ndarray
    squares: np.ndarray
    lowest: int
    highest: int
    brightness: np.ndarray
    contrast: np.ndarray
    labels: dict[int, int]

    @staticmethod
    def of(images: np.ndarray, labels: np.ndarray | None) -> "Moments":
        """Sum over uint8 images [n, H, W, C]."""
        known = np.full(len(images), -1) if labels is None else labels
        numbers, counts = np.unique(known, return_counts=True)
        shape = images.shape[1:]
        moments = Moments(
            count=len(images),
            total=np.zeros(shape, np.int64),
            squares=np.zeros(shape[-1], np.int64),
            lowest=int(images.min()),
            highest=int(images.max()),
            brightness=np.zeros(LEVELS, np.int64),
            contrast=np.zeros(LEVELS, np.int64),
            labels={int(n): int(c) for n, c in zip(numbers, counts, strict=True)},
        )
        step = max(1, CHUNK_BYTES // images[0].size)
        for start in range(0, len(images), step):
            moments._add_pixels(images[start : start + step])
        return moments

    def _add_pixels(self, images: np.ndarray) -> None:
        """Add a few images' pixels."""
        wide = images.astype(np.float64)  # exact: whole numbers far below 2**53
        pixels = wide.reshape(len(images), -1, images.shape[-1])  # [n, H * W, C]
        sums = pixels.sum(axis=(1, 2))  # [n]
        squares = np.einsum("npc,npc->nc", pixels, pixels)  # [n, C]
        size = images[0].size
        means = sums / size
        deviations = np.sqrt(np.maximum(squares.sum(axis=1) / size - np.square(means), 0.0))
        self.total += wide.sum(axis=0).astype(np.int64)
        self.squares += squares.sum(axis=0).astype(np.int64)
        self.brightness += np.bincount(means.astype(np.int64), minlength=LEVELS)
        self.contrast += np.bincount(deviations.astype(np.int64), minlength=LEVELS)

    def __add__(self, other: "Moments") -> "Moments":
        labels = dict(self.labels)
        for number, count in other.labels.items():
            labels[number] = labels.get(number, 0) + count
        return Moments(
            self.count + other.count,
            self.total + other.total,
            self.squares + other.squares,
            min(self.lowest, other.lowest),
            max(self.highest, other.highest),
            self.brightness + other.brightness,
            self.contrast + other.contrast,
            labels,
        )

    def summary(self) -> dict[str, np.ndarray]:
        """Return what `statistics.npz` holds; means and deviations in [0, 1]."""
        mean, deviation = self._channels()
        numbers = sorted(number for number in self.labels if number >= 0)
        return {
            "count": np.asarray(self.count),
            "pixel_mean": self.total / self.count / 255.0,  # [H, W, C]
            "channel_mean": mean / 255.0,
            "channel_std": deviation / 255.0,
            "range": np.asarray([self.lowest, self.highest]),
            "label_numbers": np.asarray(numbers, np.int64),
            "label_counts": np.asarray([self.labels[n] for n in numbers], np.int64),
        }

    def _channels(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the standard deviation of each channel's pixels."""
        pixels = self.count * self.total.shape[0] * self.total.shape[1]
        mean = self.total.sum(axis=(0, 1)) / pixels  # [C]
        return mean, np.sqrt(np.maximum(self.squares / pixels - np.square(mean), 0.0))

    def to_proto(
        self, split: str, classes: tuple[str, ...]
    ) -> statistics_pb2.DatasetFeatureStatisticsList:
        """Write these as TensorFlow Data Validation does, for its viewer and for a schema's checks.

        Its features are the record's, `image` and `label`, and what was derived from the pixels:
        `image/value`, `image/brightness` (an image's mean) and `image/contrast` (its deviation).
        """
        proto = statistics_pb2.DatasetFeatureStatisticsList()
        dataset = proto.datasets.add(name=split, num_examples=self.count)
        self._add_image(dataset)
        labels = {n: c for n, c in sorted(self.labels.items()) if n >= 0}
        if labels:
            self._add_labels(dataset, labels, classes)
        _add_histogram(dataset, "image/brightness", self.brightness)
        _add_histogram(dataset, "image/contrast", self.contrast)
        return proto

    def _add_image(self, dataset: statistics_pb2.DatasetFeatureStatistics) -> None:
        kinds = statistics_pb2.FeatureNameStatistics
        feature = dataset.features.add(type=kinds.BYTES)
        feature.path.step.append("image")
        _fill_common(feature.bytes_stats.common_stats, self.count)
        size = float(self.total.size)
        feature.bytes_stats.avg_num_bytes = size
        feature.bytes_stats.min_num_bytes = size
        feature.bytes_stats.max_num_bytes = size
        mean, deviation = self._channels()
        for channel in range(len(mean)):
            for name, value in (("mean", mean[channel]), ("deviation", deviation[channel])):
                feature.custom_stats.add(name=f"channel {channel} {name}", num=float(value))
        feature = dataset.features.add(type=kinds.INT)
        feature.path.step.extend(["image/value"])
        values = feature.num_stats
        _fill_common(values.common_stats, self.count, int(size))
        values.min, values.max = self.lowest, self.highest
        everything = self.count * size
        values.mean = float(self.total.sum() / everything)
        values.std_dev = float(np.sqrt(max(self.squares.sum() / everything - values.mean**2, 0.0)))

    def _add_labels(
        self,
        dataset: statistics_pb2.DatasetFeatureStatistics,
        labels: dict[int, int],
        classes: tuple[str, ...],
    ) -> None:
        """Add the classes as categories: their counts matter, not their numbers' mean."""
        feature = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.INT)
        feature.path.step.append("label")
        counted = sum(labels.values())
        _fill_common(feature.string_stats.common_stats, counted, missing=self.count - counted)
        feature.string_stats.unique = len(labels)
        feature.string_stats.avg_length = float(
            sum(len(str(number)) * count for number, count in labels.items()) / counted
        )
        for rank, (number, count) in enumerate(sorted(labels.items(), key=lambda x: (-x[1], x[0]))):
            feature.string_stats.top_values.add(value=str(number), frequency=count)
            name = classes[number] if number < len(classes) else str(number)
            feature.string_stats.rank_histogram.buckets.add(
                low_rank=rank, high_rank=rank, label=str(number), sample_count=count
            )
            feature.custom_stats.add(name=f"class {number}: {name}", num=count)


def _add_histogram(
    dataset: statistics_pb2.DatasetFeatureStatistics, name: str, counts: np.ndarray
) -> None:
    """Add a derived feature by how many images lie from each whole number to the next."""
    feature = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.FLOAT)
    feature.path.step.append(name)
    numbers, values = feature.num_stats, np.arange(len(counts))
    total = int(counts.sum())
    _fill_common(numbers.common_stats, total)
    present = np.flatnonzero(counts)
    numbers.mean = float((counts * values).sum() / total)
    numbers.std_dev = float(np.sqrt((counts * np.square(values - numbers.mean)).sum() / total))
    numbers.num_zeros = int(counts[0])
    numbers.min, numbers.max = float(present[0]), float(present[-1])
    below = np.cumsum(counts)
    numbers.median = float(np.searchsorted(below, total / 2))
    histogram = numbers.histograms.add(type=statistics_pb2.Histogram.STANDARD)
    for low, count in enumerate(counts):
        histogram.buckets.add(low_value=low, high_value=low + 1, sample_count=float(count))
    quantiles = numbers.histograms.add(type=statistics_pb2.Histogram.QUANTILES)
    edges = [int(np.searchsorted(below, total * tenth / 10)) for tenth in range(1, 11)]
    for low, high in zip([int(present[0]), *edges[:-1]], edges, strict=True):
        quantiles.buckets.add(low_value=low, high_value=high, sample_count=total / 10)


def _fill_common(
    common: statistics_pb2.CommonStatistics, count: int, values: int = 1, missing: int = 0
) -> None:
    """Say how many images have a feature, and how many values each."""
    common.num_non_missing = count
    common.num_missing = missing
    common.min_num_values = common.max_num_values = values
    common.avg_num_values = values
    common.tot_num_values = count * values
