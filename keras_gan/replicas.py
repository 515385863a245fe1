"""What makes a step the same step on any number of replicas; each function is called on a replica.

Gradients are summed over replicas, so that losses are divided by their number. Noise is drawn for
the whole batch, so that an image's z does not depend on how many replicas share the batch.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_gan import priors


def number() -> int:
    """Count the replicas that play."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def own() -> Any:
    """Return the number of this replica, an int or a scalar."""
    context = tf.distribute.get_replica_context()
    return context.replica_id_in_sync_group if context else 0


def draw(prior: priors.Prior, n: Any, key: tf.Tensor) -> tf.Tensor:
    """Draw what is this replica's of one draw for all of them.

    Args:
        prior: the distribution of z.
        n: vectors for each replica.
        key: int64 [2], the same on every replica.

    Returns:
        float32 [n, d].
    """
    if number() == 1:
        return prior.sample(n, key)
    return tf.slice(prior.sample(n * number(), key), (own() * n, 0), (n, -1))


def share(loss: tf.Tensor, optimizer: keras.optimizers.Optimizer) -> tf.Tensor:
    """Divide a replica's mean loss by the number of replicas, and scale it for float16."""
    return optimizer.scale_loss(loss / number())


def scaling(
    optimizer: keras.optimizers.Optimizer, networks: tuple[keras.Model, ...]
) -> keras.optimizers.Optimizer:
    """Wrap an optimizer in Keras's `LossScaleOptimizer` where layers compute in float16."""
    half = any(layer.compute_dtype == "float16" for net in networks for layer in net.layers)
    if not half or isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


def apply(
    optimizer: keras.optimizers.Optimizer, gradients: list[tf.Tensor], weights: list[Any]
) -> None:
    """Move the weights on every replica by the sum of all replicas' gradients."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) and number() > 1:
        # It skips a step whose gradients overflow, and asks only its own replica's.
        over = tf.reduce_any([tf.reduce_any(~tf.math.is_finite(g)) for g in gradients])
        context = tf.distribute.get_replica_context()
        anywhere = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(over, tf.float32))
        gradients = [tf.where(anywhere > 0, math.nan, gradient) for gradient in gradients]
    optimizer.apply(gradients, weights)


def follow(average: keras.Model, network: keras.Model, rate: tf.Tensor) -> None:
    """Move an average's weights towards a network's; each replica its own copy, unasked.

    Args:
        average: moves.
        network: of the same weights.
        rate: share of the way, in [0, 1].
    """

    def move(mean: tf.Variable, weight: tf.Tensor, rate: tf.Tensor) -> None:
        mean.assign_add(rate * (weight - mean))

    def move_all(strategy: tf.distribute.Strategy, rate: tf.Tensor) -> None:
        for mean, weight in zip(average.weights, network.weights, strict=True):
            strategy.extended.update(mean.value, move, args=(weight.value, rate))

    tf.distribute.get_replica_context().merge_call(move_all, args=(rate,))


def log_value(mean: keras.metrics.Mean) -> tf.Tensor:
    """Return what `train_step` logs of a mean, from which Keras takes the mean over replicas."""
    # Over workers it wants a first axis for that (keras issue 20585).
    several = isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)
    return mean.result()[None] if several else mean.result()


def rows(images: tf.Tensor) -> Any:
    """Count a batch's rows; an int where it is known, as XLA and TPUs want it."""
    return images.shape[0] or tf.shape(images)[0]
