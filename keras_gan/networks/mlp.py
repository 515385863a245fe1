"""The paper's fully connected pair, sized to any image."""

import math

import keras
from keras import layers

from keras_gan.config import MaxoutMLP
from keras_gan.networks.layers import Maxout


def build(
    options: MaxoutMLP, *, latent: int, image_shape: tuple[int, int, int], seed: int, dtype: str
) -> tuple[keras.Model, keras.Model]:
    """Make the pair; for MNIST with default options 2,503,984 and 1,231,441 parameters.

    The generator has no dropout: noise enters only at the bottom. See `build_networks`.
    """
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))
    size = math.prod(image_shape)

    def dense(
        units: int, limit: float, name: str, activation: str | None = None, dtype: str = dtype
    ) -> layers.Layer:
        initializer = keras.initializers.RandomUniform(-limit, limit, seed=next(seeds))
        return layers.Dense(
            units, activation, kernel_initializer=initializer, name=name, dtype=dtype
        )

    limit = options.generator_range
    z = keras.Input((latent,), name="z")
    h = z
    for index, units in enumerate(options.generator_units):
        h = dense(units, limit, f"hidden_{index}", "relu")(h)
    h = dense(size, limit, "pixels", "sigmoid", "float32")(h)
    generator = keras.Model(z, layers.Reshape(image_shape, dtype="float32")(h), name="generator")

    limit = options.discriminator_range
    x = keras.Input(image_shape, name="x")
    h = layers.Flatten(dtype=dtype)(x)
    dropout = options.input_dropout
    for index, units in enumerate(options.discriminator_units):
        h = layers.Dropout(dropout, seed=next(seeds), dtype=dtype)(h)
        h = dense(units * options.pieces, limit, f"hidden_{index}")(h)
        h = Maxout(options.pieces, dtype=dtype)(h)
        dropout = options.hidden_dropout
    h = layers.Dropout(dropout, seed=next(seeds), dtype=dtype)(h)
    logits = dense(1, limit, "logits", dtype="float32")(h)
    return generator, keras.Model(x, logits, name="discriminator")
