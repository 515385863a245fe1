"""The hooks of a run, wired: curves, pictures, monitors, checkpoints, and what ends it."""

import contextlib
import functools
import os
import pathlib
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_gan import (
    callbacks,
    checkpoints,
    data,
    diagnosis,
    distribution,
    files,
    guards,
    masks,
    monitors,
    pictures,
    probe,
    profiling,
    records,
    summaries,
)
from keras_gan.conditionals import Conditionals
from keras_gan.config import Recipe
from keras_gan.gan import GAN
from keras_gan.interfaces import Preempted

PROBE_EVERY = 5  # log intervals between two looks at D; warnings want three looks
PUZZLES = 10  # images that a grid completes
NEIGHBOUR_BYTES = 2**28  # of training images, kept in memory to find samples' neighbours


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
        profile: whether to trace some steps.
        hooks: the user's own.
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
        profile: bool = False,
        hooks: Sequence[keras.callbacks.Callback] = (),
    ):
        self._gan, self._recipe, self._saved = gan, recipe, saved
        self._several = distribution.several_workers(gan.distribute_strategy)
        self.summaries = summaries.Summaries(workdir / summaries.FOLDER)
        self.waiting = data.Waiting()
        total = recipe.total_steps(info.counts["train"])
        limit = NEIGHBOUR_BYTES // (4 * int(np.prod(info.image_shape)))
        train = gan.as_drawn(data.load_split(examples, "train", max(monitors.IMAGES, limit)))
        # What samples are compared with: images that were not learnt from, if there are any.
        self.watched = split = "validation" if info.counts.get("validation", 0) >= 2 else "train"
        held_out = train[: monitors.IMAGES]
        if split == "validation":
            held_out = gan.as_drawn(data.load_split(examples, split, monitors.IMAGES))
        every = recipe.checkpoint_every
        self.alarm = monitors.CollapseAlarm(
            held_out, self.summaries, every=every, stop=stop_if_collapsed
        )
        puzzled = held_out[:PUZZLES]
        self.grids = callbacks.SampleGrids(
            workdir / "samples",
            self.summaries,
            every=recipe.sample_every,
            early=recipe.log_every,
            puzzles=(puzzled, masks.typical(info.image_shape, len(puzzled)))
            if isinstance(gan, Conditionals)
            else None,
        )
        self._likelihood = monitors.Likelihood(held_out, split, self.summaries, every=every)
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
            total,
            info.counts["train"] // recipe.images_per_step,
        )

        def labels(of: str, count: int = monitors.IMAGES) -> np.ndarray | None:
            return data.load_labels(examples, of, count) if recipe.conditional else None

        told = labels("train"), labels(split)
        if isinstance(gan, Conditionals):
            told = gan.puzzles(train[: monitors.IMAGES]), gan.puzzles(held_out)

        self._probe = probe.Probe(
            train[: monitors.IMAGES],
            held_out if split == "validation" else None,
            self.summaries,
            every=PROBE_EVERY * recipe.log_every,
            batch_size=recipe.batch_size,
            labels=told,
        )

        self._room = guards.WhileThereIsRoom(
            [
                callbacks.Curves(self.summaries, self.waiting),
                self.grids,
                pictures.Pictures(
                    train,
                    self.summaries,
                    every=recipe.sample_every,
                    labels=labels("train", len(train)),
                    spherical=recipe.prior != "uniform",
                ),
                self._probe,
                self.alarm,
                self._likelihood,
                diagnosis.Diagnosis(self.summaries, recipe, total),
                self._saving,
            ],
            stop=stop_if_full,
        )
        self._trace = profiling.Trace(self.summaries.directory)
        self.hooks: list[keras.callbacks.Callback] = [
            self._progress,
            guards.StopOnNonFinite(),
            self._room,
            *hooks,
            self._signal,
            *([self._trace] if profile else []),
        ]
        for hook in self.hooks:
            hook.set_model(gan)

    def begin(self, name: str) -> None:
        """Write what is there before the first step, and save what there is to go back to."""
        self._room.attempt("Summaries", functools.partial(self._describe, name))
        for hook in (self.grids, self._probe):
            self._room.attempt(type(hook).__name__, hook.act)
        self.save()

    def _describe(self, name: str) -> None:
        self.summaries.settings(self._recipe, name)
        shape = (1, self._gan.prior.dimension)
        labels = np.zeros(1, np.int64) if self._gan.num_classes else None
        play = tf.function(
            lambda z: self._gan.logits(self._gan(z, labels), labels), autograph=False
        )
        self.summaries.graph(play.get_concrete_function(tf.TensorSpec(shape)))

    def warn(self, text: str, *, log: bool = True) -> None:
        """Say what is wrong, in the log and to TensorBoard."""
        step = callbacks.current_step(self._gan)
        write = functools.partial(self.summaries.warn, step, text, log=log)
        self._room.attempt("Summaries", write)

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
            if self._trace in self.hooks:
                self._trace.close()

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
