"""The paper's fully connected pair, sized to any image."""

import itertools
import math

import keras
import numpy as np
from keras import layers

from keras_gan.conditions import joined
from keras_gan.config import MaxoutMLP
from keras_gan.networks.layers import Dropout, Maxout, condition_input, with_condition


def build(
    options: MaxoutMLP,
    *,
    latent: int,
    image_shape: tuple[int, int, int],
    output: str,
    seed: int,
    dtype: str,
    conditions: int | tuple[int, int, int] = 0,
) -> tuple[keras.Model, keras.Model]:
    """Make the pair; for MNIST with default options 2,503,984 and 1,231,441 parameters.

    The generator has no dropout: noise enters only at the bottom. A c joins z, and the image behind
    its dropout. See `build_networks`.
    """
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))
    size = math.prod(image_shape)
    constraint = keras.constraints.MaxNorm(options.max_norm, axis=0) if options.max_norm else None

    def dense(
        units: int,
        initializer: keras.initializers.Initializer,
        name: str,
        activation: str | None = None,
        bias: float = 0.0,
        dtype: str = dtype,
    ) -> layers.Layer:
        return layers.Dense(
            units,
            activation,
            kernel_initializer=initializer,
            bias_initializer=keras.initializers.Constant(bias),
            kernel_constraint=constraint,
            name=name,
            dtype=dtype,
        )

    def uniform(limit: float) -> keras.initializers.Initializer:
        return keras.initializers.RandomUniform(-limit, limit, seed=next(seeds))

    limit = options.generator_range
    z = keras.Input((latent,), name="z")
    c = condition_input(conditions)
    h = with_condition(z, c, dtype)
    last = options.generator_activations[-1]
    activations = itertools.chain(options.generator_activations, itertools.repeat(last))
    for index, (units, activation) in enumerate(
        zip(options.generator_units, activations, strict=False)
    ):
        bias = options.sigmoid_bias if activation == "sigmoid" else 0.0
        h = dense(units, uniform(limit), f"hidden_{index}", activation, bias)(h)
    pixels = uniform(options.output_range or limit)
    if options.output_nonzero:
        pixels = Sparse(options.output_nonzero, seed=next(seeds))
    h = dense(size, pixels, "pixels", output, dtype="float32")(h)
    images = layers.Reshape(image_shape, dtype="float32")(h)
    generator = keras.Model(joined(z, c), images, name="generator")

    limit = options.discriminator_range
    x = keras.Input(image_shape, name="x")
    c = told = condition_input(conditions)
    h = layers.Flatten(dtype=dtype)(x)
    dropout = options.input_dropout
    for index, units in enumerate(options.discriminator_units):
        h = Dropout(dropout, seed=next(seeds), dtype=dtype)(h)
        h, told = with_condition(h, told, dtype), None  # never dropped
        h = dense(units * options.pieces, uniform(limit), f"hidden_{index}")(h)
        h = Maxout(options.pieces, dtype=dtype)(h)
        dropout = options.hidden_dropout
    h = Dropout(dropout, seed=next(seeds), dtype=dtype)(h)
    logits = dense(1, uniform(limit), "logits", dtype="float32")(h)
    return generator, keras.Model(joined(x, c), logits, name="discriminator")


@keras.saving.register_keras_serializable("keras_gan")
class Sparse(keras.initializers.Initializer):
    """A few weights of each unit from N(0, 1), the others 0 (Martens 2010, section 5).

    Args:
        nonzero: weights of each unit that are not 0.
        seed: of their places and values.
    """

    def __init__(self, nonzero: int, seed: int = 0):
        self.nonzero, self.seed = nonzero, seed

    def __call__(self, shape: tuple[int, int], dtype: str | None = None) -> np.ndarray:
        """Make weights [inputs, units]; with fewer inputs than `nonzero`, all are drawn."""
        rng = np.random.default_rng(self.seed)
        inputs, units = shape
        count = min(self.nonzero, inputs)
        weights = np.zeros((units, inputs), np.float32)
        for row in weights:
            row[rng.choice(inputs, count, replace=False)] = rng.standard_normal(count)
        return np.ascontiguousarray(weights.T).astype(dtype or "float32")

    def get_config(self) -> dict[str, int]:
        """Return the constructor's arguments."""
        return {"nonzero": self.nonzero, "seed": self.seed}
