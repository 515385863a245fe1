"""The game on points in one or two dimensions, where everything can be seen and checked."""

from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_gan import priors
from keras_gan.densities import Mixture
from keras_gan.gan import GAN

CHUNK = 100  # rounds whose points are drawn at once


def network(
    inputs: int, outputs: int, *, units: int, depth: int, seed: int, activation: str = "tanh"
) -> keras.Model:
    """Make a fully connected network from points to points, or to logits."""
    x = keras.Input((inputs,))
    h = x
    for layer in range(depth):
        initializer = keras.initializers.GlorotUniform(seed=1000 * seed + layer)
        h = layers.Dense(units, activation, kernel_initializer=initializer)(h)
    initializer = keras.initializers.GlorotUniform(seed=1000 * seed + depth)
    return keras.Model(x, layers.Dense(outputs, kernel_initializer=initializer)(h))


def affine_generator(mean: float, deviation: float, dimension: int) -> keras.Model:
    """Make a generator whose p_g is known: z from N(0, 1) becomes N(mean, deviation ** 2)."""
    z = keras.Input((dimension,))
    layer = layers.Dense(dimension)
    model = keras.Model(z, layer(z))
    layer.set_weights([deviation * np.eye(dimension), np.full(dimension, mean)])
    return model


class Game:
    """A GAN on points, with Adam on both sides.

    Args:
        data: p_data.
        generator: z, float32 [B, d'] -> points, float32 [B, d].
        discriminator: points -> logits [B, 1].
        d_rate: D's learning rate.
        g_rate: G's.
        prior: of z.
        d_steps: discriminator steps per round.
        g_steps: generator steps per round.
        batch_size: points per discriminator step.
        seed: of noise and data.
    """

    def __init__(
        self,
        data: Mixture,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        d_rate: float = 1e-3,
        g_rate: float = 1e-3,
        prior: Literal["uniform", "normal"] = "normal",
        d_steps: int = 1,
        g_steps: int = 1,
        batch_size: int = 256,
        seed: int = 0,
    ):
        self.data = data
        self.gan = GAN(
            generator,
            discriminator,
            priors.PRIORS[prior](generator.input_shape[1]),
            d_steps=d_steps,
            g_steps=g_steps,
            update="alternating",
            seed=seed,
        )
        self.gan.compile(
            d_optimizer=keras.optimizers.Adam(d_rate, beta_1=0.5),
            g_optimizer=keras.optimizers.Adam(g_rate, beta_1=0.5),
        )
        self._rows = batch_size * d_steps
        self._rng = np.random.default_rng(seed)
        signature = [tf.TensorSpec((None, self._rows, data.dimension))]
        self._moves = {
            "both": tf.function(self._both, signature),
            "discriminator": tf.function(self._discriminator, signature),
            "generator": tf.function(self._generator, signature),
        }

    def play(
        self, rounds: int, move: Literal["both", "discriminator", "generator"] = "both"
    ) -> None:
        """Play rounds on fresh points, or move one network alone against the other."""
        for start in range(0, rounds, CHUNK):
            count = min(CHUNK, rounds - start)
            points = self.data.sample(count * self._rows, self._rng)
            self._moves[move](points.reshape(count, self._rows, -1))

    def slow_down(self, factor: float) -> None:
        """Multiply both learning rates by `factor`."""
        for optimizer in (self.gan.d_optimizer, self.gan.g_optimizer):
            optimizer.learning_rate = float(optimizer.learning_rate.numpy()) * factor

    def _both(self, points: tf.Tensor) -> None:
        for batch in points:
            self.gan.train_step(batch)

    def _discriminator(self, points: tf.Tensor) -> None:
        for batch in points:
            self.gan.discriminator_step(batch)
            self.gan.step.assign_add(1)

    def _generator(self, points: tf.Tensor) -> None:
        for _ in points:
            self.gan.generator_step(self._rows)
            self.gan.step.assign_add(1)
