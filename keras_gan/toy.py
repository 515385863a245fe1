"""The game on points in one or two dimensions, where everything can be seen and checked."""

from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_gan import priors
from keras_gan.densities import Mixture
from keras_gan.gan import GAN


def network(inputs: int, outputs: int, *, units: int, depth: int, seed: int) -> keras.Model:
    """Make a tanh network from points to points, or to logits."""
    x = keras.Input((inputs,))
    h = x
    for layer in range(depth):
        initializer = keras.initializers.GlorotUniform(seed=1000 * seed + layer)
        h = layers.Dense(units, "tanh", kernel_initializer=initializer)(h)
    initializer = keras.initializers.GlorotUniform(seed=1000 * seed + depth)
    return keras.Model(x, layers.Dense(outputs, kernel_initializer=initializer)(h))


def affine_generator(mean: float, deviation: float, dimension: int) -> keras.Model:
    """Make a generator whose p_g is known: z from N(0, 1) becomes N(mean, deviation ** 2)."""
    z = keras.Input((dimension,))
    layer = layers.Dense(dimension)
    model = keras.Model(z, layer(z))
    layer.set_weights([deviation * np.eye(dimension), np.full(dimension, mean)])
    return model


def game(
    generator: keras.Model,
    discriminator: keras.Model,
    *,
    d_rate: float = 1e-3,
    g_rate: float = 1e-3,
    prior: Literal["uniform", "normal"] = "normal",
    d_steps: int = 1,
    g_steps: int = 1,
    update: Literal["alternating", "simultaneous"] = "alternating",
    seed: int = 0,
) -> GAN:
    """Make a compiled GAN on points, with Adam on both sides."""
    gan = GAN(
        generator,
        discriminator,
        priors.PRIORS[prior](generator.input_shape[1]),
        d_steps=d_steps,
        g_steps=g_steps,
        update=update,
        seed=seed,
    )
    gan.compile(
        d_optimizer=keras.optimizers.Adam(d_rate, beta_1=0.5),
        g_optimizer=keras.optimizers.Adam(g_rate, beta_1=0.5),
    )
    return gan


def play(
    gan: GAN,
    data: Mixture,
    steps: int,
    *,
    batch_size: int = 256,
    move: Literal["both", "discriminator", "generator"] = "both",
) -> None:
    """Play rounds of the game on fresh points, or move one network alone against the other.

    Args:
        gan: from `game`.
        data: p_data.
        steps: rounds.
        batch_size: points per discriminator step.
        move: who learns.
    """
    chunk = 100
    rows = batch_size * gan.d_steps

    @tf.function
    def run(points: tf.Tensor) -> None:
        for batch in points:
            if move == "both":
                gan.train_step(batch)
                continue
            if move == "discriminator":
                gan.discriminator_step(batch)
            else:
                gan.generator_step(rows)
            gan.step.assign_add(1)

    rng = np.random.default_rng([gan.seed, int(gan.step.numpy())])
    for start in range(0, steps, chunk):
        count = min(chunk, steps - start)
        points = data.sample(count * rows, rng).reshape(count, rows, data.dimension)
        run(tf.constant(points))
