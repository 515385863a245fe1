"""Nearest training images: does a generator copy what it was trained on?"""

from typing import NamedTuple

import numpy as np

BATCH = 1000


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
    points = images.reshape(len(images), -1).astype(np.float32)  # [n, d]
    rows = among.reshape(len(among), -1).astype(np.float32)  # [m, d]
    half_norms = np.einsum("md,md->m", rows, rows) / 2
    indices = np.empty(len(points), np.int64)
    for start in range(0, len(points), BATCH):
        scores = half_norms - points[start : start + BATCH] @ rows.T  # [b, m]
        if exclude_self:
            own = np.arange(len(scores))
            scores[own, start + own] = np.inf
        indices[start : start + BATCH] = scores.argmin(axis=1)
    # Measured anew in float64: the expanded square above cancels where images are equal.
    distances = np.empty(len(points))
    for start in range(0, len(points), BATCH):
        chosen = slice(start, start + BATCH)
        difference = points[chosen].astype(np.float64) - rows[indices[chosen]]
        distances[chosen] = np.einsum("bd,bd->b", difference, difference)
    return distances, indices


class Copying(NamedTuple):
    """How near samples are to training images, beside how near unseen images are.

    Args:
        score: the samples' median distance to their nearest training image over the held-out
            images'. About 1 for samples like unseen images; near 0 for copies.
        copied: share of the samples that lie nearer to a training image than all but one in a
            hundred held-out images do. About 0.01 or less unless some samples are copies.
        samples: the samples' median L2 distance.
        held_out: the held-out images' median L2 distance.
    """

    score: float
    copied: float
    samples: float
    held_out: float


def copying(samples: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> Copying:
    """Measure whether samples copy training images (see `Copying`).

    Args:
        samples: generated images, [n, H, W, C] in [0, 1].
        train: the images trained on.
        held_out: images of the same kind that were not.
    """
    drawn, unseen = (np.sqrt(nearest(images, train)[0]) for images in (samples, held_out))
    limit = np.quantile(unseen, 0.01)
    median = (float(np.median(drawn)), float(np.median(unseen)))
    copied = float((drawn <= limit).mean())
    return Copying(median[0] / max(median[1], 1e-12), copied, *median)
