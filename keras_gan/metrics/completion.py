"""How good completed images are: distances per missing pixel, beside fills that need no model."""

import math
from typing import NamedTuple

import numpy as np

from keras_gan.metrics import neighbours


class Distance(NamedTuple):
    """A mean squared distance per missing pixel.

    Args:
        mean: over the images.
        stderr: of that mean.
    """

    mean: float
    stderr: float


def distance(left: np.ndarray, right: np.ndarray, mask: np.ndarray) -> Distance:
    """Compare images pixel by pixel where they are missing.

    Args:
        left: [n, H, W, C] in [0, 1].
        right: [n, H, W, C].
        mask: [H, W, 1], 0 where a pixel is missing.
    """
    missing = mask[..., 0] == 0
    squares = np.square(left[:, missing].astype(np.float64) - right[:, missing])
    means = squares.reshape(len(left), -1).mean(axis=1)
    return Distance(float(means.mean()), float(means.std() / math.sqrt(len(means))))


def nearest_fill(images: np.ndarray, mask: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Fill in what the training image has there whose known pixels are the nearest ones.

    Args:
        images: [n, H, W, C].
        mask: [H, W, 1], 1 where a pixel is known.
        train: [m, H, W, C].
    """
    _, indices = neighbours.nearest(images * mask, train * mask)
    return np.where(mask > 0, images, train[indices])


def another_of_its_class(labels: np.ndarray, *, seed: int) -> np.ndarray:
    """Choose for each image another one of the same class: its number, int64 [n].

    Args:
        labels: class numbers [n]; an image that is alone in its class gets itself.
        seed: of the choice.
    """
    rng = np.random.default_rng(seed)
    chosen = np.arange(len(labels))
    for number in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == number))
        chosen[members] = np.roll(members, 1)
    return chosen
