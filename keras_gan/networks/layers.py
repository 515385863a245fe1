"""Layers that Keras does not have."""

from typing import Any

import keras
from keras import ops


def condition_input(conditions: int) -> Any:
    """Make the input c, float32 [B, conditions]; None if there are none."""
    return keras.Input((conditions,), name="c") if conditions else None


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

    def __init__(self, pieces: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.pieces = pieces

    def call(self, inputs: Any) -> Any:
        """Take the maximum over the pieces."""
        # A chain of maxima costs half of a reduction over an axis of five, with its gradient.
        result, *rest = ops.split(inputs, self.pieces, axis=-1)
        for piece in rest:
            result = ops.maximum(result, piece)
        return result  # [..., units]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Divide the last dimension by the number of pieces."""
        assert input_shape[-1] is not None
        return (*input_shape[:-1], input_shape[-1] // self.pieces)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "pieces": self.pieces}


@keras.saving.register_keras_serializable("keras_gan")
class PixelBias(keras.layers.Layer):
    """Adds a bias of its own to each pixel, and applies an activation.

    Args:
        activation: as in Keras.
    """

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
