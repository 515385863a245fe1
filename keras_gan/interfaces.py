"""What the parts promise each other: shapes and ranges are written down once, here."""

from typing import Protocol

import numpy as np

MAX_ROWS = 1024  # images in one request to an exported generator


class UserError(ValueError):
    """Input that the user can put right: a CLI prints its sentence and exits with code 2."""


class Stopped(Exception):  # noqa: N818
    """A run that ended before its time: a CLI prints its sentence and exits with this code."""

    exit_code = 3


class Preempted(Stopped):
    """A run that was ended from outside; the same command goes on with it."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


def image_seeds(n: int, seed: int) -> np.ndarray:
    """Number the images that `sample(n, seed=seed)` draws; each is a function of its number alone.

    Args:
        n: how many.
        seed: in [0, 2**32).

    Returns:
        int64 [n]: seed * 2**32, and one more for each image after the first.
    """
    return (np.arange(n, dtype=np.uint64) + (np.uint64(seed) << np.uint64(32))).astype(np.int64)


class Sampler(Protocol):
    """Anything that draws images: a live GAN, an exported generator, a client of a server.

    Metrics and grids see a Sampler and nothing more.
    """

    image_shape: tuple[int, int, int]

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        """Draw `n` images, float32 [n, H, W, C] in [0, 1]; the same seed gives the same images."""
        ...


class LatentSampler(Sampler, Protocol):
    """A sampler that also tells its latent vectors, and takes others."""

    def noise(self, n: int, *, seed: int) -> np.ndarray:
        """Draw the latent vectors, float32 [n, d], of the images that `sample` gives."""
        ...

    def generate(self, z: np.ndarray) -> np.ndarray:
        """Make images, float32 [n, H, W, C] in [0, 1], from latent vectors, float32 [n, d]."""
        ...
