"""What watches a training run from outside: held-out images and samples, never the losses."""

import math
import os

import numpy as np
import tensorflow as tf
from absl import logging

from keras_gan.callbacks import Periodic, current_step
from keras_gan.interfaces import Stopped
from keras_gan.metrics import diversity, parzen

IMAGES = 500  # that a monitor compares with as many samples
LIKELIHOOD_SAMPLES = 1000


# Bad looks in a row that raise the alarm: after a good one, and before any.
PATIENCE = 2
EARLY_PATIENCE = 5


class Collapsed(Stopped):
    """The generator has collapsed and the run shall stop; the text says what was seen.

    Args:
        text: what was seen.
        was_good: whether the samples had variety before.
    """

    def __init__(self, text: str, *, was_good: bool):
        super().__init__(text)
        self.was_good = was_good


class Monitor(Periodic):
    """Writes what it finds to TensorBoard.

    Args:
        logs: where the event file goes.
        every: steps between two looks.
    """

    def __init__(self, logs: str | os.PathLike[str], *, every: int):
        super().__init__(every)
        self._writer = tf.summary.create_file_writer(str(logs))

    def write(self, scalars: dict[str, float], warning: str = "") -> None:
        """Write numbers, and a warning in words."""
        with self._writer.as_default(step=current_step(self.model)):
            for name, value in scalars.items():
                tf.summary.scalar(name, value)
            if warning:
                tf.summary.text("warnings", warning)
        self._writer.flush()


class HeldOut(Monitor):
    """Log D's loss on images that it never learns from, and what that says of p_g.

    `held_out/d_loss` is -V(D, G) without dropout; `held_out/jsd_bound`, (V + log 4) / 2 in nats, is
    an estimate of a lower bound of the Jensen-Shannon divergence between p_data and p_g (Theorem 1:
    the best D would reach it). It is 0 where D can no longer tell, log 2 where it always can.

    Args:
        images: float32 [n, H, W, C] in [0, 1], not among the training images.
        logs: where the event file goes.
        every: steps between two estimates.
        labels: of the images, for a conditional GAN.
    """

    def __init__(
        self,
        images: np.ndarray,
        logs: str | os.PathLike[str],
        *,
        every: int,
        labels: np.ndarray | None = None,
    ):
        super().__init__(logs, every=every)
        self._images, self._labels = images, labels

    def act(self) -> dict[str, float]:
        """Estimate now."""
        seed = current_step(self.model) % 2**32
        value = self.model.value(self._images, seed=seed, labels=self._labels)
        found = {"held_out/d_loss": -value, "held_out/jsd_bound": jsd_bound(value)}
        self.write(found)
        return found


class Likelihood(Monitor):
    """Log how likely a few samples make images that were never trained on.

    A Parzen window as in `metrics.parzen`, at the best of the published widths. So few samples
    score lower than the 10,000 of the paper's protocol; the checkpoints of one run compare.

    Args:
        images: float32 [n, H, W, C] in [0, 1].
        split: of the data that they are from.
        logs: where the event file goes.
        every: steps between two estimates.
    """

    def __init__(self, images: np.ndarray, split: str, logs: str | os.PathLike[str], *, every: int):
        super().__init__(logs, every=every)
        self._images, self._split = images, split
        self._found: tuple[int, float] = (-1, 0.0)

    def act(self) -> float:
        """Estimate now."""
        samples = self.model.sample(LIKELIHOOD_SAMPLES, seed=0)
        values = parzen.log_densities(samples, self._images, parzen.PUBLISHED_SIGMAS)
        found = float(values.mean(axis=1).max())
        self._found = (current_step(self.model), found)
        self.write({f"parzen/{self._split}": found})
        return found

    def latest(self) -> dict[str, float]:
        """Return what was found of the model as it is now."""
        step, found = self._found
        return {"parzen": found} if step == current_step(self.model) else {}


class CollapseAlarm(Monitor):
    """Warn, or stop the run, when the live generator's samples have lost their variety.

    It looks at samples alone, beside as many real images (`metrics.diversity`). One bad look may be
    bad luck: two in a row raise the alarm, or five where G has not had any variety yet.

    Args:
        images: real images, float32 [n, H, W, C] in [0, 1].
        logs: where the event file goes.
        every: steps between two looks.
        stop: whether to raise `Collapsed` instead of going on.
    """

    def __init__(
        self, images: np.ndarray, logs: str | os.PathLike[str], *, every: int, stop: bool = False
    ):
        super().__init__(logs, every=every)
        self._reference = diversity.Reference(images)
        self._stop = stop
        self._bad_looks = 0
        self._was_good = False
        self._looked_at = -1

    @property
    def suspicious(self) -> bool:
        """Whether variety was lost at the last look, so that an older checkpoint is better."""
        return self._stop and self._was_good and self._bad_looks > 0

    @property
    def state(self) -> dict[str, int]:
        """What it remembers of earlier looks, for a checkpoint."""
        return {"bad_looks": self._bad_looks, "was_good": int(self._was_good)}

    @state.setter
    def state(self, state: dict[str, int]) -> None:
        self._bad_looks = state.get("bad_looks", 0)
        self._was_good = bool(state.get("was_good", 0))

    def act(self) -> diversity.Diversity:
        """Look now."""
        step = current_step(self.model)
        # A second look at the same step is at other samples.
        seed = (step + 2**31 * self._bad_looks) % 2**32
        self._looked_at = step
        found = self._reference.compare(self.model.live().sample(self._reference.size, seed=seed))
        self._bad_looks = self._bad_looks + 1 if found.collapsed else 0
        self._was_good = self._was_good or not found.collapsed
        patience = PATIENCE if self._was_good else EARLY_PATIENCE
        collapsed = self._bad_looks >= patience
        text = (
            f"The generator has collapsed by step {step}: beside as many real images, its samples "
            f"fall into {found.clusters:.2f} of the clusters and lie {found.spread:.2f} as far "
            f"from each other (alarm below {diversity.COLLAPSED} of either, {patience} times in a "
            f"row). Try {self._advice()}."
        )
        is_news = self._bad_looks == patience
        self.write(
            {
                "diversity/clusters": found.clusters,
                "diversity/spread": found.spread,
                "diversity/alarm": float(collapsed),
            },
            warning=text if is_news else "",
        )
        if collapsed and self._stop:
            raise Collapsed(text, was_good=self._was_good)
        if is_news:
            logging.warning(text)
        return found

    def finish(self) -> None:
        """Look at the last step, too, and again if variety was there and is gone."""
        if self._looked_at != current_step(self.model):
            self.act()
        if self._was_good and self._bad_looks == 1:
            self.act()
        if not self._was_good and self._bad_looks < EARLY_PATIENCE:
            logging.warning("The samples have no variety yet; that may come with more steps")

    def _advice(self) -> str:
        """Say what may help this game."""
        advice = ["a lower g_optimizer.learning_rate", "a larger d_steps"]
        if self.model.update == "alternating":
            advice.insert(0, "update=simultaneous")
        if self.model.g_steps > 1:
            advice.insert(0, "g_steps=1")
        return f"{', '.join(advice[:-1])} or {advice[-1]}"


def jsd_bound(value: float) -> float:
    """Return the bound on the Jensen-Shannon divergence that V(D, G) proves, in nats."""
    return (value + math.log(4.0)) / 2.0
