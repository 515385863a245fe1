"""Moving averages of a network's weights: steadier than the weights of any one step."""

import math

import keras
import tensorflow as tf

from keras_gan import replicas


def copy(network: keras.Model) -> keras.Model:
    """Make a network of the same layers and weights, which no optimizer moves."""
    copied = network.__class__.from_config(network.get_config())
    if not copied.built:
        copied.build(network.input_shape)
    copied.trainable = False
    copied.set_weights(network.get_weights())
    return copied


def follow(
    average: keras.Model | None, network: keras.Model, decay: float, step: tf.Tensor
) -> None:
    """Move an average towards a network after a step; called on a replica.

    Corrected for its start as Adam's moments are: the weights after step t count decay**(now - t),
    and those before the first step nothing.

    Args:
        average: of `copy`; None for none.
        network: whose average it is.
        decay: per step, in (0, 1).
        step: int64, 0 for the first one.
    """
    if average is None:
        return
    now = tf.cast(step, tf.float32)
    rate = (decay - 1.0) / tf.math.expm1(math.log(decay) * (now + 1.0))
    replicas.follow(average, network, rate)
