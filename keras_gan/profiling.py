"""A trace of some steps, for TensorBoard's Profile page."""

import os

import keras
import tensorflow as tf
from absl import logging

STEPS = 20


class Trace(keras.callbacks.Callback):
    """Trace `STEPS` steps, once, after the first interval: compiling is over by then.

    Args:
        directory: the logs; the trace goes into `plugins/profile/` below them.
    """

    def __init__(self, directory: str | os.PathLike[str]):
        super().__init__()
        self._directory = str(directory)
        self._intervals = 0
        self._left = STEPS
        self._running = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Begin with the second interval."""
        self._intervals += 1
        if self._intervals == 2 and self._left > 0:
            tf.profiler.experimental.start(self._directory)
            self._running, self._batch = True, -1

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Stop when there are enough steps."""
        if self._running:
            self._left -= batch - self._batch
            self._batch = batch
            if self._left <= 0:
                self.close()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Go on counting in the next interval."""
        self._batch = -1

    def close(self) -> None:
        """Write the trace, of fewer steps if the run ends; what goes wrong fails no run."""
        if self._left == STEPS and not self._running:
            logging.warning("No step was traced: the run has one interval. Try a smaller log_every")
        if self._running:
            self._running = False
            try:
                tf.profiler.experimental.stop()
            except (OSError, tf.errors.OpError) as error:
                logging.warning("No trace was written: %s", error)
                return
            logging.info(
                "Traced %d steps for TensorBoard's Profile page, which needs "
                "`pip install tensorboard-plugin-profile`",
                STEPS - self._left,
            )
