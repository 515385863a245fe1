"""What D says where it does not learn: logits without dropout, held-out images, gradients."""

import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gan.callbacks import current_step
from keras_gan.gan import GAN
from keras_gan.interfaces import image_seeds
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

    def set_model(self, model: GAN) -> None:
        """Watch this one; a look is compiled once, which makes it three times as fast."""
        if model is not self.model:  # every `fit` says it again
            looking = functools.partial(look, model, batch_size=self._batch_size)
            self._look = tf.function(looking, autograph=False)
        super().set_model(model)

    def act(self) -> dict[str, float]:
        """Look now."""
        step = current_step(self.model)
        seeds = image_seeds(len(self._train), step % 2**32)
        seen = self._look(self._train, self._held_out, seeds, *self._labels)
        fake, of_train = seen["logits/generated"], seen["logits/train"]
        found = {"held_out/d_loss_of_train": d_loss(of_train, fake)}
        real = seen.get("logits/held_out", of_train)
        if self._held_out is not None:
            found["held_out/d_loss"] = d_loss(real, fake)
            found["held_out/jsd_bound"] = jsd_bound(-found["held_out/d_loss"])
        found["accuracy/real"] = float(np.mean(real.numpy() > 0))
        found["accuracy/generated"] = float(np.mean(fake.numpy() < 0))
        found |= {name: float(norm) for name, norm in seen.items() if name.startswith("gradients/")}
        self.write(found)
        logits = {"logits/real": real.numpy(), "logits/generated": fake.numpy()}
        self._summaries.histograms(step, logits)
        return found


def look(
    gan: GAN,
    train: tf.Tensor,
    held_out: tf.Tensor | None,
    seeds: tf.Tensor,
    train_labels: Any = None,
    labels: Any = None,
    *,
    batch_size: int,
) -> dict[str, tf.Tensor]:
    """Ask D about images and samples, without dropout, and both losses for their gradients.

    Args:
        gan: the model, compiled.
        train: training images, float32 [m, H, W, C] in [0, 1].
        held_out: others, float32 [n, H, W, C].
        seeds: of the samples, int64 [m].
        train_labels: of the training images and the samples, if the GAN is conditional.
        labels: of the others.
        batch_size: training images, and samples, at which gradients are taken.

    Returns:
        Logits: `logits/generated` and `logits/train` [m], `logits/held_out` [n]; and what
        `gradient_norms` returns, as `gradients/...`.
    """
    found = {
        "logits/generated": gan.logits_of_samples(seeds, train_labels),
        "logits/train": gan.logits(train, train_labels),
    }
    if held_out is not None:
        found["logits/held_out"] = gan.logits(held_out, labels)
    told = None if train_labels is None else train_labels[:batch_size]
    norms = gradient_norms(gan, train[:batch_size], seeds[:batch_size], told)
    return found | {f"gradients/{name}": norm for name, norm in norms.items()}


def gradient_norms(
    gan: GAN, images: tf.Tensor, seeds: tf.Tensor, labels: Any = None
) -> dict[str, tf.Tensor]:
    """Return the L2 norms of both losses' gradients, without dropout, on as many samples.

    Args:
        gan: the model, compiled.
        images: float32 [n, H, W, C] in [0, 1].
        seeds: of the samples, int64 [n].
        labels: of the images and the samples, if the GAN is conditional.

    Returns:
        `discriminator` and `generator`, scalars.
    """
    with tf.GradientTape(persistent=True) as tape:
        real, fake = gan.logits(images, labels), gan.logits_of_samples(seeds, labels)
        of_discriminator = tf.reduce_mean(gan.loss_pair.discriminator(real, fake))
        of_generator = tf.reduce_mean(gan.loss_pair.generator(fake))
        # Where layers compute in float16, small gradients would be 0 without a factor.
        scaled = {
            "discriminator": gan.d_optimizer.scale_loss(of_discriminator),
            "generator": gan.g_optimizer.scale_loss(of_generator),
        }
    found = {}
    for name, loss in scaled.items():
        network = gan.discriminator if name == "discriminator" else gan.generator
        optimizer = gan.d_optimizer if name == "discriminator" else gan.g_optimizer
        norm = tf.linalg.global_norm(tape.gradient(loss, network.trainable_variables))
        found[name] = norm / optimizer.scale_loss(tf.constant(1.0))
    return found


def d_loss(real: tf.Tensor, fake: tf.Tensor) -> float:
    """Return -V(D, G) of equation 1, in nats, from D's logits on images and on samples."""
    return float(tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake)))


def jsd_bound(value: float) -> float:
    """Return the bound on the Jensen-Shannon divergence that V(D, G) proves, in nats."""
    return (value + math.log(4.0)) / 2.0
