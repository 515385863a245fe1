"""The only place pixels are rescaled: uint8 [0, 255] <-> float32 [0, 1], grids, sizes, files."""

import math
import os
from typing import Any

import numpy as np
from PIL import Image

from keras_gan.files import replacing

WHITE = 255


def to_float(images: Any) -> Any:
    """Rescale uint8 [0, 255] to float32 [0, 1]; takes numpy arrays and TensorFlow tensors."""
    if isinstance(images, np.ndarray):
        return images.astype(np.float32) / WHITE
    import tensorflow as tf

    return tf.cast(images, tf.float32) / WHITE


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Round float images in [0, 1] to uint8; values outside are clipped."""
    return np.rint(np.clip(images, 0.0, 1.0) * WHITE).astype(np.uint8)


def fit(image: np.ndarray, size: int) -> np.ndarray:
    """Crop the centre square of a uint8 [H, W, C] image and resize it, antialiased, to `size`.

    Args:
        image: uint8 [H, W, C], C of 1 or 3.
        size: the side of the result in pixels.

    Returns:
        uint8 [size, size, C].
    """
    height, width, channels = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    if side == size:
        return square
    picture = Image.fromarray(square[..., 0] if channels == 1 else square)
    resized = np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))
    return resized.reshape(size, size, channels)


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
