"""The only place pixels are made and rescaled: files, sizes, uint8 <-> float32 [0, 1], grids."""

import io
import math
import os
import pathlib
import warnings
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from keras_gan.files import replacing
from keras_gan.interfaces import UserError

WHITE = 255
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
FITS = ("crop", "pad", "stretch")

# A file's header is believed only so far: 16,000 x 16,000 pixels fit into a PNG of 750 kB.
MAX_PIXELS = 2**26
MIN_SIDE = 4
MAX_ASPECT = 32

# Pillow reports odd but readable files this way; what cannot be read is a BadImage.
warnings.filterwarnings("ignore", module=r"PIL\.")


class BadImage(ValueError):  # noqa: N818
    """A file that is no image to train on; the text is the reason."""


def to_float(images: Any) -> Any:
    """Rescale uint8 [0, 255] to float32 [0, 1]; takes numpy arrays and TensorFlow tensors."""
    if isinstance(images, np.ndarray):
        return images.astype(np.float32) / WHITE
    import tensorflow as tf

    return tf.cast(images, tf.float32) / WHITE


def to_uint8(images: Any) -> Any:
    """Round float images in [0, 1] to uint8; values outside are clipped.

    Takes numpy arrays and TensorFlow tensors.
    """
    if not isinstance(images, np.ndarray):
        import tensorflow as tf

        return tf.cast(tf.round(tf.clip_by_value(images, 0.0, 1.0) * WHITE), tf.uint8)
    return np.rint(np.clip(images, 0.0, 1.0) * WHITE).astype(np.uint8)


def decode(data: bytes, size: int = 0) -> Image.Image:
    """Read a PNG, JPEG, WebP, BMP or GIF (its first frame) as people see it, in 8 bits.

    It is turned as its EXIF data say and laid on white where it is transparent.

    Args:
        data: the file's content.
        size: the side it will be brought to, if known: a JPEG is then decoded at a half, a quarter
            or an eighth of its size, as long as that is at least twice what is wanted.

    Returns:
        A picture of mode "L" or "RGB".

    Raises:
        BadImage: if it is none of these, is cut short or damaged, or has absurd dimensions.
    """
    if not data:
        raise BadImage("an empty file")
    picture = _open(data)
    width, height = picture.size
    shape = f"{width} x {height} pixels"
    if width * height > MAX_PIXELS:
        raise BadImage(f"too large: {shape}, more than {MAX_PIXELS:,} in all")
    if min(width, height) < MIN_SIDE:
        raise BadImage(f"too small: {shape}, less than {MIN_SIDE} a side")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadImage(f"too long: {shape}, sides of more than {MAX_ASPECT} to 1")
    try:
        if size:
            picture.draft(None, (2 * size, 2 * size))
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
        return _eight_bit(picture)
    except Exception as error:  # damaged bytes raise whatever the decoder was doing
        raise BadImage(f"damaged: {error or type(error).__name__}") from error


def _open(data: bytes) -> Image.Image:
    """Read a file's header."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise BadImage("not a PNG, JPEG, WebP, BMP or GIF image") from None
    except Exception as error:
        raise BadImage(f"damaged: {error or type(error).__name__}") from error


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Bring a loaded picture of any mode to "L" or "RGB"."""
    if picture.mode.startswith("I;16"):  # convert("L") would clip at 255
        wide = np.asarray(picture).astype(np.uint32)
        return Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    grey = picture.mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, (WHITE, WHITE, WHITE, WHITE))
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return _in_mode(picture, "L" if grey else "RGB")


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    """Convert a picture, unless that would only copy it."""
    return picture if picture.mode == mode else picture.convert(mode)


def fit(picture: Image.Image, size: int, how: str = "crop") -> Image.Image:
    """Bring a picture to size x size pixels, antialiased.

    Args:
        picture: of mode "L" or "RGB".
        size: the side of the result in pixels.
        how: "crop" cuts out the centre square, "pad" adds white, "stretch" changes proportions.
    """
    width, height = picture.size
    if (width, height) == (size, size):
        return picture
    if how == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    elif how == "pad":
        scale = size / max(width, height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        canvas = Image.new(picture.mode, (size, size), "white")
        corner = ((size - inner[0]) // 2, (size - inner[1]) // 2)
        canvas.paste(picture.resize(inner, Image.Resampling.LANCZOS), corner)
        return canvas
    return picture.resize((size, size), Image.Resampling.LANCZOS)


def to_shape(picture: Image.Image, shape: tuple[int, int, int], how: str) -> np.ndarray:
    """Bring a picture to a shape: uint8 [H, W, C].

    Args:
        picture: of mode "L" or "RGB".
        shape: (H, W, C); only a square is ever made of a picture of another size.
        how: as `fit` has it.

    Raises:
        BadImage: if the picture is of another size and the shape is no square.
    """
    height, width, channels = shape
    if picture.size != (width, height):
        if width != height:
            raise BadImage(f"of another size: {picture.width} x {picture.height} pixels")
        picture = fit(picture, width, how)
    return pixels(picture, channels)


def read_images(
    path: str | os.PathLike[str], shape: tuple[int, int, int], how: str | None
) -> np.ndarray:
    """Read an image file, or a folder of them, in the order of their names.

    Args:
        path: of the file or folder: what `--images` says.
        shape: (H, W, C) to bring them to.
        how: as `fit` has it; None refuses images of another size.

    Returns:
        float32 [n, H, W, C] in [0, 1].

    Raises:
        UserError: if there are none, or one is no image, or of another size.
    """
    place = pathlib.Path(path)
    found = (
        sorted(file for file in place.iterdir() if file.is_file()) if place.is_dir() else [place]
    )
    if not found:
        raise UserError(f"Expected --images to have images; received {path}, which is empty.")
    read = []
    for file in found:
        try:
            picture = decode(file.read_bytes(), max(shape[:2]) if how else 0)
            if how is None and picture.size != (shape[1], shape[0]):
                raise BadImage(
                    f"of {picture.width}x{picture.height} pixels, not {shape[1]}x{shape[0]}"
                )
            read.append(to_shape(picture, shape, how or "crop"))
        except BadImage as error:
            raise UserError(
                f"Expected --images to be images; received {file}, which is {error}."
            ) from error
    return to_float(np.stack(read))


def has_colour(picture: Image.Image) -> bool:
    """Say whether a picture's channels differ by more than a JPEG of a grey one's may."""
    if picture.mode == "L":
        return False
    channels = np.asarray(picture).astype(np.int16)
    return bool(np.ptp(channels, axis=-1).max() > 32)


def pixels(picture: Image.Image, channels: int) -> np.ndarray:
    """Return a picture's pixels, uint8 [H, W, channels]; channels of 1 (grey) or 3."""
    picture = _in_mode(picture, "L" if channels == 1 else "RGB")
    return np.asarray(picture).reshape(picture.height, picture.width, channels)


def grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Lay images out in rows on one canvas.

    Args:
        images: float32 [n, H, W, C] in [0, 1], or uint8.
        columns: images in a row; the nearest to a square when None.

    Returns:
        uint8 [rows * (H + 1) - 1, columns * (W + 1) - 1, C], white between the images.
    """
    if images.dtype != np.uint8:
        images = to_uint8(images)
    n, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    canvas = np.full(
        (rows * (height + 1) - 1, columns * (width + 1) - 1, channels), WHITE, np.uint8
    )
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + 1), (index % columns) * (width + 1)
        canvas[top : top + height, left : left + width] = image
    return canvas


def write_png(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write one uint8 [H, W, C] image as PNG, whole or not at all."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG")
