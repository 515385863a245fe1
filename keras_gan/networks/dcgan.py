"""A convolutional pair after Radford et al. 2015 (DCGAN), sized to any image."""

import functools

import keras
import tensorflow as tf
from keras import layers

from keras_gan.conditions import joined
from keras_gan.config import DCGAN
from keras_gan.networks.layers import BatchNormalization, Dropout, condition_input, with_condition


def build(
    options: DCGAN,
    *,
    latent: int,
    image_shape: tuple[int, int, int],
    output: str,
    seed: int,
    dtype: str,
    conditions: int | tuple[int, int, int] = 0,
) -> tuple[keras.Model, keras.Model]:
    """Make the pair; the image is halved, rounding up, until its smaller side is small enough.

    The generator normalises by batch; the discriminator does not, so that its answer on one image
    never depends on the others. A c joins z; the discriminator gets it as maps beside the image, or
    as a projection (Miyato and Koyama 2018): its last features times a vector that is linear in c
    are added to the logit. A c of maps goes down to z's map beside the way up, each size beside the
    one that is made of it (Ronneberger et al. 2015, "U-Net"), and to the discriminator beside the
    image. See `build_networks`.
    """
    height, width, channels = image_shape
    sizes = [(height, width)]
    while min(sizes[-1]) > options.smallest:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    filters = [options.filters * 2**level for level in range(len(sizes) - 1)]
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))

    # Replicas share the statistics of the whole batch.
    normalization = functools.partial(
        BatchNormalization,
        momentum=0.9,
        synchronized=tf.distribute.get_strategy().num_replicas_in_sync > 1,
        dtype=dtype,
    )

    def normal() -> keras.initializers.Initializer:
        return keras.initializers.RandomNormal(stddev=0.02, seed=next(seeds))

    top, left = sizes[-1]
    widest = filters[-1] * 2 if filters else options.filters
    z = keras.Input((latent,), name="z")
    c = condition_input(conditions)
    beside = []  # what is known of the image, at each size
    if isinstance(conditions, tuple):
        beside.append(layers.Reshape(conditions, dtype=dtype)(c))
        for count in filters:
            h = layers.Conv2D(
                count, 4, strides=2, padding="same", kernel_initializer=normal(), dtype=dtype
            )(beside[-1])
            beside.append(layers.LeakyReLU(0.2, dtype=dtype)(h))
    h = z if beside else with_condition(z, c, dtype)
    h = layers.Dense(top * left * widest, use_bias=False, kernel_initializer=normal(), dtype=dtype)(
        h
    )
    h = layers.Reshape((top, left, widest), dtype=dtype)(h)
    for level in reversed(range(len(filters))):
        h = normalization()(h)
        h = layers.ReLU(dtype=dtype)(h)
        if beside:
            h = layers.Concatenate(dtype=dtype)([h, beside[level + 1]])
        h = layers.Conv2DTranspose(
            filters[level],
            4,
            strides=2,
            padding="same",
            use_bias=False,
            kernel_initializer=normal(),
            dtype=dtype,
        )(h)
        extra = (2 * top - sizes[level][0], 2 * left - sizes[level][1])
        top, left = sizes[level]
        if any(extra):
            h = layers.Cropping2D(((0, extra[0]), (0, extra[1])), dtype=dtype)(h)
    h = normalization()(h)
    h = layers.ReLU(dtype=dtype)(h)
    if beside:
        h = layers.Concatenate(dtype=dtype)([h, beside[0]])
    images = layers.Conv2D(
        channels,
        3,
        padding="same",
        activation=output,
        kernel_initializer=normal(),
        name="pixels",
        dtype="float32",
    )(h)
    generator = keras.Model(joined(z, c), images, name="generator")

    x = keras.Input(image_shape, name="x")
    c = condition_input(conditions)
    h = x
    if output == "sigmoid":
        h = layers.Rescaling(2.0, offset=-1.0, dtype=dtype)(h)
    if isinstance(conditions, tuple):
        h = layers.Concatenate(dtype=dtype)([h, layers.Reshape(conditions, dtype=dtype)(c)])
    elif options.conditioning == "maps":
        h = with_condition(h, c, dtype)
    for count in filters or [options.filters]:
        h = layers.Conv2D(
            count, 4, strides=2, padding="same", kernel_initializer=normal(), dtype=dtype
        )(h)
        h = layers.LeakyReLU(0.2, dtype=dtype)(h)
        if options.dropout:
            h = Dropout(options.dropout, seed=next(seeds), dtype=dtype)(h)
    h = layers.Flatten(dtype=dtype)(h)
    logits = layers.Dense(1, kernel_initializer=normal(), name="logits", dtype="float32")(h)
    if c is not None and not beside and options.conditioning == "projection":
        direction = layers.Dense(
            h.shape[1],
            use_bias=False,
            kernel_initializer=normal(),
            name="projection",
            dtype="float32",
        )(c)  # [B, features]
        agreement = layers.Dot(axes=1, dtype="float32")([h, direction])
        logits = layers.Add(dtype="float32")([logits, agreement])
    return generator, keras.Model(joined(x, c), logits, name="discriminator")
