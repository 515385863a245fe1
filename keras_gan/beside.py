"""What happens beside the training of a run: curves, grids, alarms, checkpoints, ends."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

import keras
import numpy as np
from absl import logging

from keras_gan import callbacks, checkpoints, data, distribution, guards, monitors, records
from keras_gan.config import Recipe
from keras_gan.gan import GAN
from keras_gan.interfaces import Preempted

HELD_OUT_EVERY = 5  # log intervals between two estimates of the held-out loss


class Beside:
    """The hooks of one run, and what is saved when it is ended from outside.

    Args:
        gan: the model, compiled and restored.
        recipe: of the run.
        info: what its data are.
        examples: their folder.
        workdir: what is written goes below it.
        saved: the run's checkpoints.
        stop: whether the collapse alarm ends the run.
    """

    def __init__(
        self,
        gan: GAN,
        recipe: Recipe,
        info: records.DatasetInfo,
        examples: str | os.PathLike[str],
        workdir: pathlib.Path,
        saved: checkpoints.Checkpoints,
        *,
        stop: bool,
    ):
        self._gan, self._recipe = gan, recipe
        self._several = distribution.several_workers(gan.distribute_strategy)
        self.logs = workdir / "logs"
        self._split, held_out = _watched_images(info, examples)
        self._held_out = gan.as_drawn(held_out)
        every = recipe.checkpoint_every
        self.alarm = monitors.CollapseAlarm(self._held_out, self.logs, every=every, stop=stop)
        self.grids = callbacks.SampleGrids(
            workdir / "samples", self.logs, every=recipe.sample_every
        )
        self._likelihood = monitors.Likelihood(self._held_out, self._split, self.logs, every=every)
        self.saving = guards.Checkpoints(
            saved.save,
            every=every,
            metrics=self._likelihood.latest,
            hold_back=lambda: self.alarm.suspicious,
        )
        self._signal = guards.StopOnSignal(
            lambda asked: distribution.sum_over_workers(gan.distribute_strategy, asked),
            several=self._several,
        )
        self._progress = callbacks.Progress(
            callbacks.current_step(gan),
            recipe.total_steps(info.counts["train"]),
            info.counts["train"] // recipe.images_per_step,
        )

    def hooks(self, *, stop_if_full: bool) -> list[keras.callbacks.Callback]:
        """List them in the order in which they act."""
        writing = [callbacks.Curves(self.logs), self.grids, self.alarm]
        if self._split == "validation":
            every = HELD_OUT_EVERY * self._recipe.log_every
            writing.append(monitors.HeldOut(self._held_out, self.logs, every=every))
        writing += [self._likelihood, self.saving]
        return [
            self._progress,
            guards.StopOnNonFinite(),
            guards.WhileThereIsRoom(writing, stop=stop_if_full),
            self._signal,
        ]

    @contextlib.contextmanager
    def saved_if_ended(self) -> Iterator[None]:
        """Save a run that is ended from outside, if there is anything good to save."""
        try:
            with self._signal.listening():
                yield
        except Preempted as preempted:
            self._progress.close()
            raise Preempted(f"{preempted}. {self._save_if_good()}.") from None
        except KeyboardInterrupt:
            self._progress.close()
            if not self._several:  # saving takes all of them
                logging.info(self._save_if_good())
            raise
        except distribution.LOST_WORKER as error:
            if not self._several:
                raise
            raise Preempted(
                "Another worker was lost. The same command, on every worker, goes on from the last "
                f"checkpoint. ({' '.join(str(error).split())[-200:]})"
            ) from error
        finally:
            self._progress.close()

    def _save_if_good(self) -> str:
        if self.alarm.suspicious:
            return "Not saved: the samples had lost their variety"
        try:
            return f"Saved as {self.saving.act()}; the same command goes on from there"
        except guards.NonFinite as error:
            return f"Not saved: {error}"


def _watched_images(
    info: records.DatasetInfo, examples: str | os.PathLike[str]
) -> tuple[str, np.ndarray]:
    """Load the images that monitors compare samples with, and say of which split they are."""
    split = "validation" if info.counts.get("validation", 0) >= 2 else "train"
    return split, data.load_split(examples, split, monitors.IMAGES)
