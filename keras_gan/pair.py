"""A generator and a discriminator as they are asked: for samples, and for what D says of images."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gan import conditions, losses, priors, replicas
from keras_gan.conditions import joined
from keras_gan.interfaces import expect_truncation, generate_in_batches, image_seeds


class Pair(keras.Model):
    """Two networks and the prior of z, without the game that they learn from.

    Attributes:
        generator: z, float32 [B, d] -> images, as the networks see them.
        average: the moving average of its weights, which draws the samples; None for none.
        discriminator: images -> logits [B, 1].
        prior: the distribution of z.
        scale: what the networks see, if not pixels in [0, 1].
        condition: what a conditional pair is told.
        num_classes: K, if labels are class numbers.
    """

    generator: keras.Model
    average: keras.Model | None
    discriminator: keras.Model
    prior: priors.Prior
    scale: Any
    condition: conditions.Condition
    num_classes: int | None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of the images that the generator makes."""
        return self.generator.output_shape[1:]

    def call(self, z: tf.Tensor, labels: Any = None, training: bool = False) -> tf.Tensor:
        """Make images, float32 [B, H, W, C] in [0, 1], from z, float32 [B, d].

        Outside training they come from the moving average, where there is one.

        Args:
            z: latent vectors.
            labels: of a conditional GAN: class numbers, int [B], or vectors, float32 [B, c].
            training: whether batch statistics are those of this batch.
        """
        drawn = self.generator if training or self.average is None else self.average
        images = drawn(joined(z, self._told(labels, z)), training=training)
        return images if self.scale is None else self.scale.restore(images)

    def _told(self, labels: Any, inputs: tf.Tensor) -> tf.Tensor | None:
        """Return what the networks are told of these inputs by labels; nothing, without a c."""
        if labels is None and self.condition.optional:
            return tf.zeros((replicas.rows(inputs), self.condition.width))
        if bool(self.condition) != (labels is not None):
            raise ValueError(
                "Expected labels: this GAN is conditional; received none."
                if self.condition
                else "Expected no labels: this GAN is not conditional; received some."
            )
        return self.condition.vectors(labels) if self.condition else None

    def as_drawn(self, images: np.ndarray) -> np.ndarray:
        """Give real images, float32 [n, H, W, C] in [0, 1], what every sample's scale gives it."""
        return images if self.scale is None else self.rescaled(tf.constant(images)).numpy()

    def rescaled(self, images: tf.Tensor) -> tf.Tensor:
        """Do what `as_drawn` does, inside a graph too."""
        return images if self.scale is None else self.scale.restore(self.scale(images))

    def discriminate(self, images: Any, labels: Any = None) -> np.ndarray:
        """Return D's logits, float32 [n], on images.

        Args:
            images: float32 [n, H, W, C] in [0, 1].
            labels: class numbers [n] or vectors [n, c]: a conditional D says whether they are real
                images of these labels, which it needs.
        """
        if labels is not None:
            labels = self.condition.labels(len(images), labels)
        return self.logits(images, labels).numpy()

    def logits(self, images: Any, labels: Any = None) -> tf.Tensor:
        """Do what `discriminate` does, inside a graph too."""
        images = tf.convert_to_tensor(images)
        seen = images if self.scale is None else self.scale(images)
        return self.discriminator(joined(seen, self._told(labels, seen)), training=False)[:, 0]

    def value(self, images: Any, *, seed: int, labels: Any = None) -> float:
        """Estimate V(D, G) of equation 1, without dropout, from images and as many samples of G.

        On images that D never saw, (V + log 4) / 2 estimates a lower bound of the Jensen-Shannon
        divergence between p_data and p_g, in nats (Theorem 1: the best D would reach it).

        Args:
            images: float32 [n, H, W, C] in [0, 1].
            seed: of the samples' noise.
            labels: of the images, if the GAN is conditional; the samples get the same.
        """
        real = self.logits(images, labels)
        fake = self.logits_of_samples(image_seeds(len(images), seed), labels)
        negative = losses.LOSSES["minimax"].discriminator(real, fake)
        return -float(tf.reduce_mean(negative))

    def logits_of_samples(self, seeds: Any, labels: Any = None) -> tf.Tensor:
        """Return D's logits, float32 [n], without dropout, on samples of the live generator.

        Args:
            seeds: of the samples, int64 [n].
            labels: what they shall show, if the GAN is conditional.
        """
        z = self.prior.latent(seeds)
        c = self._told(labels, z)
        made = self.generator(joined(z, c), training=False)
        return self.discriminator(joined(made, c), training=False)[:, 0]

    def sample(
        self,
        n: int,
        *,
        seed: int,
        labels: Any = None,
        truncation: float = 1.0,
        batch_size: int = 500,
    ) -> np.ndarray:
        """Draw `n` images; the same seed gives the same images, and fewer are the first of more.

        Image i is that of the number seed * 2**32 + i, which a server takes by itself.

        Args:
            n: how many.
            seed: of the noise, in [0, 2**32).
            labels: of a conditional GAN: class numbers [n], the classes in turn (image i is of
                class i % K) when None; or vectors [n, c], which have no default.
            truncation: in (0, 1]: the central share of the prior to draw from; see `Prior.latent`.
            batch_size: images made at once.

        Returns:
            float32 [n, H, W, C] in [0, 1].
        """
        labels = self.condition.labels(n, labels)
        z = self.noise(n, seed=seed, truncation=truncation)
        return generate_in_batches(self, z, labels, batch_size)

    def noise(self, n: int, *, seed: int, truncation: float = 1.0) -> np.ndarray:
        """Draw the latent vectors, float32 [n, d], of the images that `sample` gives."""
        expect_truncation(truncation, self.prior.has_centre)
        return self.prior.latent(image_seeds(n, seed), truncation).numpy()

    def generate(self, z: np.ndarray, labels: Any = None) -> np.ndarray:
        """Make images, float32 [n, H, W, C] in [0, 1], from latent vectors, float32 [n, d].

        Labels are those of `sample`, with the same default.
        """
        labels = self.condition.labels(len(z), labels)
        made = self(tf.constant(z), None if labels is None else tf.constant(labels))
        return tf.cast(made, tf.float32).numpy()

    def export(self, filepath: Any, *, verbose: bool = True, **kwargs: Any) -> None:
        """Export `call` as Keras does; `keras_gan.export` adds sampling by seed and versions."""
        z = tf.TensorSpec((None, self.prior.dimension), tf.float32, name="z")
        if not self.condition.required:
            self(tf.zeros((1, self.prior.dimension)))  # Keras exports only what was called
            return super().export(filepath, verbose=verbose, **kwargs)
        # Keras would try to call it with z alone.
        archive = keras.export.ExportArchive()
        for part in (self.average or self.generator, self.scale):
            if part is not None:
                archive.track(part)
        archive.add_endpoint("serve", lambda z, c: self(z, c), [z, self.condition.spec])
        return archive.write_out(filepath, verbose=verbose)
