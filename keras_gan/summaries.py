"""What a run writes for TensorBoard: one event file of a process, shared by all that look."""

import json
import os
import pathlib
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

    @property
    def _writer(self) -> tf.summary.SummaryWriter:
        if self._file is None:
            self._file = tf.summary.create_file_writer(str(self.directory))
        return self._file

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Write numbers by name."""
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
                self.latest[name] = (step, float(value))
        self._writer.flush()

    def image(self, step: int, name: str, image: np.ndarray, description: str = "") -> None:
        """Write one image, uint8 [H, W, C], and what it shows."""
        with self._writer.as_default(step=step):
            tf.summary.image(name, image[None], description=description)
        self._writer.flush()

    def histograms(self, step: int, values: dict[str, np.ndarray]) -> None:
        """Write what distributions numbers have, float [n] each, by name."""
        with self._writer.as_default(step=step):
            for name, numbers in values.items():
                tf.summary.histogram(name, numbers)
        self._writer.flush()

    def warn(self, step: int, text: str) -> None:
        """Say what is wrong, in words, here and in the log."""
        logging.warning(text)
        self.warnings.append((step, text))
        with self._writer.as_default(step=step):
            tf.summary.text("warnings", text)
        self._writer.flush()

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
        with self._writer.as_default(step=0):
            hparams.hparams_config(
                hparams=[hparams.HParam(key) for key in plain],
                metrics=[hparams.Metric(tag) for tag in JUDGED_BY],
            )
            hparams.hparams(plain, trial_id=name)
        self._writer.flush()

    def graph(self, function: Any) -> None:
        """Write the graph of a `tf.function` that has been traced with one signature."""
        with self._writer.as_default(step=0):
            tf.summary.graph(function.graph)
        self._writer.flush()

    def close(self) -> None:
        """Close the file; what is written later goes into another one."""
        if self._file is not None:
            self._file.close()
            self._file = None
