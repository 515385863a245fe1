"""What happens beside training: progress, curves, sample grids, checkpoints.

They work with any `fit`; `experiment.train` calls an epoch what is one log interval, so that they
act every `log_every` steps.
"""

import math
import os
import pathlib
import shutil
import sys
import time
from typing import Any

import keras
import tensorflow as tf
from absl import logging
from tqdm import tqdm

from keras_gan import cli, images
from keras_gan.interfaces import class_rows

# What the user reads, beside what the logs are called.
NAMES = {"d_loss": "d_loss", "g_loss": "g_loss", "d_real": "D(x)", "d_fake": "D(G(z))"}
WIDE = "Epoch {desc} |{bar}| {n_fmt}/{total_fmt} {rate_fmt} {remaining} left{postfix}"
NARROW = "{desc} {n_fmt}/{total_fmt} {rate_fmt} {remaining}{postfix}"  # fits 80 columns
COLUMNS = 8  # of a grid with a row for each class
PLAIN_SECONDS = 15  # between two lines where there is no terminal


class Progress(keras.callbacks.Callback):
    """A bar with epoch, step, steps/s, time left, losses, D(x) and D(G(z)).

    Where there is no terminal, a plain line now and then. Nothing where only warnings are wanted.

    Args:
        first_step: steps that were trained before.
        total_steps: steps of the whole run.
        steps_per_epoch: steps in which the data are read once.
    """

    def __init__(self, first_step: int, total_steps: int, steps_per_epoch: int):
        super().__init__()
        self._first, self._step, self._total = first_step, first_step, total_steps
        self._steps_per_epoch = steps_per_epoch
        self._epochs = math.ceil(total_steps / steps_per_epoch)
        self._batch = -1
        self._start = self._last_line = time.monotonic()
        columns = shutil.get_terminal_size().columns
        self._bar = tqdm(
            total=total_steps,
            initial=first_step,
            unit=" step" if columns >= 110 else "",
            ncols=columns,
            disable=cli.is_quiet() or not sys.stderr.isatty(),
            bar_format=WIDE if columns >= 110 else NARROW,
        )

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start counting this interval's batches, from where the model is."""
        self._batch = -1
        if self.model is not None and self._step != current_step(self.model):  # it was rolled back
            self._step = self._bar.n = current_step(self.model)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the bar."""
        self._step += batch - self._batch
        self._bar.update(batch - self._batch)
        self._batch = batch
        logs = logs or {}
        shown = [f"{text} {logs[name]:.2f}" for name, text in NAMES.items() if name in logs]
        number = min(self._epochs, (self._step - 1) // self._steps_per_epoch + 1)
        epoch = f"{number}/{self._epochs}"
        self._bar.desc = epoch
        self._bar.postfix = " " + " ".join(shown)
        now = time.monotonic()
        if self._bar.disable and now - self._last_line > PLAIN_SECONDS:
            self._last_line = now
            rate = (self._step - self._first) / (now - self._start)
            left = tqdm.format_interval((self._total - self._step) / rate)
            place = f"step {self._step}/{self._total}"
            values = ", ".join(shown)
            logging.info(
                "Epoch %s, %s, %.1f steps/s, %s left, %s", epoch, place, rate, left, values
            )

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


class Curves(keras.callbacks.Callback):
    """Write the losses, D(x), D(G(z)) and steps/s to TensorBoard.

    Args:
        directory: where the event file goes.
    """

    def __init__(self, directory: str | os.PathLike[str]):
        super().__init__()
        self._writer = tf.summary.create_file_writer(str(directory))
        self._start = (0, 0.0)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Remember when the interval began."""
        self._start = (current_step(self.model), time.monotonic())

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the interval's means."""
        step = current_step(self.model)
        rate = (step - self._start[0]) / (time.monotonic() - self._start[1])
        with self._writer.as_default(step=step):
            for name, value in (logs or {}).items():
                if name in NAMES:
                    tf.summary.scalar(NAMES[name], value)
            tf.summary.scalar("steps_per_second", rate)
        self._writer.flush()


def write_scalars(directory: str | os.PathLike[str], step: int, scalars: dict[str, float]) -> None:
    """Write numbers to TensorBoard.

    Args:
        directory: where the event file goes.
        step: of the model that they are about.
        scalars: by name.
    """
    writer = tf.summary.create_file_writer(str(directory))
    with writer.as_default(step=step):
        for name, value in scalars.items():
            tf.summary.scalar(name, value)
    writer.close()


class Periodic(keras.callbacks.Callback):
    """Calls `act` at the end of each interval in which a multiple of `every` steps lies.

    Args:
        every: steps between two calls.
    """

    def __init__(self, every: int):
        super().__init__()
        self._every = every
        self._before = 0

    def act(self) -> Any:
        """Do it now."""
        raise NotImplementedError

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Remember the step before the interval."""
        self._before = current_step(self.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Act if it is time."""
        if current_step(self.model) // self._every > self._before // self._every:
            self.act()


class SampleGrids(Periodic):
    """Draw the same z again and again: a PNG file and a TensorBoard image.

    Of a conditional GAN each class gets a row of eight.

    Args:
        directory: where `step-N.png` go.
        logs: where the event file goes.
        every: steps between two grids.
        n: images in a grid.
        seed: of the noise.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        logs: str | os.PathLike[str],
        *,
        every: int,
        n: int = 64,
        seed: int = 0,
    ):
        super().__init__(every)
        self._directory = pathlib.Path(directory)
        self._writer = tf.summary.create_file_writer(str(logs))
        self._n, self._seed = n, seed

    def act(self) -> pathlib.Path:
        """Draw now; return the file."""
        step = current_step(self.model)
        classes = getattr(self.model, "num_classes", None)
        if classes:
            labels = class_rows(classes, COLUMNS)
            drawn = self.model.sample(len(labels), seed=self._seed, labels=labels)
            canvas = images.grid(drawn, COLUMNS)
        else:
            canvas = images.grid(self.model.sample(self._n, seed=self._seed))
        path = self._directory / f"step-{step:07d}.png"
        images.write_png(path, canvas)
        with self._writer.as_default(step=step):
            tf.summary.image("samples", canvas[None])
        self._writer.flush()
        return path


def current_step(gan: keras.Model) -> int:
    """Return the number of rounds that were trained."""
    return int(gan.step.numpy())
