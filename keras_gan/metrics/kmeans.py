"""Centroids of images: what a ruler that rewards smoothing likes better than images."""

import numpy as np

BATCH = 2000


def centroids(images: np.ndarray, count: int, *, seed: int, iterations: int = 10) -> np.ndarray:
    """Find cluster centres by Lloyd's algorithm, starting from images drawn at random.

    Args:
        images: float [n, ...].
        count: centres to find, at most n.
        seed: of the images to start from.
        iterations: passes over the images.

    Returns:
        float32 [count, ...]; a centre that loses all its images stays where it was.

    Raises:
        ValueError: if there are fewer images than centres.
    """
    if not 0 < count <= len(images):
        raise ValueError(f"Expected 1 to {len(images)} centres; received count={count}.")
    rows = images.reshape(len(images), -1).astype(np.float32)  # [n, d]
    start = np.random.default_rng(seed).permutation(len(rows))[:count]
    centres = rows[start]  # [k, d]
    for _ in range(iterations):
        half_norms = np.einsum("kd,kd->k", centres, centres) / 2
        nearest = np.concatenate(
            [
                np.argmax(rows[first : first + BATCH] @ centres.T - half_norms, axis=1)
                for first in range(0, len(rows), BATCH)
            ]
        )
        order = np.argsort(nearest, kind="stable")
        taken, begins = np.unique(nearest[order], return_index=True)
        sums = np.add.reduceat(rows[order], begins, axis=0, dtype=np.float64)
        sizes = np.diff([*begins, len(rows)])
        centres = centres.copy()
        centres[taken] = sums / sizes[:, None]
    return centres.reshape(count, *images.shape[1:])
