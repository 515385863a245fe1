"""What an encoder learns: which z an image was made from (section 7, extension 2)."""

from typing import Any

import keras
import tensorflow as tf

from keras_gan import conditions, priors, replicas
from keras_gan.conditions import joined


def expect_fitting(
    encoder: keras.Model, generator: keras.Model, condition: conditions.Condition
) -> None:
    """Refuse an encoder that does not lead from a generator's images to its z.

    Args:
        encoder: images -> numbers; told c if the generator is.
        generator: z -> images.
        condition: what the generator is told.

    Raises:
        ValueError: if shapes or what they are told differ.
    """
    width = conditions.width_of(encoder, "encoder")
    shapes = (encoder.inputs[0].shape[1:], encoder.output_shape[1:])
    wanted = (generator.output_shape[1:], generator.inputs[0].shape[1:])
    if shapes != wanted or width != condition.width:
        raise ValueError(
            f"Expected an encoder from images {wanted[0]} to {wanted[1][0]} numbers, told "
            f"{condition.width}; received one from {shapes[0]} to {shapes[1][0]} numbers, told "
            f"{width}."
        )


def encode(
    encoder: keras.Model,
    prior: priors.Prior,
    images: tf.Tensor,
    c: Any = None,
    training: bool = False,
) -> tf.Tensor:
    """Say which z, float32 [B, d] that the prior can draw, images [B, H, W, C] were made from."""
    numbers = encoder(joined(images, c), training=training)
    return prior.contain(tf.cast(numbers, tf.float32))


def step(
    encoder: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    prior: priors.Prior,
    images: tf.Tensor,
    z: tf.Tensor,
    c: Any,
    key: tf.Tensor,
) -> tf.Tensor:
    """Descend the encoder's gradient of the mean of (E(x) - z)**2 on samples x = G(z).

    Args:
        encoder: E, which moves.
        optimizer: of E, built.
        prior: of z.
        images: x, float32 [B, H, W, C] in [0, 1]; nothing reaches what made them.
        z: float32 [B, d].
        c: what a conditional pair was told, float32 [B, conditions].
        key: of this replica's masks.

    Returns:
        This replica's mean error, per dimension; the prior's variance is 1.
    """
    weights = encoder.trainable_variables
    with tf.GradientTape() as tape, priors.masks(encoder, key):
        found = encode(encoder, prior, images, c, training=True)
        error = tf.reduce_mean(tf.square(found - z))
        total = replicas.share(error, optimizer)
    replicas.apply(optimizer, tape.gradient(total, weights), weights)
    return error
