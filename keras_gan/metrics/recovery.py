"""How much of what was there comes back: of z from G(z), of an image from G(E(x))."""

import math
from typing import NamedTuple

import numpy as np


class Recovery(NamedTuple):
    """How well predictions tell latent vectors that are known.

    Args:
        mean: R^2, the mean over the dimensions of z: 1 for the truth, 0 for z's mean.
        lowest: of one dimension.
        highest: of one dimension.
    """

    mean: float
    lowest: float
    highest: float


def recovery(z: np.ndarray, predicted: np.ndarray) -> Recovery:
    """Compare predictions with latent vectors, both float [n, d], dimension by dimension."""
    z = z.astype(np.float64)
    unexplained = np.square(z - predicted).mean(axis=0) / z.var(axis=0)
    shares = 1 - unexplained  # [d]
    return Recovery(float(shares.mean()), float(shares.min()), float(shares.max()))


class SquaredError(NamedTuple):
    """The squared error of images, per pixel.

    Args:
        mean: over all images.
        stderr: of that mean.
    """

    mean: float
    stderr: float


def squared_error(images: np.ndarray, made: np.ndarray) -> SquaredError:
    """Compare images with what was made in their stead, both float [n, H, W, C]."""
    each = np.square(images.astype(np.float64) - made).mean(axis=(1, 2, 3))  # [n]
    return SquaredError(float(each.mean()), float(each.std() / math.sqrt(len(each))))
