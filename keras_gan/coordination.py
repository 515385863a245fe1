"""How D and G keep step with each other, and which samples G learns from: the paper's section 7."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_gan import replicas

RATE = 0.125  # of the moving means: they look back over about eight steps


class Always:
    """D takes every step of a round: Algorithm 1 with its fixed k."""

    def __init__(self) -> None:
        self.means: dict[str, keras.metrics.Mean] = {}

    def see(self, *, real: tf.Tensor | None = None, fake: tf.Tensor) -> None:
        """Look at D's logits on some images."""

    def step(self, step: Callable[..., None], *arguments: Any, otherwise: Any = None) -> None:
        """Take the step in which D learns."""
        step(*arguments)


class Lead(keras.layers.Layer):
    """D rests while its lead over G, the moving mean of D(x) - D(G(z)), is too large.

    Both means come from what the steps see anyway. While D rests D(x) does not change, and D(G(z))
    is seen at G's step, so that the lead stays known and costs nothing. They are weights, which
    checkpoints hold: a resumed run decides alike.

    Args:
        most: D rests while its lead is above this.
        d_steps: of a round, if all are taken.
        changed: lists the variables that a step may change.
    """

    def __init__(self, most: float, d_steps: int, changed: Callable[[], list[Any]]):
        super().__init__(name="lead")
        self._most, self._d_steps, self._changed = most, d_steps, changed
        self.real, self.fake = (
            self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(0.5),  # what D says before it knows
                dtype="float32",
                trainable=False,
                aggregation="only_first_replica",
                name=name,
            )
            for name in ("real", "fake")
        )
        self.taken = keras.metrics.Mean("d_steps")
        self.built = True

    @property
    def means(self) -> dict[str, keras.metrics.Mean]:
        """What is logged: D's steps in a round."""
        return {"d_steps": self.taken}

    @property
    def value(self) -> tf.Tensor:
        """The lead, in [-1, 1]: the same on every replica."""
        return self.real.value - self.fake.value

    def see(self, *, real: tf.Tensor | None = None, fake: tf.Tensor) -> None:
        """Move the means towards what D says of some images, logits [m] each."""
        for mean, logits in ((self.real, real), (self.fake, fake)):
            if logits is not None:
                now = replicas.mean(tf.sigmoid(logits))
                mean.assign_add((now - mean.value) * RATE)

    def step(
        self,
        step: Callable[..., None],
        *arguments: Any,
        otherwise: Callable[[], None] = lambda: None,
    ) -> None:
        """Take one of two steps.

        Args:
            step: in which D learns.
            *arguments: of this step.
            otherwise: what is done while D rests.
        """
        learns = self.value <= self._most
        changed = [*self.weights, *self._changed()]
        replicas.either(learns, lambda: step(*arguments), otherwise, changed)
        self.taken.update_state(self._d_steps * tf.cast(learns, tf.float32))


def of_best(values: tf.Tensor, logits: tf.Tensor, share: float) -> tf.Tensor:
    """Average values over the samples that D judges most real, and let others count for nothing.

    Args:
        values: one for each sample, [m].
        logits: what D says of them, [m].
        share: of the samples that count, in (0, 1]; of all replicas' samples together.

    Returns:
        A scalar; the mean over replicas is the mean over the best.
    """
    if share == 1.0:
        return tf.reduce_mean(values)
    return tf.reduce_mean(values * replicas.best(logits, share))
