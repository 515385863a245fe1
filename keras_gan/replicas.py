"""What makes a step the same step on any number of replicas; each function is called on a replica.

Gradients are summed over replicas, so that losses are divided by their number. Noise is drawn for
the whole batch, so that an image's z does not depend on how many replicas share the batch.
"""

import math
from collections.abc import Callable
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
    return own_rows(prior.sample(n * number(), key), n)


def own_rows(drawn: tf.Tensor, n: Any) -> tf.Tensor:
    """Take this replica's `n` rows of what was drawn for all of them, [n * replicas, ...]."""
    if number() == 1:
        return drawn
    others = len(drawn.shape) - 1
    return tf.slice(drawn, (own() * n, *[0] * others), (n, *[-1] * others))


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
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if scaled and number() > 1:
        # It skips a step whose gradients overflow, and asks only its own replica's.
        over = tf.reduce_any([tf.reduce_any(~tf.math.is_finite(g)) for g in gradients])
        context = tf.distribute.get_replica_context()
        anywhere = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(over, tf.float32))
        gradients = [tf.where(anywhere > 0, math.nan, gradient) for gradient in gradients]
    if scaled or tf.distribute.has_strategy():
        optimizer.apply(gradients, weights)
    else:
        # Keras sums gradients even on one device, by a `tf.custom_gradient` that TensorFlow's
        # registry keeps for ever, and with it the step's graph. Outside of a replica it does not.
        context = tf.distribute.get_replica_context()
        context.merge_call(lambda _: optimizer.apply(gradients, weights))


def mean(values: tf.Tensor, axis: int | None = None) -> tf.Tensor:
    """Average over the values of all replicas, each of which has as many; or over their rows."""
    own_mean = tf.reduce_mean(values, axis)
    if number() == 1:
        return own_mean
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, own_mean)


def best(logits: tf.Tensor, share: float) -> tf.Tensor:
    """Weigh each of this replica's values: 0, or alike if it is among the best of all replicas'.

    Args:
        logits: float [m] on each replica.
        share: of the values that are the best, in (0, 1]; at least one is, and ties are broken by
            their order.

    Returns:
        float32 [m]: the weights of all replicas together have the mean 1.
    """
    n, every = rows(logits), logits
    if number() > 1:
        every = tf.distribute.get_replica_context().all_gather(logits, axis=0)
    total = n * number()
    count = tf.maximum(1, tf.cast(tf.round(share * tf.cast(total, tf.float32)), tf.int32))
    order = tf.argsort(every, direction="DESCENDING", stable=True)
    weight = tf.cast(total, tf.float32) / tf.cast(count, tf.float32)
    chosen = tf.where(tf.range(total) < count, weight, 0.0)
    weights = tf.scatter_nd(order[:, None], chosen, (total,))
    return tf.slice(weights, (own() * n,), (n,))


def either(
    wanted: tf.Tensor, one: Callable[[], None], other: Callable[[], None], variables: list[Any]
) -> None:
    """Take one of two steps; the other one leaves nothing behind.

    On one device it is not computed either. Under a strategy both are, and what the wanted one left
    is kept: TensorFlow has replicas sum nothing inside a branch, even where all take the same.

    Args:
        wanted: whether it is the first; a bool scalar, the same on every replica.
        one: the first.
        other: the second.
        variables: of Keras, all that they change.
    """
    if not tf.distribute.has_strategy():
        tf.cond(wanted, lambda: _run(one), lambda: _run(other))
        return
    held = [variable.value for variable in variables]
    before = [tf.identity(variable) for variable in held]
    one()
    left = [tf.identity(variable) for variable in held]
    _put(held, before)
    other()
    _put(held, [tf.where(wanted, a, b) for a, b in zip(left, held, strict=True)])


def _run(step: Callable[[], None]) -> tf.Tensor:
    step()
    return tf.constant(0)  # branches must return something


def _put(variables: list[tf.Variable], values: list[tf.Tensor]) -> None:
    """Give each replica's copies its own values."""

    def put_all(strategy: tf.distribute.Strategy, values: list[tf.Tensor]) -> None:
        for variable, value in zip(variables, values, strict=True):
            strategy.extended.update(variable, lambda v, new: v.assign(new), args=(value,))

    tf.distribute.get_replica_context().merge_call(put_all, args=(values,))


def follow(average: keras.Model, network: keras.Model, rate: tf.Tensor) -> None:
    """Move an average's weights towards a network's; each replica its own copy, unasked.

    Args:
        average: moves.
        network: of the same weights.
        rate: share of the way, in [0, 1].
    """

    def move(mean: tf.Variable, weight: tf.Tensor, rate: tf.Tensor) -> None:
        # Adding in place what is scaled on the way saves a pass over the weights, of three.
        tf.raw_ops.ResourceApplyGradientDescent(var=mean.handle, alpha=rate, delta=mean - weight)

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
