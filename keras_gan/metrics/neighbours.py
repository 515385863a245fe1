"""Nearest training images: does a generator copy what it was trained on?"""

import math
from typing import NamedTuple

import numpy as np

BATCH = 1000
TILE = 10000  # images searched at once: memory stays flat


def nearest(
    images: np.ndarray, among: np.ndarray, *, exclude_self: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Find each image's nearest one by squared L2 distance, as the paper's Figure 2 does.

    Args:
        images: float [n, ...].
        among: float [m, ...], of the images' shape.
        exclude_self: whether `among` is `images`, and an image is no neighbour of itself.

    Returns:
        (squared distances, float64 [n]; indices in `among`, int64 [n]).

    Raises:
        ValueError: if shapes differ, or there is nothing to find.
    """
    if images.shape[1:] != among.shape[1:] or len(among) <= exclude_self:
        raise ValueError(
            f"Expected images of one shape, and some to search; received images of shape "
            f"{images.shape} and among of shape {among.shape}."
        )
    points = images.reshape(len(images), -1).astype(np.float32, copy=False)  # [n, d]
    rows = among.reshape(len(among), -1).astype(np.float32, copy=False)  # [m, d]
    half_norms = np.einsum("md,md->m", rows, rows) / 2
    indices = np.zeros(len(points), np.int64)
    for start in range(0, len(points), BATCH):
        batch = points[start : start + BATCH]
        own = np.arange(len(batch))
        best = np.full(len(batch), np.inf, np.float32)
        for first in range(0, len(rows), TILE):
            scores = batch @ rows[first : first + TILE].T  # [b, tile]
            np.subtract(half_norms[first : first + TILE], scores, out=scores)
            if exclude_self:
                inside = (own + start >= first) & (own + start < first + scores.shape[1])
                scores[own[inside], own[inside] + start - first] = np.inf
            candidates = scores.argmin(axis=1)
            found = scores[own, candidates]
            nearer = found < best
            indices[start : start + BATCH][nearer] = candidates[nearer] + first
            best = np.minimum(best, found)
    # Measured anew in float64: the expanded square above cancels where images are equal.
    distances = np.empty(len(points))
    for start in range(0, len(points), BATCH):
        chosen = slice(start, start + BATCH)
        difference = points[chosen].astype(np.float64) - rows[indices[chosen]]
        distances[chosen] = np.einsum("bd,bd->b", difference, difference)
    return distances, indices


class Copying(NamedTuple):
    """Whether samples copy training images.

    Args:
        nearer: share of the samples that lie nearer to a training image than to any held-out one.
        by_chance: what that is for images that owe nothing to the training images: any image of
            their kind is as likely to be the nearest.
        stderr: standard error of `nearer` for such images.
        score: the samples' median distance to their nearest training image over the held-out
            images'. About 1 for samples like unseen images, 0 for copies; but simpler kinds of
            image lie nearer, so that a generator that prefers them has less than 1, too.
        samples: the samples' median L2 distance.
        held_out: the held-out images' median L2 distance.
    """

    nearer: float
    by_chance: float
    stderr: float
    score: float
    samples: float
    held_out: float

    @property
    def at_most_copied(self) -> float:
        """The share of copies that explains `nearer`: 0 without any, 1 if all are.

        Samples that are only drawn towards training images count in part, so that it is a bound;
        the distances say which it is.
        """
        return (self.nearer - self.by_chance) / (1 - self.by_chance)


def copying(samples: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> Copying:
    """Measure whether samples copy training images (see `Copying`).

    Args:
        samples: generated images, [n, H, W, C] in [0, 1].
        train: the images trained on.
        held_out: images of the same kind that were not.
    """
    to_train, to_held_out, between = (
        np.sqrt(nearest(images, among)[0])
        for images, among in ((samples, train), (samples, held_out), (held_out, train))
    )
    expected = len(train) / (len(train) + len(held_out))
    share = float((to_train < to_held_out).mean() + (to_train == to_held_out).mean() / 2)
    stderr = math.sqrt(expected * (1 - expected) / len(samples))
    median = (float(np.median(to_train)), float(np.median(between)))
    return Copying(share, expected, stderr, median[0] / max(median[1], 1e-12), *median)
