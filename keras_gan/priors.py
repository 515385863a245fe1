"""Distributions of z, and randomness as a function of (seed, stream, step, replica).

Nothing here keeps state. A step's noise and masks depend on the step's number alone, so a resumed
run draws what the uninterrupted run would have drawn, and no two replicas draw the same. A sample's
noise depends on its image's seed alone, so it is the same in every batch, here and on a server.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Streams: one for each use of randomness, so that no two uses share numbers.
(
    DISCRIMINATOR_NOISE,
    GENERATOR_NOISE,
    REAL_MASKS,  # D on real images
    FAKE_MASKS,  # D on generated images, in its own step
    GENERATOR_STEP_MASKS,  # D on generated images, in G's step
    OWN_MASKS,  # G, in D's step
    OWN_GENERATOR_STEP_MASKS,  # G, in its own step
    INFERENCE_NOISE,  # z that an encoder learns to find
    ENCODER_MASKS,
    KNOWN_PIXELS,  # which pixels of an image are known
    SECOND_NOISE,  # z of another image of the same c
    SECOND_MASKS,
    ENCODER_GENERATOR_STEP_MASKS,  # an encoder, in G's own step
) = range(1, 14)


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


def uniforms(seeds: tf.Tensor, n: int) -> tf.Tensor:
    """Draw `n` numbers for each seed, as a function of that seed alone.

    SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators") from
    the mixed seed, for all seeds at once: a loop over TensorFlow's own stateless draws, which take
    one key each, costs 12 microseconds an image, as much as the paper's generator.

    Args:
        seeds: int64 [B].
        n: how many for each.

    Returns:
        float32 [B, n], multiples of 2**-24 in (0, 1).
    """
    start = _mix(tf.bitcast(seeds, tf.uint64))[:, None]  # [B, 1]
    # numpy's: inside a graph, tf.constant takes a list of such large numbers through float64.
    counter = tf.constant(np.arange(1, n + 1, dtype=np.uint64) * np.uint64(_GAMMA))
    bits = tf.bitwise.right_shift(_mix(start + counter), _wide(64 - 23))  # [B, n]
    # 23 bits and a half: exact in float32, and neither 0 nor 1, where quantiles are infinite.
    return (tf.cast(tf.bitcast(bits, tf.int64), tf.float32) + 0.5) * 2.0**-23


_GAMMA = 0x9E3779B97F4A7C15


def _mix(words: tf.Tensor) -> tf.Tensor:
    """Scramble uint64 numbers, one to one: the output function of SplitMix64."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        shifted = tf.bitwise.right_shift(words, _wide(shift))
        words = tf.bitwise.bitwise_xor(words, shifted) * _wide(factor)
    return words


def _wide(number: int) -> tf.Tensor:
    return tf.constant(np.uint64(number))


class Prior:
    """A distribution on R^d from which z is drawn.

    Args:
        dimension: d, at least 1.
    """

    has_centre = True  # to which truncation brings draws nearer

    def __init__(self, dimension: int):
        if dimension < 1:
            raise ValueError(f"Expected dimension of at least 1; received dimension={dimension}.")
        self.dimension = dimension

    def sample(self, n: Any, draw: tf.Tensor) -> tf.Tensor:
        """Draw `n` vectors as a function of `draw`, an int64 [2] key: float32 [n, dimension]."""
        raise NotImplementedError

    def quantile(self, shares: tf.Tensor) -> tf.Tensor:
        """Turn uniform numbers in (0, 1), float32 [n, dimension], into draws of this prior."""
        raise NotImplementedError

    def latent(self, seeds: Any, truncation: Any = 1.0) -> tf.Tensor:
        """Draw one vector for each seed, the same whatever other seeds are asked for with it.

        Args:
            seeds: int64 [n].
            truncation: float32 [n], or one number for all, in (0, 1]: the central share of each
                coordinate's distribution to draw from, for more typical, less various images.

        Returns:
            float32 [n, dimension].
        """
        shares = uniforms(tf.cast(seeds, tf.int64), self.dimension)
        central = tf.reshape(tf.convert_to_tensor(truncation, tf.float32), (-1, 1))
        return self.quantile(0.5 + central * (shares - 0.5))

    def contain(self, numbers: tf.Tensor) -> tf.Tensor:
        """Bring any numbers, float32 [n, dimension], smoothly to where this prior draws from."""
        return numbers

    def nearest(self, z: tf.Tensor) -> tf.Tensor:
        """Move vectors, float32 [n, dimension], to the nearest ones that this prior draws."""
        return z

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"dimension": self.dimension}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Prior":
        """Make a prior from `get_config`'s answer."""
        return cls(**config)


@keras.saving.register_keras_serializable("keras_gan")
class Uniform(Prior):
    """U(-sqrt(3), sqrt(3)) in each of `dimension` dimensions; the paper's for MNIST.

    Args:
        dimension: d, at least 1.
    """

    def sample(self, n: Any, draw: tf.Tensor) -> tf.Tensor:
        """Draw `n` vectors as a function of `draw`: float32 [n, dimension]."""
        limit = math.sqrt(3.0)
        return tf.random.stateless_uniform((n, self.dimension), draw, -limit, limit)

    def quantile(self, shares: tf.Tensor) -> tf.Tensor:
        """Stretch (0, 1) to the prior's range."""
        return (2.0 * shares - 1.0) * math.sqrt(3.0)

    def contain(self, numbers: tf.Tensor) -> tf.Tensor:
        """Bend the numbers into the range: odd about its centre, where an encoder starts."""
        return math.sqrt(3.0) * tf.tanh(numbers)

    def nearest(self, z: tf.Tensor) -> tf.Tensor:
        """Cut each coordinate off at the range's ends."""
        return tf.clip_by_value(z, -math.sqrt(3.0), math.sqrt(3.0))


@keras.saving.register_keras_serializable("keras_gan")
class Normal(Prior):
    """N(0, 1) in each of `dimension` dimensions; the paper's for TFD and CIFAR-10.

    Args:
        dimension: d, at least 1.
    """

    def sample(self, n: Any, draw: tf.Tensor) -> tf.Tensor:
        """Draw `n` vectors as a function of `draw`: float32 [n, dimension]."""
        return tf.random.stateless_normal((n, self.dimension), draw)

    def quantile(self, shares: tf.Tensor) -> tf.Tensor:
        """Invert the normal distribution's cumulative function."""
        return tf.math.ndtri(shares)


@keras.saving.register_keras_serializable("keras_gan")
class Spherical(Prior):
    """Uniform on the sphere of radius sqrt(dimension): a normal prior of one length.

    Every point of it is as typical as any other, so that truncation must be 1.

    Args:
        dimension: d, at least 1.
    """

    has_centre = False

    def sample(self, n: Any, draw: tf.Tensor) -> tf.Tensor:
        """Draw `n` vectors as a function of `draw`: float32 [n, dimension]."""
        return self._onto_sphere(tf.random.stateless_normal((n, self.dimension), draw))

    def quantile(self, shares: tf.Tensor) -> tf.Tensor:
        """Take a normal draw's direction."""
        return self._onto_sphere(tf.math.ndtri(shares))

    def contain(self, numbers: tf.Tensor) -> tf.Tensor:
        """Take the direction."""
        return self._onto_sphere(numbers)

    def nearest(self, z: tf.Tensor) -> tf.Tensor:
        """Take the direction."""
        return self._onto_sphere(z)

    def _onto_sphere(self, z: tf.Tensor) -> tf.Tensor:
        return tf.math.l2_normalize(z, axis=1) * math.sqrt(self.dimension)


PRIORS: dict[str, type[Prior]] = {"uniform": Uniform, "normal": Normal, "spherical": Spherical}
