"""Keras alone: a model whose train_step is written as Keras's own GAN examples write it.

python plain_keras.py {mlp,conv} {float32,bfloat16} IMAGES.npy
"""

import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import turns
from keras import layers, ops

LATENT = 100
EPOCH = 20  # steps; a turn is a multiple


class Maxout(layers.Layer):
    """The largest of five linear pieces."""

    def call(self, inputs: Any) -> Any:
        """Map [B, 5 * units] to [B, units]."""
        return ops.max(ops.reshape(inputs, (-1, inputs.shape[-1] // 5, 5)), axis=-1)


def mlp() -> tuple[keras.Model, keras.Model]:
    """Build the paper's pair for MNIST."""
    generator = keras.Sequential(
        [
            keras.Input((LATENT,)),
            layers.Dense(1200, "relu"),
            layers.Dense(1200, "relu"),
            layers.Dense(784, "sigmoid", dtype="float32"),
            layers.Reshape((28, 28, 1), dtype="float32"),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(1200),
            Maxout(),
            layers.Dropout(0.5),
            layers.Dense(1200),
            Maxout(),
            layers.Dropout(0.5),
            layers.Dense(1, dtype="float32"),
        ]
    )
    return generator, discriminator


def conv() -> tuple[keras.Model, keras.Model]:
    """Build a DCGAN for 32x32: 32 channels next to the image, 256 next to z."""
    g: list[Any] = [
        keras.Input((LATENT,)),
        layers.Dense(4 * 4 * 256, use_bias=False),
        layers.Reshape((4, 4, 256)),
    ]
    for filters in (128, 64, 32):
        g += [
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False),
        ]
    g += [layers.BatchNormalization(momentum=0.9), layers.ReLU()]
    g += [layers.Conv2D(3, 3, padding="same", activation="sigmoid", dtype="float32")]
    d: list[Any] = [keras.Input((32, 32, 3)), layers.Rescaling(2.0, offset=-1.0)]
    for filters in (32, 64, 128):
        d += [layers.Conv2D(filters, 4, strides=2, padding="same"), layers.LeakyReLU(0.2)]
    d += [layers.Flatten(), layers.Dense(1, dtype="float32")]
    return keras.Sequential(g), keras.Sequential(d)


class GAN(keras.Model):
    """A discriminator step on real and generated images, then a generator step on fresh noise."""

    def __init__(self, generator: keras.Model, discriminator: keras.Model):
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.seeds = keras.random.SeedGenerator(0)
        self.d_loss = keras.metrics.Mean("d_loss")
        self.g_loss = keras.metrics.Mean("g_loss")

    def compile(self, d_optimizer: Any, g_optimizer: Any) -> None:
        """Choose the optimizers."""
        super().compile()
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
        self.loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)

    @property
    def metrics(self) -> list[Any]:
        """List what is reset in each epoch."""
        return [self.d_loss, self.g_loss]

    def noise(self, n: int) -> Any:
        """Draw z of mean 0 and variance 1, as the paper does for MNIST."""
        return keras.random.uniform((n, LATENT), -(3**0.5), 3**0.5, seed=self.seeds)

    def train_step(self, real: Any) -> dict[str, Any]:
        """Play one round."""
        batch = real.shape[0]
        labels = ops.concatenate([ops.ones((batch, 1)), ops.zeros((batch, 1))], axis=0)
        noise = self.noise(batch)
        images = ops.concatenate([real, self.generator(noise, training=True)], axis=0)
        with tf.GradientTape() as tape:
            logits = self.discriminator(images, training=True)
            d_loss = self.loss_fn(labels, logits)
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights, strict=True))
        noise = self.noise(batch)
        with tf.GradientTape() as tape:
            logits = self.discriminator(self.generator(noise, training=True), training=True)
            g_loss = self.loss_fn(ops.ones((batch, 1)), logits)
        weights = self.generator.trainable_weights
        self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, weights), weights, strict=True))
        self.d_loss.update_state(d_loss)
        self.g_loss.update_state(g_loss)
        return {"d_loss": self.d_loss.result(), "g_loss": self.g_loss.result()}


class Turns(keras.callbacks.Callback):
    """Waits for its turn between two epochs, which are `EPOCH` steps each."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Go on while the turn lasts; the first epoch is the warm-up."""
        if epoch == 0:
            self.turns, self.left = turns.turns(), 0
        if self.left == 0:
            self.left = next(self.turns, 0)
            self.model.stop_training = not self.left
        self.left -= EPOCH


def main(pair: str, dtype: str, images: str) -> None:
    """Race with a pair of networks, in a type of numbers, on images."""
    if dtype == "bfloat16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    pixels = np.load(images)
    data = (
        tf.data.Dataset.from_tensor_slices(pixels)
        .shuffle(len(pixels))
        .repeat()
        .batch(100 if pair == "mlp" else 64, drop_remainder=True)
        .map(lambda batch: tf.cast(batch, tf.float32) / 255.0)
        .prefetch(tf.data.AUTOTUNE)
    )
    gan = GAN(*(mlp() if pair == "mlp" else conv()))
    if pair == "mlp":
        gan.compile(keras.optimizers.SGD(0.05, 0.5), keras.optimizers.SGD(0.1, 0.5))
    else:
        gan.compile(keras.optimizers.Adam(5e-4, 0.5), keras.optimizers.Adam(2e-4, 0.5))
    gan.fit(data, epochs=10**6, steps_per_epoch=EPOCH, verbose=0, callbacks=[Turns()])


if __name__ == "__main__":
    main(*sys.argv[1:])
