"""Layers that Keras does not have."""

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops


def condition_input(conditions: int | tuple[int, ...]) -> Any:
    """Make the input c, float32 [B, conditions], or of maps laid flat; None if there are none."""
    numbers = math.prod(conditions) if isinstance(conditions, tuple) else conditions
    return keras.Input((numbers,), name="c") if numbers else None


def with_condition(inputs: Any, c: Any, dtype: str) -> Any:
    """Append c to vectors [B, d], or to images [B, H, W, C] as maps of one value each."""
    if c is None:
        return inputs
    if len(inputs.shape) == 4:
        c = keras.layers.Reshape((1, 1, c.shape[1]), dtype=dtype)(c)
        c = keras.layers.UpSampling2D(inputs.shape[1:3], dtype=dtype)(c)  # [B, H, W, conditions]
    return keras.layers.Concatenate(dtype=dtype)([inputs, c])


@keras.saving.register_keras_serializable("keras_gan")
class Maxout(keras.layers.Layer):
    """The largest of several linear pieces (Goodfellow et al. 2013, "Maxout Networks").

    Maps [..., pieces * units] to [..., units]; put it behind a `Dense` of `pieces * units` units or
    a convolution of as many channels.

    Args:
        pieces: linear pieces of each unit.
    """

    looks_at_each_alone = True

    def __init__(self, pieces: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.pieces = pieces

    def call(self, inputs: Any) -> Any:
        """Take the maximum over the pieces."""
        *rest, channels = inputs.shape
        pieces = ops.reshape(inputs, (-1, *rest[1:], self.pieces, channels // self.pieces))
        # The last axis would take twice as long, with its gradient, and a chain of maxima 1.3.
        return ops.max(pieces, axis=-2)  # [..., units]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Divide the last dimension by the number of pieces."""
        assert input_shape[-1] is not None
        return (*input_shape[:-1], input_shape[-1] // self.pieces)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "pieces": self.pieces}


@keras.saving.register_keras_serializable("keras_gan")
class Dropout(keras.layers.Dropout):
    """Keras's dropout from 16 random bits a number, where it draws 32: two thirds of the time.

    Args:
        rate: share of the inputs that is dropped, in [0, 1); the others are divided by what is
            left. It is kept to 1/65536.
    """

    looks_at_each_alone = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop some, if training."""
        if not training or not self.rate:
            return inputs
        *rest, width = tf.unstack(tf.shape(inputs))
        words = tf.random.stateless_uniform(
            (*rest, (width + 1) // 2), self.seed_generator.next(), None, None, tf.int32
        )
        bits = tf.reshape(tf.bitcast(words, tf.int16), (*rest, -1))[..., :width]
        kept = bits >= round(self.rate * 2**16) - 2**15
        return tf.where(kept, inputs / (1.0 - self.rate), tf.zeros((), inputs.dtype))


@keras.saving.register_keras_serializable("keras_gan")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalization of images, in training on one device by TensorFlow's own kernel.

    It reads the images twice where Keras's operations read them six times, and takes bfloat16 as it
    is; the statistics are float32. Replicas that share theirs (`synchronized`) train as in Keras.
    """

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        """Normalise images [B, H, W, C] to the mean and variance of each channel."""
        if not (training and self.trainable) or self.synchronized:
            return super().call(inputs, training=training, mask=mask)
        images, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma.value, self.beta.value, epsilon=self.epsilon
        )
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        kept = ((self.moving_mean, mean), (self.moving_variance, variance * (1.0 - 1.0 / count)))
        for average, new in kept:
            average.assign(average * self.momentum + new * (1.0 - self.momentum))
        return images


@keras.saving.register_keras_serializable("keras_gan")
class PixelBias(keras.layers.Layer):
    """Adds a bias of its own to each pixel, and applies an activation.

    Args:
        activation: as in Keras.
    """

    looks_at_each_alone = True

    def __init__(self, activation: str = "linear", **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = activation

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the biases, [H, W, C], all 0."""
        self.bias = self.add_weight(shape=input_shape[1:], initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Add the biases to images [B, H, W, C]."""
        return keras.activations.get(self.activation)(inputs + self.bias)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "activation": self.activation}


@keras.saving.register_keras_serializable("keras_gan")
class WholeMaxPooling(keras.layers.Layer):
    """Max pooling of stride 2 whose last window may reach over the edge, as Pylearn2's does.

    Maps [B, H, W, C] to [B, ceil((H - size) / 2) + 1, ceil((W - size) / 2) + 1, C]. (Keras's "same"
    would put half of what is missing before the first pixel, and "valid" would drop the edge.)

    Args:
        size: side of a window, at most H and W.
    """

    looks_at_each_alone = True

    def __init__(self, size: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs: Any) -> Any:
        """Take the maximum of each window."""
        missing = [(side - self.size) % 2 for side in inputs.shape[1:3]]
        # The edge repeated never wins over the pixels that it repeats.
        edges = [(0, 0), (0, missing[0]), (0, missing[1]), (0, 0)]
        inputs = ops.pad(inputs, edges, mode="symmetric") if any(missing) else inputs
        return ops.max_pool(inputs, self.size, strides=2, padding="valid")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Count the windows."""
        batch, *sides, channels = input_shape
        windows = [(side - self.size + 1) // 2 + 1 for side in sides if side is not None]
        return (batch, *windows, channels)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable("keras_gan")
class WeightNormalizedDense(keras.layers.Layer):
    """A dense layer whose units' weights have a direction and a length of their own.

    y = activation(scale * x v / |v| + bias) (Salimans and Kingma 2016, "Weight Normalization").

    Args:
        units: width of the output.
        activation: as in Keras.
        learn_scale: whether training moves the lengths; else they stay as `start_from` set them.
        seed: of the first directions.
    """

    looks_at_each_alone = True

    def __init__(
        self,
        units: int,
        activation: str = "linear",
        learn_scale: bool = True,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units, self.activation = units, activation
        self.learn_scale, self.seed = learn_scale, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the directions, [inputs, units], all scales 1 and all biases 0."""
        self.direction = self.add_weight(
            shape=(input_shape[-1], self.units),
            initializer=keras.initializers.RandomNormal(stddev=0.1, seed=self.seed),
            name="direction",
        )
        self.scale = self.add_weight(
            shape=(self.units,), initializer="ones", trainable=self.learn_scale, name="scale"
        )
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def _project(self, inputs: Any) -> Any:
        # Scaling [B, units] instead of the directions saves a pass over them, and its gradient.
        squares = ops.sum(ops.square(ops.cast(self.direction, "float32")), axis=0)
        length = ops.cast(ops.rsqrt(squares), inputs.dtype)
        return ops.matmul(inputs, ops.cast(self.direction, inputs.dtype)) * length

    def call(self, inputs: Any) -> Any:
        """Map [B, inputs] to [B, units]."""
        y = self._project(inputs)
        y = y * ops.cast(self.scale, y.dtype) + ops.cast(self.bias, y.dtype)
        return keras.activations.get(self.activation)(y)

    def start_from(self, inputs: Any) -> None:
        """Set scale and bias so that, before the activation, these inputs give mean 0, deviation 1.

        Args:
            inputs: float32 [B, inputs].
        """
        y = ops.cast(self._project(inputs), "float32")
        scale = 1.0 / (ops.std(y, axis=0) + 1e-3)
        self.scale.assign(scale)
        self.bias.assign(-ops.mean(y, axis=0) * scale)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Replace the last dimension by the units."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": self.activation,
            "learn_scale": self.learn_scale,
            "seed": self.seed,
        }
