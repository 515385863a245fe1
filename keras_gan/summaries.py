"""What a run writes for TensorBoard: one event file of a process, shared by all that look."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from tensorboard.plugins.hparams import api as hparams

from keras_gan import overrides
from keras_gan.config import Recipe

FOLDER = "tensorboard"  # in a work directory
JUDGED_BY = ("parzen/validation", "held_out/d_loss", "diversity/clusters")  # beside the settings


class Summaries:
    """Writes numbers, pictures, histograms and words, and remembers the newest numbers.

    Args:
        directory: where the event file goes; made when something is written.
    """

    def __init__(self, directory: str | os.PathLike[str]):
        self.directory = pathlib.Path(directory)
        self.latest: dict[str, tuple[int, float]] = {}
        self.warnings: list[tuple[int, str]] = []
        self._file: tf.summary.SummaryWriter | None = None

    @contextlib.contextmanager
    def _at(self, step: int) -> Iterator[None]:
        """Write in this context about a step; after an error, what follows goes to a new file."""
        if self._file is None:
            self._file = tf.summary.create_file_writer(str(self.directory))
        try:
            with self._file.as_default(step=step):
                yield
            self._file.flush()
        except BaseException:
            # What was cut off, as on a full disk, would end the file for every reader.
            with contextlib.suppress(Exception):
                self.close()
            raise

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Write numbers by name."""
        with self._at(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
                self.latest[name] = (step, float(value))

    def image(self, step: int, name: str, image: np.ndarray, description: str = "") -> None:
        """Write one image, uint8 [H, W, C], and what it shows."""
        with self._at(step):
            tf.summary.image(name, image[None], description=description)

    def histograms(self, step: int, values: dict[str, np.ndarray]) -> None:
        """Write what distributions numbers have, float [n] each, by name."""
        with self._at(step):
            for name, numbers in values.items():
                tf.summary.histogram(name, numbers)

    def warn(self, step: int, text: str, *, log: bool = True) -> None:
        """Say what is wrong, in words, here and (unless it is said there already) in the log."""
        if log:
            logging.warning(text)
        self.warnings.append((step, text))
        with self._at(step):
            tf.summary.text("warnings", text)

    def settings(self, recipe: Recipe, name: str) -> None:
        """Write a recipe's values, by which TensorBoard compares runs (its HParams page).

        Args:
            recipe: of the run.
            name: of the run.
        """
        plain = {
            key: value if isinstance(value, bool | int | float | str) else json.dumps(value)
            for key, value in overrides.flat(recipe).items()
        }
        with self._at(0):
            hparams.hparams_config(
                hparams=[hparams.HParam(key) for key in plain],
                metrics=[hparams.Metric(tag) for tag in JUDGED_BY],
            )
            hparams.hparams(plain, trial_id=name)

    def graph(self, function: Any) -> None:
        """Write the graph of a `tf.function` that has been traced with one signature."""
        with self._at(0):
            tf.summary.graph(function.graph)

    def close(self) -> None:
        """Close the file; what is written later goes into another one."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
