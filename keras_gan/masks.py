"""Masks that say what is known of an image: by name, from a file, or as parts of it.

A mask is float32 [H, W, 1]: 1 where a pixel is known, 0 where it is missing and to be painted.
"""

import pathlib

import numpy as np

from keras_gan import images
from keras_gan.interfaces import UserError

SIDES = ("left", "right", "top", "bottom")
HELP = "left, right, top or bottom (that half), box:X,Y,WIDTH,HEIGHT in pixels, or a .png file"


def without(shape: tuple[int, ...], rows: slice, columns: slice) -> np.ndarray:
    """Make the mask of an image [H, W, ...] of which a rectangle is missing."""
    mask = np.ones((*shape[:2], 1), np.float32)
    mask[rows, columns] = 0.0
    return mask


def halves(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Make four masks, named after the half that is missing."""
    middle, centre, whole = shape[0] // 2, shape[1] // 2, slice(None)
    return {
        "left": without(shape, whole, slice(0, centre)),
        "right": without(shape, whole, slice(centre, None)),
        "top": without(shape, slice(0, middle), whole),
        "bottom": without(shape, slice(middle, None), whole),
    }


def typical(shape: tuple[int, ...], n: int) -> np.ndarray:
    """Make masks to look at: each half missing in turn, and the middle; float32 [n, H, W, 1]."""
    top, left = shape[0] // 4, shape[1] // 4
    middle = without(shape, slice(top, shape[0] - top), slice(left, shape[1] - left))
    kinds = np.stack([*halves(shape).values(), middle])
    return kinds[np.arange(n) % len(kinds)]


def quarters(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Make eight masks: each quarter missing, and each quarter all that is known."""
    parts = halves(shape)
    missing = [
        np.maximum(parts[one], parts[other])
        for one in ("top", "bottom")
        for other in ("left", "right")
    ]
    return missing + [1.0 - mask for mask in missing]


def named(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """Make the mask that a word names; what it names is missing.

    Args:
        text: one of `SIDES`, "box:X,Y,WIDTH,HEIGHT" with X and Y of the upper left corner, or a PNG
            file of the image's size, white where it is to be painted and black where it is known.
        shape: (H, W, ...) of the images.

    Raises:
        UserError: if it is none of these, lies outside, or leaves nothing to paint.
    """
    height, width = shape[:2]
    if text in SIDES:
        return halves(shape)[text]
    if text.startswith("box:"):
        left, top, wide, tall = _box(text)
        if min(wide, tall) < 1 or min(left, top) < 0 or left + wide > width or top + tall > height:
            raise UserError(
                f"Expected a box of at least one pixel inside {width}x{height} pixels, X,Y of its "
                f"upper left corner; received --mask={text}."
            )
        return without(shape, slice(top, top + tall), slice(left, left + wide))
    if not text.endswith(".png"):
        raise UserError(f"Expected --mask to be {HELP}; received --mask={text}.")
    return _read(pathlib.Path(text), height, width)


def _box(text: str) -> list[int]:
    numbers = text.removeprefix("box:").split(",")
    try:
        left, top, wide, tall = (int(number) for number in numbers)
    except ValueError:
        raise UserError(
            f"Expected four whole numbers, box:X,Y,WIDTH,HEIGHT; received --mask={text}."
        ) from None
    return [left, top, wide, tall]


def _read(path: pathlib.Path, height: int, width: int) -> np.ndarray:
    """Read a file of two values."""
    try:
        picture = np.asarray(images.decode(path.read_bytes()).convert("L"))
    except images.BadImage as error:
        raise UserError(f"Expected --mask to be a picture; received {path}, {error}.") from error
    if picture.shape != (height, width):
        raise UserError(
            f"Expected a mask of the images' size, {width}x{height} pixels; received {path} of "
            f"{picture.shape[1]}x{picture.shape[0]}."
        )
    values = np.unique(picture)
    if not set(values) <= {0, images.WHITE}:
        raise UserError(
            "Expected a mask of two values, white (255) where it is to be painted and black (0) "
            f"where pixels are known; received {path} with {len(values)} values, from "
            f"{values[0]} to {values[-1]}."
        )
    if not picture.any():
        raise UserError(f"Expected a mask with something to paint; received {path}, all black.")
    return (picture[..., None] == 0).astype(np.float32)
