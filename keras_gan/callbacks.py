"""What happens beside training: progress, curves, sample grids, checkpoints.

They work with any `fit`; `experiment.train` calls an epoch what is one log interval, so that they
act every `log_every` steps.
"""

import math
import os
import pathlib
import resource
import shutil
import sys
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from tqdm import tqdm

from keras_gan import cli, conditionals, data, images, optimizers
from keras_gan.interfaces import class_rows
from keras_gan.summaries import Summaries

# What the user reads, beside what the logs are called.
NAMES = {
    "d_loss": "d_loss",
    "g_loss": "g_loss",
    "d_real": "D(x)",
    "d_fake": "D(G(z))",
    "d_steps": "d_steps",
    "z_error": "(E(x)-z)^2",
}
WIDE = "Epoch {desc} |{bar}| {n_fmt}/{total_fmt} {rate_fmt} {remaining} left{postfix}"
NARROW = "{desc} {n_fmt}/{total_fmt} {rate_fmt} {remaining}{postfix}"  # fits 80 columns
COLUMNS = 8  # of a grid with a row for each class
DRAWS = 5  # completions of one image in a grid
PLAIN_SECONDS = 15  # between two lines where there is no terminal


def titled(means: dict[str, float]) -> dict[str, float]:
    """Name an interval's means as users see them, and leave out those that are of nothing."""
    rested = means.get("d_steps") == 0  # D all the time, by `max_lead`
    of_nothing = ("d_loss", "d_real", "d_fake") if rested else ()
    return {
        title: means[name]
        for name, title in NAMES.items()
        if name in means and name not in of_nothing
    }


class Progress(keras.callbacks.Callback):
    """A bar with epoch, step, steps/s, time left, losses, D(x) and D(G(z)).

    Where there is no terminal, a plain line at the first step and then now and then. Nothing where
    only warnings are wanted.

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
        self._start = self._last_line = -math.inf
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
            self._first = self._step = self._bar.n = current_step(self.model)
            self._start = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the bar."""
        self._step += batch - self._batch
        self._bar.update(batch - self._batch)
        self._batch = batch
        logs = logs or {}
        shown = [f"{text} {value:.2f}" for text, value in titled(logs).items()]
        number = min(self._epochs, (self._step - 1) // self._steps_per_epoch + 1)
        epoch = f"{number}/{self._epochs}"
        self._bar.desc = epoch
        self._bar.postfix = " " + " ".join(shown)
        now = time.monotonic()
        if self._bar.disable and now - self._last_line > PLAIN_SECONDS:
            said = [f"Epoch {epoch}", f"step {self._step}/{self._total}"]
            if self._last_line == -math.inf:  # it took as long as TensorFlow took to compile it
                self._first, self._start = self._step, now
            else:
                rate = (self._step - self._first) / (now - self._start)
                left = tqdm.format_interval((self._total - self._step) / rate)
                said += [f"{rate:.1f} steps/s", f"{left} left"]
            self._last_line = now
            logging.info("%s", ", ".join([*said, *shown]))

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


class Curves(keras.callbacks.Callback):
    """Write the losses, D(x), D(G(z)), rates, speed and memory.

    Args:
        summaries: where to.
        waiting: measures how long steps wait for their data.
    """

    def __init__(self, summaries: Summaries, waiting: data.Waiting):
        super().__init__()
        self._summaries, self._waiting = summaries, waiting
        self._start = (0, 0.0, 0.0)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Remember when the first interval began."""
        self._start = (current_step(self.model), time.monotonic(), self._waiting.seconds)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the interval's means; its time is all that passed since the last point."""
        now = (current_step(self.model), time.monotonic(), self._waiting.seconds)
        steps, seconds, waited = (b - a for a, b in zip(self._start, now, strict=True))
        self._start, step = now, now[0]
        found = titled(logs or {})
        found["speed/steps_per_second"] = steps / seconds
        if self._waiting.measures:
            found["speed/waiting_for_input"] = min(1.0, waited / seconds)
        found |= {f"speed/{name}": value for name, value in peak_memory().items()}
        for letter, optimizer in zip(
            "dg", (self.model.d_optimizer, self.model.g_optimizer), strict=True
        ):
            rates = optimizers.current_rates(optimizer)
            found |= {f"optimizers/{letter}_{name}": value for name, value in rates.items()}
        self._summaries.scalars(step, found)


def peak_memory() -> dict[str, float]:
    """Return the most memory that this process ever had, and of its GPU, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # of what the system tells, in bytes
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"peak_memory_gib": most * unit / 2**30}
    if tf.config.list_logical_devices("GPU"):
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
        found["peak_gpu_memory_gib"] = peak / 2**30
    return found


class Periodic(keras.callbacks.Callback):
    """Calls `act` at the end of each interval in which a multiple of `every` steps lies.

    Args:
        every: steps between two calls.
        early: also call after so many steps, and twice, four times, ... as many, below `every`.
    """

    def __init__(self, every: int, *, early: int = 0):
        super().__init__()
        self._every, self._early = every, early
        self._before = 0

    def act(self) -> Any:
        """Do it now."""
        raise NotImplementedError

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Remember the step before the interval."""
        self._before = current_step(self.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Act if it is time."""
        if self._times(current_step(self.model)) > self._times(self._before):
            self.act()

    def _times(self, step: int) -> int:
        """Count the calls that are due up to a step."""
        early = min(step, self._every - 1) // self._early if self._early else 0
        return step // self._every + early.bit_length()


class SampleGrids(Periodic):
    """Draw the same z again and again: a PNG file and a TensorBoard image.

    Of a conditional GAN each class gets a row of eight.

    Args:
        directory: where `step-N.png` go.
        summaries: where the image goes.
        every: steps between two grids.
        early: the first grids come after so many steps, and twice as many, and so on.
        n: images in a grid.
        seed: of the noise.
        puzzles: of a model that completes images: images, float32 [m, H, W, C] in [0, 1], and what
            is known of each, float32 [m, H, W, 1]; they take the samples' place.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        summaries: Summaries,
        *,
        every: int,
        early: int = 0,
        n: int = 64,
        seed: int = 0,
        puzzles: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        super().__init__(every, early=early)
        self._puzzles = puzzles
        self._directory = pathlib.Path(directory)
        self._summaries = summaries
        self._n, self._seed = n, seed

    def act(self) -> pathlib.Path:
        """Draw now; return the file."""
        step = current_step(self.model)
        if self._puzzles is None:
            canvas = sample_grid(self.model, self._n, seed=self._seed)
        else:
            rows = conditionals.cells(self.model, *self._puzzles, draws=DRAWS, seed=self._seed)
            canvas = conditionals.picture(rows)
        path = self._directory / f"step-{step:07d}.png"
        images.write_png(path, canvas)
        self._summaries.image(step, "samples", canvas)
        return path


def sample_grid(gan: Any, n: int, *, seed: int) -> np.ndarray:
    """Draw a grid of samples, uint8 [H', W', C]; of a conditional GAN, a row for each class."""
    classes = getattr(gan, "num_classes", None)
    if not classes:
        return images.grid(gan.sample(n, seed=seed))
    labels = class_rows(classes, COLUMNS)
    return images.grid(gan.sample(len(labels), seed=seed, labels=labels), COLUMNS)


def current_step(gan: keras.Model) -> int:
    """Return the number of rounds that were trained."""
    return int(gan.step.numpy())
