"""What the networks see, where that is not pixels in [0, 1]: an invertible step at the edges."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

BLANK = 1e-5  # deviation of an image's pixels that is rounding, not contrast


@keras.saving.register_keras_serializable("keras_gan")
class ContrastNormalization(keras.layers.Layer):
    """Global contrast normalisation: every image gets mean 0 and L2 norm 55.

    The paper's CIFAR-10 networks see images so (Goodfellow et al. 2013, "Maxout Networks"). What it
    takes from an image, its brightness and its contrast, a generated one never had: `restore` gives
    it those of an average image, which `adapt` measures.
    """

    NORM = 55.0

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the two numbers that `adapt` sets; checkpoints and exports hold them."""

        self.size = math.prod(side for side in input_shape[1:] if side)

        def number(value: float, name: str) -> Any:
            initializer = keras.initializers.Constant(value)
            return self.add_weight(shape=(), initializer=initializer, trainable=False, name=name)

        self.brightness = number(0.5, "brightness")
        # An average image's, if its pixels deviate from their mean by a quarter.
        self.contrast = number(0.25 * math.sqrt(self.size), "contrast")

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Normalise images, float32 [B, H, W, C] in [0, 1]; a blank one becomes zeros."""
        axes = tuple(range(1, len(images.shape)))
        centred = images - tf.reduce_mean(images, axes, keepdims=True)
        norm = tf.sqrt(tf.reduce_sum(tf.square(centred), axes, keepdims=True))
        # What rounding leaves of a blank image is no contrast.
        least = BLANK * math.sqrt(self.size)
        return self.NORM * tf.where(norm > least, tf.math.divide_no_nan(centred, norm), 0.0)

    def restore(self, values: Any, brightness: Any = None, contrast: Any = None) -> Any:
        """Turn what the networks make into pixels, clipped to [0, 1].

        Args:
            values: float32 [B, H, W, C].
            brightness: the images' means; an average image's if None.
            contrast: the L2 norms of their differences from that; likewise. With both of an image's
                own, the result is the image.
        """
        brightness = self.brightness if brightness is None else brightness
        contrast = self.contrast if contrast is None else contrast
        return tf.clip_by_value(brightness + contrast / self.NORM * values, 0.0, 1.0)

    def adapt(self, images: np.ndarray) -> None:
        """Measure an average image's brightness and contrast.

        Args:
            images: float32 [n, H, W, C] in [0, 1].
        """
        rows = images.reshape(len(images), -1).astype(np.float64)
        means = rows.mean(axis=1, keepdims=True)
        self.brightness.assign(means.mean())
        self.contrast.assign(np.linalg.norm(rows - means, axis=1).mean())
