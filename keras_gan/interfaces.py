"""What the parts promise each other: shapes and ranges are written down once, here."""

from typing import Any, Protocol

import numpy as np

GRID_CLASSES = 32  # rows of a grid at most
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

    Raises:
        UserError: if they are not.
    """
    if n < 1 or not 0 <= seed < 2**32:
        raise UserError(f"Expected n of at least 1 and seed in [0, 2**32); received {n=}, {seed=}.")
    return (np.arange(n, dtype=np.uint64) + (np.uint64(seed) << np.uint64(32))).astype(np.int64)


def class_rows(classes: int, columns: int) -> np.ndarray:
    """Label the images of a grid with a row for each class: int64 [min(classes, 32) * columns]."""
    return np.repeat(np.arange(min(classes, GRID_CLASSES)), columns)


def expect_truncation(truncation: float, has_centre: bool = True) -> None:
    """Fail if a share of the prior is none, or is asked of a prior that has no centre.

    Raises:
        UserError: if so.
    """
    if not 0 < truncation <= 1:  # nan is not
        raise UserError(f"Expected truncation in (0, 1]; received {truncation=}.")
    if truncation < 1 and not has_centre:
        raise UserError(
            f"Expected truncation=1 of a spherical prior, which has no centre; received "
            f"{truncation=}."
        )


def expect_pictures(images: np.ndarray, image_shape: tuple[int | str, ...]) -> None:
    """Fail if images are not float32 [n, H, W, C] in [0, 1], n > 0; a size may be a name, for any.

    Raises:
        UserError: if so.
    """
    named = zip(images.shape[1:], image_shape, strict=False)
    fit = all(size == wanted or isinstance(wanted, str) for size, wanted in named)
    if images.ndim != 1 + len(image_shape) or not fit or images.dtype != np.float32:
        raise UserError(
            f"Expected float32 images of shape [n, {', '.join(map(str, image_shape))}]; received "
            f"{images.dtype} of shape {images.shape}."
        )
    if not len(images):
        raise UserError("Expected at least one image; received none.")
    if not ((images >= 0) & (images <= 1)).all():  # nan is not
        raise UserError(f"Expected images in [0, 1]; received {images.min()} to {images.max()}.")


def expect_puzzles(
    images: np.ndarray, masks: np.ndarray, image_shape: tuple[int, int, int]
) -> np.ndarray:
    """Fail if images and masks are not what can be completed; return a mask for each image.

    Raises:
        UserError: if so.
    """
    expect_pictures(images, image_shape)
    n, shape = len(images), tuple(image_shape)
    holes = (*shape[:2], 1)
    if masks.shape not in (holes, (n, *holes)) or not np.isin(masks, (0, 1)).all():
        raise UserError(
            f"Expected masks of 0 and 1 of shape {list(holes)}, or one for each of {n} images; "
            f"received shape {masks.shape}, from {masks.min()} to {masks.max()}."
        )
    return np.broadcast_to(masks, (n, *holes)).astype(np.float32)


class Sampler(Protocol):
    """Anything that draws images: a live GAN, an exported generator, a client of a server.

    Metrics and grids see a Sampler and nothing more. One of a conditional model draws its classes
    in turn, image i of class i % K, unless it is told others.
    """

    image_shape: tuple[int, int, int]

    def sample(self, n: int, *, seed: int) -> np.ndarray:
        """Draw `n` images, float32 [n, H, W, C] in [0, 1]; the same seed gives the same images."""
        ...


class ClassSampler(Sampler, Protocol):
    """A sampler of a conditional model; None classes if it is of another one after all."""

    num_classes: int | None

    def sample(self, n: int, *, seed: int, labels: Any = None) -> np.ndarray:
        """Draw `n` images of the classes that `labels`, int [n], asks for."""
        ...


class LatentSampler(Sampler, Protocol):
    """A sampler that also tells its latent vectors, and takes others."""

    def noise(self, n: int, *, seed: int) -> np.ndarray:
        """Draw the latent vectors, float32 [n, d], of the images that `sample` gives."""
        ...

    def generate(self, z: np.ndarray, labels: Any = None) -> np.ndarray:
        """Make images, float32 [n, H, W, C] in [0, 1], from latent vectors, float32 [n, d].

        Labels, int [n], are for conditional models.
        """
        ...


def generate_in_batches(
    sampler: LatentSampler, z: np.ndarray, labels: np.ndarray | None, batch_size: int
) -> np.ndarray:
    """Make images, float32 [n, H, W, C] in [0, 1], so many at once."""
    parts = [slice(i, i + batch_size) for i in range(0, len(z), batch_size)]
    return np.concatenate(
        [sampler.generate(z[part], None if labels is None else labels[part]) for part in parts]
    )
