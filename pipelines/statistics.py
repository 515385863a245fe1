"""Statistics of a set of images, gathered in the same pass that writes the records."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Moments:
    """Exact sums over some uint8 images; sums of integers do not depend on their order.

    Args:
        count: images.
        total: sum per pixel, int64 [H, W, C].
        squares: sum of squares per channel, int64 [C].
        lowest: smallest value of any pixel.
        highest: largest value of any pixel.
        labels: images per class number.
    """

    count: int
    total: np.ndarray
    squares: np.ndarray
    lowest: int
    highest: int
    labels: dict[int, int]

    @staticmethod
    def of(images: np.ndarray, labels: np.ndarray | None) -> "Moments":
        """Sum over uint8 images [n, H, W, C]."""
        wide = images.astype(np.int64)
        known = np.empty(0, np.int64) if labels is None else labels
        numbers, counts = np.unique(known, return_counts=True)
        return Moments(
            count=len(images),
            total=wide.sum(axis=0),
            squares=np.square(wide).sum(axis=(0, 1, 2)),
            lowest=int(images.min()),
            highest=int(images.max()),
            labels={int(n): int(c) for n, c in zip(numbers, counts, strict=True)},
        )

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
            labels,
        )

    def summary(self) -> dict[str, np.ndarray]:
        """Return what `statistics.npz` holds; means and deviations in [0, 1]."""
        pixels = self.count * self.total.shape[0] * self.total.shape[1]
        mean = self.total.sum(axis=(0, 1)) / pixels  # [C]
        variance = self.squares / pixels - np.square(mean)
        numbers = sorted(self.labels)
        return {
            "count": np.asarray(self.count),
            "pixel_mean": self.total / self.count / 255.0,  # [H, W, C]
            "channel_mean": mean / 255.0,
            "channel_std": np.sqrt(np.maximum(variance, 0.0)) / 255.0,
            "range": np.asarray([self.lowest, self.highest]),
            "label_numbers": np.asarray(numbers, np.int64),
            "label_counts": np.asarray([self.labels[n] for n in numbers], np.int64),
        }
