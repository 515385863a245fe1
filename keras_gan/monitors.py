"""What watches a training run from outside: held-out images and samples, never the losses."""

import math
import os

import numpy as np
import tensorflow as tf
from absl import logging

from keras_gan.callbacks import Periodic, current_step, write_scalars
from keras_gan.metrics import diversity

IMAGES = 500  # that a monitor compares with as many samples


class Collapsed(Exception):  # noqa: N818
    """The generator has collapsed and the run shall stop; the text says what was seen."""


class HeldOut(Periodic):
    """Log D's loss on images that it never learns from, and what that says of p_g.

    `held_out/d_loss` is -V(D, G) without dropout; `held_out/jsd_bound`, (V + log 4) / 2 in nats, is
    an estimate of a lower bound of the Jensen-Shannon divergence between p_data and p_g (Theorem 1:
    the best D would reach it). It is 0 where D can no longer tell, log 2 where it always can.

    Args:
        images: float32 [n, H, W, C] in [0, 1], not among the training images.
        logs: where the event file goes.
        every: steps between two estimates.
    """

    def __init__(self, images: np.ndarray, logs: str | os.PathLike[str], *, every: int):
        super().__init__(every)
        self._images, self._logs = images, logs

    def act(self) -> dict[str, float]:
        """Estimate now."""
        step = current_step(self.model)
        value = self.model.value(self._images, seed=step)
        found = {"held_out/d_loss": -value, "held_out/jsd_bound": jsd_bound(value)}
        write_scalars(self._logs, step, found)
        return found


class CollapseAlarm(Periodic):
    """Warn, or stop the run, when the live generator's samples have lost their variety.

    It looks at samples alone, beside as many real images (`metrics.diversity`). One look may be
    unlucky, or come before G has begun to learn: two in a row raise the alarm.

    Args:
        images: real images, float32 [n, H, W, C] in [0, 1].
        logs: where the event file goes.
        every: steps between two looks.
        stop: whether to raise `Collapsed` instead of going on.
    """

    def __init__(
        self, images: np.ndarray, logs: str | os.PathLike[str], *, every: int, stop: bool = False
    ):
        super().__init__(every)
        self._reference = diversity.Reference(images)
        self._logs, self._stop = logs, stop
        self._bad_looks = 0

    @property
    def suspicious(self) -> bool:
        """Whether the last look found too little variety, so that what is saved may be bad."""
        return self._stop and self._bad_looks > 0

    def act(self) -> diversity.Diversity:
        """Look now."""
        step = current_step(self.model)
        found = self._reference.compare(
            self.model.live().sample(self._reference.size, seed=step % 2**32)
        )
        self._bad_looks = self._bad_looks + 1 if found.collapsed else 0
        collapsed = self._bad_looks >= 2
        scalars = {"clusters": found.clusters, "spread": found.spread, "alarm": float(collapsed)}
        write_scalars(
            self._logs, step, {f"diversity/{name}": value for name, value in scalars.items()}
        )
        if not collapsed:
            return found
        text = (
            f"The generator has collapsed by step {step}: beside as many real images, its samples "
            f"fall into {found.clusters:.2f} of the clusters and lie {found.spread:.2f} as far "
            f"from each other (alarm below {diversity.COLLAPSED} of either, twice in a row). Try "
            "update=simultaneous, a lower g_optimizer.learning_rate or a larger d_steps."
        )
        if self._bad_looks == 2:
            writer = tf.summary.create_file_writer(str(self._logs))
            with writer.as_default(step=step):
                tf.summary.text("warnings", text)
            writer.close()
        if self._stop:
            raise Collapsed(text)
        if self._bad_looks == 2:
            logging.warning(text)
        return found


def jsd_bound(value: float) -> float:
    """Return the bound on the Jensen-Shannon divergence that V(D, G) proves, in nats."""
    return (value + math.log(4.0)) / 2.0
