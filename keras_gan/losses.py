"""Adversarial losses: pairs of functions from logits to one loss per example.

The discriminator's logit is l = log D(x) - log(1 - D(x)), so
    -log D(x) = softplus(-l)    and    -log(1 - D(x)) = softplus(l),
exact at any logit, where a logarithm of a rounded probability is not.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class AdversarialLoss(NamedTuple):
    """What each network minimises, one number per example.

    Args:
        discriminator: (real_logits [B], fake_logits [B]) -> losses [B].
        generator: fake_logits [B] -> losses [B].
    """

    discriminator: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    generator: Callable[[tf.Tensor], tf.Tensor]


def _value(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """-log D(x) - log(1 - D(G(z))): its mean is -V(D, G) of the paper's equation 1."""
    return tf.nn.softplus(-real) + tf.nn.softplus(fake)


def _minimax(fake: tf.Tensor) -> tf.Tensor:
    """log(1 - D(G(z))): Algorithm 1 as written. Its gradient fades where D is sure."""
    return -tf.nn.softplus(fake)


def _non_saturating(fake: tf.Tensor) -> tf.Tensor:
    """-log D(G(z)): section 3's practical choice. The same fixed point, a strong gradient early."""
    return tf.nn.softplus(-fake)


LOSSES: dict[str, AdversarialLoss] = {
    "minimax": AdversarialLoss(_value, _minimax),
    "non_saturating": AdversarialLoss(_value, _non_saturating),
}

Critic = Callable[[tf.Tensor], tf.Tensor]


def squared_gradient_norm(critic: Critic, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Measure how steep the discriminator is at each image.

    The R1 penalty is half of this on real images (Mescheder et al. 2018, "Which Training Methods
    for GANs do actually Converge?", equation 9): zero where D is flat on the data, as it is at the
    game's solution, so that it removes oscillation without moving the solution.

    Args:
        critic: images [B, H, W, C] -> logits [B], each from its own image only.
        images: float32 [B, H, W, C].

    Returns:
        (logits [B], squared L2 norms [B] of the logits' gradients).
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        logits = critic(images)
    gradient = tape.gradient(logits, images)
    return logits, tf.reduce_sum(tf.square(gradient), axis=tuple(range(1, len(images.shape))))
