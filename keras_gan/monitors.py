"""What watches a training run from outside: held-out images and samples, never the losses."""

import numpy as np
from absl import logging

from keras_gan.callbacks import Periodic, current_step
from keras_gan.interfaces import Stopped
from keras_gan.metrics import diversity, parzen
from keras_gan.summaries import Summaries

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
    """Writes what it finds.

    Args:
        summaries: where to.
        every: steps between two looks.
    """

    def __init__(self, summaries: Summaries, *, every: int):
        super().__init__(every)
        self._summaries = summaries

    def write(self, scalars: dict[str, float]) -> None:
        """Write numbers by name."""
        self._summaries.scalars(current_step(self.model), scalars)


class Likelihood(Monitor):
    """Log how likely a few samples make images that were never trained on.

    A Parzen window as in `metrics.parzen`, at the best of the published widths. So few samples
    score lower than the 10,000 of the paper's protocol; the checkpoints of one run compare.

    Args:
        images: float32 [n, H, W, C] in [0, 1].
        split: of the data that they are from.
        summaries: where the numbers go.
        every: steps between two estimates.
    """

    def __init__(self, images: np.ndarray, split: str, summaries: Summaries, *, every: int):
        super().__init__(summaries, every=every)
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
        summaries: where the numbers go.
        every: steps between two looks.
        stop: whether to raise `Collapsed` instead of going on.
    """

    def __init__(self, images: np.ndarray, summaries: Summaries, *, every: int, stop: bool = False):
        super().__init__(summaries, every=every)
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
        self.write(
            {
                "diversity/clusters": found.clusters,
                "diversity/spread": found.spread,
                "diversity/alarm": float(collapsed),
            }
        )
        if self._bad_looks == patience:
            self._summaries.warn(step, text)
        if collapsed and self._stop:
            raise Collapsed(text, was_good=self._was_good)
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
