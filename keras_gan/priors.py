"""Distributions of z, and randomness as a function of (seed, stream, step, replica).

Nothing here keeps state. A step's noise and masks depend on the step's number alone, so a resumed
run draws what the uninterrupted run would have drawn, and no two replicas draw the same.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

# Streams: one for each use of randomness, so that no two uses share numbers.
(
    SAMPLES,
    DISCRIMINATOR_NOISE,
    GENERATOR_NOISE,
    REAL_MASKS,  # D on real images
    FAKE_MASKS,  # D on generated images, in its own step
    GENERATOR_STEP_MASKS,  # D on generated images, in G's step
    OWN_MASKS,  # G, in D's step
    OWN_GENERATOR_STEP_MASKS,  # G, in its own step
) = range(8)


MAX_REPLICAS, MAX_RETRIES = 2**16, 2**7


def key(seed: int, stream: int, step: Any, replica: Any = 0) -> tf.Tensor:
    """Make the key of a stateless draw; different arguments always give different keys.

    Args:
        seed: the run's seed, in [0, 2**32).
        stream: what the numbers are for, in [0, 2**8).
        step: the number of the step, an int or an int64 scalar.
        replica: the number of the replica, in [0, MAX_REPLICAS), plus MAX_REPLICAS for each time
            that a run was rolled back, below MAX_RETRIES.

    Returns:
        int64 [2].
    """
    source = tf.cast(replica, tf.int64) * 2**40 + (stream * 2**32 + seed)
    return tf.stack([source, tf.cast(step, tf.int64)])


@contextlib.contextmanager
def masks(network: keras.Model, draw: tf.Tensor) -> Iterator[None]:
    """Make every random layer of `network` (dropout, noise) draw as a function of `draw`.

    Keras layers keep a counter in a variable, which replicas share and weight files forget. Inside
    this context each counter starts from a draw of its own instead. Other variables that the
    network assigns (the averages of batch normalization) are assigned when the context ends.

    Args:
        network: any built Keras model.
        draw: int64 [2] from `key`.
    """
    counters = _random_counters(network)
    if not counters:
        yield
        return
    # Keras keeps 31 bits of a counter: a draw makes each of them depend on the whole key.
    starts = tf.random.stateless_uniform((len(counters), 2), draw, 0, 2**31 - 1, tf.int64)
    values = zip(counters, tf.unstack(starts), strict=True)
    with keras.StatelessScope(state_mapping=list(values)) as scope:
        yield
    ours = {id(counter) for counter in counters}
    for variable in network.non_trainable_variables:
        value = None if id(variable) in ours else scope.get_current_value(variable)
        if value is not None:
            variable.assign(value)


def _random_counters(network: keras.Model) -> list[Any]:
    # `variables` holds the random counters, `weights` does not.
    weights = {id(weight) for weight in network.weights}
    return [variable for variable in network.variables if id(variable) not in weights]


class Prior:
    """A distribution on R^d from which z is drawn."""

    def __init__(self, dimension: int):
        if dimension < 1:
            raise ValueError(f"Expected dimension of at least 1; received dimension={dimension}.")
        self.dimension = dimension

    def sample(self, n: Any, draw: tf.Tensor) -> tf.Tensor:
        """Draw `n` vectors as a function of `draw`, an int64 [2] key: float32 [n, dimension]."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"dimension": self.dimension}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Prior":
        """Make a prior from `get_config`'s answer."""
        return cls(**config)


@keras.saving.register_keras_serializable("keras_gan")
class Uniform(Prior):
    """U(-sqrt(3), sqrt(3)) in each of `dimension` dimensions; the paper's for MNIST."""

    def sample(self, n: Any, draw: tf.Tensor) -> tf.Tensor:
        """Draw `n` vectors as a function of `draw`: float32 [n, dimension]."""
        limit = math.sqrt(3.0)
        return tf.random.stateless_uniform((n, self.dimension), draw, -limit, limit)


@keras.saving.register_keras_serializable("keras_gan")
class Normal(Prior):
    """N(0, 1) in each of `dimension` dimensions; the paper's for TFD and CIFAR-10."""

    def sample(self, n: Any, draw: tf.Tensor) -> tf.Tensor:
        """Draw `n` vectors as a function of `draw`: float32 [n, dimension]."""
        return tf.random.stateless_normal((n, self.dimension), draw)


@keras.saving.register_keras_serializable("keras_gan")
class Spherical(Prior):
    """Uniform on the sphere of radius sqrt(dimension): a normal prior of one length."""

    def sample(self, n: Any, draw: tf.Tensor) -> tf.Tensor:
        """Draw `n` vectors as a function of `draw`: float32 [n, dimension]."""
        z = tf.random.stateless_normal((n, self.dimension), draw)
        return tf.math.l2_normalize(z, axis=1) * math.sqrt(self.dimension)


PRIORS: dict[str, type[Prior]] = {"uniform": Uniform, "normal": Normal, "spherical": Spherical}
