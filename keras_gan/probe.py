"""What D says where it does not learn: logits without dropout, held-out images, gradients."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gan.callbacks import current_step
from keras_gan.gan import GAN
from keras_gan.monitors import Monitor
from keras_gan.summaries import Summaries


class Probe(Monitor):
    """Write D's losses on training and held-out images, its accuracy, logits and the gradients.

    All without dropout, and without moving anything. `held_out/d_loss` is -V(D, G) on images that D
    never learns from; `held_out/jsd_bound`, (V + log 4) / 2 in nats, estimates a lower bound of the
    Jensen-Shannon divergence between p_data and p_g (Theorem 1: the best D would reach it). It is 0
    where D can no longer tell, log 2 where it always can. `held_out/d_loss_of_train` is -V(D, G)
    on training images and the same samples: what D knows by heart lies between the two.

    Args:
        train: training images, float32 [m, H, W, C] in [0, 1].
        held_out: others, float32 [n, H, W, C]; None if there are none.
        summaries: where it goes.
        every: steps between two looks.
        batch_size: images, of the training ones, at which gradients are taken.
        labels: of both, for a conditional GAN: int [m] and int [n].
    """

    def __init__(
        self,
        train: np.ndarray,
        held_out: np.ndarray | None,
        summaries: Summaries,
        *,
        every: int,
        batch_size: int,
        labels: tuple[Any, Any] = (None, None),
    ):
        super().__init__(summaries, every=every)
        self._train, self._held_out, self._labels = train, held_out, labels
        self._batch_size = batch_size

    def act(self) -> dict[str, float]:
        """Look now."""
        step = current_step(self.model)
        seed = step % 2**32
        train_labels, labels = self._labels
        n = len(self._train)
        fake = self.model.logits_of_samples(n, seed=seed, labels=train_labels)
        real = self.model.logits(self._train, train_labels)
        found = {"held_out/d_loss_of_train": d_loss(real, fake)}
        if self._held_out is not None:
            real = self.model.logits(self._held_out, labels)
            found["held_out/d_loss"] = d_loss(real, fake)
            found["held_out/jsd_bound"] = jsd_bound(-found["held_out/d_loss"])
        found["accuracy/real"] = float(np.mean(real.numpy() > 0))
        found["accuracy/generated"] = float(np.mean(fake.numpy() < 0))
        some = slice(self._batch_size)
        norms = gradient_norms(
            self.model,
            self._train[some],
            seed=seed,
            labels=None if train_labels is None else train_labels[some],
        )
        found |= {f"gradients/{name}": norm for name, norm in norms.items()}
        self.write(found)
        logits = {"logits/real": real.numpy(), "logits/generated": fake.numpy()}
        self._summaries.histograms(step, logits)
        return found


def gradient_norms(
    gan: GAN, images: np.ndarray, *, seed: int, labels: Any = None
) -> dict[str, float]:
    """Return the L2 norms of both losses' gradients, without dropout, on as many samples.

    Args:
        gan: the model, compiled.
        images: float32 [n, H, W, C] in [0, 1].
        seed: of the samples' noise.
        labels: of the images, if the GAN is conditional.

    Returns:
        `discriminator` and `generator`.
    """
    # Where layers compute in float16, small gradients would be 0 without a factor.
    scales = [float(o.scale_loss(tf.constant(1.0))) for o in (gan.d_optimizer, gan.g_optimizer)]
    with tf.GradientTape(persistent=True) as tape:
        real = gan.logits(images, labels)
        fake = gan.logits_of_samples(len(images), seed=seed, labels=labels)
        of_discriminator = scales[0] * tf.reduce_mean(gan.loss_pair.discriminator(real, fake))
        of_generator = scales[1] * tf.reduce_mean(gan.loss_pair.generator(fake))
    found = {}
    for name, scale, loss, network in (
        ("discriminator", scales[0], of_discriminator, gan.discriminator),
        ("generator", scales[1], of_generator, gan.generator),
    ):
        gradients = tape.gradient(loss, network.trainable_variables)
        found[name] = float(tf.linalg.global_norm(gradients)) / scale
    return found


def d_loss(real: tf.Tensor, fake: tf.Tensor) -> float:
    """Return -V(D, G) of equation 1, in nats, from D's logits on images and on samples."""
    return float(tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake)))


def jsd_bound(value: float) -> float:
    """Return the bound on the Jensen-Shannon divergence that V(D, G) proves, in nats."""
    return (value + math.log(4.0)) / 2.0
