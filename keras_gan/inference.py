"""Learned approximate inference: an encoder that finds the z of an image (section 7, extension 2).

"Learned approximate inference can be performed by training an auxiliary network to predict z given
x. This is similar to the inference net trained by the wake-sleep algorithm but with the advantage
that the inference net may be trained for a fixed generator net after the generator net has finished
training."
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gan import encoding, priors, replicas
from keras_gan.gan import GAN
from keras_gan.interfaces import UserError

BATCH = 500  # images at once, outside training
FASTER, SLOWER = 1.2, 0.5  # what a rate of refinement becomes after a step that helped, or did not
FIRST_RATE = 0.1  # of refinement


class Inference(keras.Model):
    """An encoder E that learns, or has learnt, which z a generator G made an image from.

    G is used as it draws samples: its moving average, where there is one. It is never changed, nor
    saved with E.

    Args:
        encoder: images, float32 [B, H, W, C] in [0, 1] -> any numbers [B, d]; for a conditional
            G a model of [x, c]. `Prior.contain` makes them a z that the prior can draw.
        gan: the generator, and the prior of z. A conditional one must be of classes.
        batch_size: images of a step, over all replicas.
        seed: of all noise and masks, in [0, 2**32).
    """

    def __init__(
        self, encoder: keras.Model, gan: GAN, *, batch_size: int = 100, seed: int = 0, **kwargs: Any
    ):
        super().__init__(**kwargs)
        encoding.expect_fitting(encoder, gan.generator, gan.condition)
        if gan.condition and not gan.num_classes:
            raise UserError(
                "Expected a generator without labels, or one of classes; received one of vectors, "
                "of which nobody says what they may be."
            )
        self.encoder = encoder
        self._held = lambda: gan  # what is an attribute, Keras saves
        self.batch_size = batch_size
        self.seed = seed
        self.step = self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="int64",
            trainable=False,
            aggregation="only_first_replica",
            name="step",
        )
        self.error = keras.metrics.Mean("z_error")
        self.build((None, *gan.image_shape))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Mark the model built: its network already is."""
        self.built = True

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        """Skip what Keras does before `fit`, as `GAN` does."""

    @property
    def gan(self) -> GAN:
        """The generator whose z are sought."""
        return self._held()

    def compile(self, optimizer: keras.optimizers.Optimizer, **kwargs: Any) -> None:
        """Choose the optimizer of E; `jit_compile`, `run_eagerly`, ... as in Keras."""
        optimizer = replicas.scaling(optimizer, (self.encoder,))
        super().compile(optimizer=optimizer, **kwargs)
        optimizer.build(self.encoder.trainable_variables)  # before its moments are loaded

    def train_step(self, data: Any = None) -> dict[str, tf.Tensor]:
        """Draw z, make x = G(z), and descend E's gradient of the mean of (E(x) - z)**2.

        Args:
            data: nothing that matters: what E learns from, G makes.

        Returns:
            The mean error since it was last reset, per dimension; the prior's variance is 1.
        """
        n = self.batch_size // replicas.number()
        z = replicas.draw(self.gan.prior, n, self._key(priors.INFERENCE_NOISE))
        labels = self._labels(n)
        error = encoding.step(
            self.encoder,
            self.optimizer,
            self.gan.prior,
            self.gan(z, labels),
            z,
            self._told(labels),
            self._key(priors.ENCODER_MASKS, replicas.own()),
        )
        self.error.update_state(error)
        self.step.assign_add(1)
        return {"z_error": replicas.log_value(self.error)}

    def _key(self, stream: int, replica: Any = 0) -> tf.Tensor:
        return priors.key(self.seed, stream, self.step.value, replica)

    def _labels(self, n: int) -> tf.Tensor | None:
        """Ask a generator of classes for all of them in turn."""
        if not self.gan.num_classes:
            return None
        first = self.step.value * self.batch_size + tf.cast(replicas.own() * n, tf.int64)
        return (first + tf.range(n, dtype=tf.int64)) % self.gan.num_classes

    def call(self, images: tf.Tensor, labels: Any = None, training: bool = False) -> tf.Tensor:
        """Say which z, float32 [B, d] in the prior's range, images [B, H, W, C] were made from.

        Args:
            images: in [0, 1].
            labels: of a conditional generator's images: class numbers, int [B].
            training: whether random layers of the encoder act.
        """
        return encoding.encode(
            self.encoder, self.gan.prior, images, self._told(labels), training=training
        )

    def _told(self, labels: Any) -> tf.Tensor | None:
        return None if labels is None else self.gan.condition.vectors(labels)

    # For whole sets of images, as numpy arrays ------------------------------------------------

    def infer(self, images: np.ndarray, labels: Any = None) -> np.ndarray:
        """Say which z, float32 [n, d], images [n, H, W, C] in [0, 1] were made from.

        Real images must be as `GAN.as_drawn` makes them: it learnt from samples.
        """
        return self._in_batches(self, images, labels=labels)

    def reconstruct(self, images: np.ndarray, labels: Any = None, *, refine: int = 0) -> np.ndarray:
        """Make G(E(x)), float32 [n, H, W, C], of images x.

        Args:
            images: float32 [n, H, W, C] in [0, 1].
            labels: of a conditional generator's images: class numbers [n].
            refine: steps of `refine` on z before.
        """
        z = self.infer(images, labels)
        if refine:
            z = self.refine(images, z, labels, steps=refine)
        return self.generate(z, labels)

    def generate(self, z: np.ndarray, labels: Any = None) -> np.ndarray:
        """Make G(z), float32 [n, H, W, C] in [0, 1]; as `GAN.generate`, in batches."""
        return self._in_batches(self.gan, z, labels=labels)

    def refine(
        self, images: np.ndarray, z: np.ndarray, labels: Any = None, *, steps: int
    ) -> np.ndarray:
        """Descend the gradient of |G(z) - x|**2 in z, within the prior's range.

        Each image has a rate of its own, that falls when a step does not lower its error, which is
        then not taken; so no error ever grows, and no image depends on the others.

        Args:
            images: x, float32 [n, H, W, C] in [0, 1].
            z: where to start, float32 [n, d].
            labels: of a conditional generator's images: class numbers [n].
            steps: gradients to take.

        Returns:
            z, float32 [n, d].
        """
        steps = tf.constant(steps)

        def refined(x: tf.Tensor, z: tf.Tensor, labels: Any) -> tf.Tensor:
            return _descend(self.gan, x, z, labels, steps)

        return self._in_batches(
            tf.function(refined, reduce_retracing=True, autograph=False), images, z, labels=labels
        )

    def _in_batches(self, function: Any, *arrays: np.ndarray, labels: Any) -> np.ndarray:
        labels = self._expected_labels(len(arrays[0]), labels)
        parts = []
        for first in range(0, len(arrays[0]), BATCH):
            rows = slice(first, first + BATCH)
            told = None if labels is None else tf.constant(labels[rows])
            parts.append(function(*(tf.constant(array[rows]) for array in arrays), told).numpy())
        return np.concatenate(parts).astype(np.float32)

    def _expected_labels(self, n: int, labels: Any) -> np.ndarray | None:
        if self.gan.condition and labels is None:
            raise UserError(
                "Expected labels of the images: this generator is conditional; received none."
            )
        return self.gan.condition.labels(n, labels)


def _descend(gan: GAN, x: tf.Tensor, z: tf.Tensor, labels: Any, steps: tf.Tensor) -> tf.Tensor:
    def at(z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return each image's error [n], and its gradient [n, d]."""
        with tf.GradientTape() as tape:
            tape.watch(z)
            errors = tf.reduce_sum(tf.square(gan(z, labels) - x), axis=(1, 2, 3))
        return errors, tape.gradient(errors, z)

    def step(z: Any, errors: Any, gradient: Any, rate: Any) -> tuple[Any, ...]:
        tried = gan.prior.nearest(z - rate * gradient)
        found, slope = at(tried)
        better = (found < errors)[:, None]
        return (
            tf.where(better, tried, z),
            tf.minimum(found, errors),
            tf.where(better, slope, gradient),
            rate * tf.where(better, FASTER, SLOWER),
        )

    state = (z, *at(z), tf.fill((tf.shape(z)[0], 1), FIRST_RATE))
    return tf.while_loop(lambda *state: True, step, state, maximum_iterations=steps)[0]
