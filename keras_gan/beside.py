"""The hooks of a run, wired: curves, grids, monitors, checkpoints, and what ends it."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

import keras
import numpy as np
from absl import logging

from keras_gan import callbacks, checkpoints, data, distribution, files, guards, monitors, records
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
        stop_if_collapsed: whether the collapse alarm ends the run.
        stop_if_full: whether a full disk does.
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
        stop_if_collapsed: bool,
        stop_if_full: bool,
    ):
        self._gan, self._saved = gan, saved
        self._several = distribution.several_workers(gan.distribute_strategy)
        self.logs = workdir / "logs"
        split, held_out = _watched_images(info, examples)
        labels = data.load_labels(examples, split, monitors.IMAGES) if gan.condition else None
        held_out = gan.as_drawn(held_out)
        every = recipe.checkpoint_every
        self.alarm = monitors.CollapseAlarm(
            held_out, self.logs, every=every, stop=stop_if_collapsed
        )
        self.grids = callbacks.SampleGrids(
            workdir / "samples", self.logs, every=recipe.sample_every
        )
        self._likelihood = monitors.Likelihood(held_out, split, self.logs, every=every)
        self._saving = guards.SaveCheckpoints(
            lambda: saved.save(gan, self._likelihood.latest(), self.alarm.state),
            every=every,
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

        writing = [callbacks.Curves(self.logs), self.grids, self.alarm]
        if split == "validation":
            rarely = HELD_OUT_EVERY * recipe.log_every
            writing.append(monitors.HeldOut(held_out, self.logs, every=rarely, labels=labels))
        self._room = guards.WhileThereIsRoom(
            [*writing, self._likelihood, self._saving], stop=stop_if_full
        )
        self.hooks: list[keras.callbacks.Callback] = [
            self._progress,
            guards.StopOnNonFinite(),
            self._room,
            self._signal,
        ]
        for hook in self.hooks:
            hook.set_model(gan)

    def restore(self) -> checkpoints.Checkpoint | None:
        """Go back to the last good checkpoint, on every worker."""
        found = self._saved.restore(self._gan)
        if found:
            self.alarm.state = found.card().get("alarm", {})
        distribution.expect_agreement(
            self._gan.distribute_strategy, callbacks.current_step(self._gan)
        )
        return found

    def save(self) -> pathlib.Path | None:
        """Save now, if there is room; return where."""
        return self._room.attempt("SaveCheckpoints", self._saving.act)

    def finish(self) -> None:
        """Do at the last step what is due there."""
        if not self._likelihood.latest():
            self._room.attempt("Likelihood", self._likelihood.act)
        self.save()

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
            if not self._several:  # the others do not know of it
                logging.info(self._save_if_good())
            raise
        finally:
            self._progress.close()

    def _save_if_good(self) -> str:
        if self.alarm.suspicious:
            return "Not saved: the samples had lost their variety"
        try:
            saved = self._saving.act()
        except Exception as error:
            if not isinstance(error, guards.NonFinite) and not files.is_full(error):
                raise
            return f"Not saved: {' '.join(str(error).split())[:200]}"
        return f"Saved as {saved}; the same command goes on from there"


def _watched_images(
    info: records.DatasetInfo, examples: str | os.PathLike[str]
) -> tuple[str, np.ndarray]:
    """Load the images that monitors compare samples with, and say of which split they are."""
    split = "validation" if info.counts.get("validation", 0) >= 2 else "train"
    return split, data.load_split(examples, split, monitors.IMAGES)
