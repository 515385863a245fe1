"""The paper's convolutional pair for CIFAR-10, sized to any image."""

import math

import keras
from keras import layers

from keras_gan.conditions import joined
from keras_gan.config import MaxoutConv
from keras_gan.interfaces import UserError
from keras_gan.networks.layers import (
    Dropout,
    Maxout,
    PixelBias,
    WholeMaxPooling,
    condition_input,
    with_condition,
)


def build(
    options: MaxoutConv,
    *,
    latent: int,
    image_shape: tuple[int, int, int],
    output: str,
    seed: int,
    dtype: str,
    conditions: int | tuple[int, int, int] = 0,
) -> tuple[keras.Model, keras.Model]:
    """Make the pair; for 32x32x3 with default options 64,825,072 and 12,454,073 parameters.

    A c joins z, and the image, as maps of one value each. See `build_networks`.
    """
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))
    height, width, channels = image_shape

    def uniform(limit: float) -> keras.initializers.Initializer:
        return keras.initializers.RandomUniform(-limit, limit, seed=next(seeds))

    limit = options.generator_range
    z = keras.Input((latent,), name="z")
    c = condition_input(conditions)
    h = with_condition(z, c, dtype)
    for index, units in enumerate(options.generator_units):
        h = layers.Dense(
            units, "relu", kernel_initializer=uniform(limit), name=f"hidden_{index}", dtype=dtype
        )(h)
    kernel, stride = options.kernel, options.stride
    rows, columns = (max(1, math.ceil((side - kernel) / stride) + 1) for side in (height, width))
    h = layers.Dense(
        rows * columns * options.channels,
        "sigmoid",
        kernel_initializer=uniform(limit),
        name="map",
        dtype=dtype,
    )(h)
    h = layers.Reshape((rows, columns, options.channels), dtype=dtype)(h)
    h = layers.Conv2DTranspose(
        channels,
        kernel,
        strides=stride,
        use_bias=False,
        kernel_initializer=uniform(options.output_range or limit),
        name="transposed",
        dtype=dtype,
    )(h)  # [B, (rows - 1) * stride + kernel, ..., C]
    extra = [(n - 1) * stride + kernel - side for n, side in ((rows, height), (columns, width))]
    if any(extra):
        h = layers.Cropping2D(tuple((n // 2, n - n // 2) for n in extra), dtype=dtype)(h)
    images = PixelBias(output, name="pixels", dtype="float32")(h)
    generator = keras.Model(joined(z, c), images, name="generator")

    limit = options.discriminator_range
    x = keras.Input(image_shape, name="x")
    c = told = condition_input(conditions)
    h = x
    dropout = options.input_dropout
    parts = zip(
        options.discriminator_channels, options.kernels, options.pads, options.pools, strict=True
    )
    for index, (count, kernel, pad, pool) in enumerate(parts):
        h = Dropout(dropout, seed=next(seeds), dtype=dtype)(h)
        if told is not None and isinstance(conditions, tuple):
            h = layers.Concatenate(dtype=dtype)([h, layers.Reshape(conditions, dtype=dtype)(c)])
        else:
            h = with_condition(h, told, dtype)
        told = None  # never dropped
        h = layers.ZeroPadding2D(pad, dtype=dtype)(h)
        if min(h.shape[1:3]) < kernel + pool - 1:
            raise UserError(
                f"Expected images large enough for convolution {index} of kernels={kernel} and "
                f"pools={pool}; received {height}x{width}. Try --set network=maxout_mlp, smaller "
                "network.kernels and network.pools, or larger images."
            )
        h = layers.Conv2D(
            count * options.pieces,
            kernel,
            kernel_initializer=uniform(limit),
            name=f"convolution_{index}",
            dtype=dtype,
        )(h)
        h = Maxout(options.pieces, dtype=dtype)(h)
        h = WholeMaxPooling(pool, dtype=dtype)(h)
        dropout = options.hidden_dropout
    h = layers.Flatten(dtype=dtype)(h)
    h = Dropout(dropout, seed=next(seeds), dtype=dtype)(h)
    h = layers.Dense(
        options.units * options.unit_pieces,
        kernel_initializer=uniform(limit),
        name="hidden",
        dtype=dtype,
    )(h)
    h = Maxout(options.unit_pieces, dtype=dtype)(h)
    h = Dropout(dropout, seed=next(seeds), dtype=dtype)(h)
    logits = layers.Dense(1, kernel_initializer=uniform(limit), name="logits", dtype="float32")(h)
    return generator, keras.Model(joined(x, c), logits, name="discriminator")
