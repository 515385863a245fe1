"""What keeps a run from being lost: checkpoints, and what is done when something goes wrong."""

import contextlib
import math
import pathlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_gan import files
from keras_gan.callbacks import Periodic, current_step
from keras_gan.interfaces import Preempted, Stopped


class Checkpoints(Periodic):
    """Save the whole state, both optimizers included.

    Args:
        save: writes the model with these metrics; returns where.
        every: steps between two checkpoints.
        metrics: says what is known of the model.
        hold_back: says whether to leave out a checkpoint that is due.
    """

    def __init__(
        self,
        save: Callable[[keras.Model, dict[str, float]], pathlib.Path],
        *,
        every: int,
        metrics: Callable[[], dict[str, float]] = dict,
        hold_back: Callable[[], bool] = lambda: False,
    ):
        super().__init__(every)
        self._save = save
        self._metrics = metrics
        self._hold_back = hold_back

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Save if it is time, and nothing speaks against it."""
        if not self._hold_back():
            super().on_epoch_end(epoch, logs)

    def act(self) -> pathlib.Path:
        """Save now, if all weights are finite; return the checkpoint's folder."""
        bad = non_finite_weight(self.model)
        if bad:
            raise NonFinite(bad, current_step(self.model))
        return self._save(self.model, self._metrics())


class NonFinite(Stopped):
    """A loss or a weight that is no longer finite.

    Args:
        what: its name and value.
        step: by which it was seen.
    """

    def __init__(self, what: str, step: int):
        super().__init__(f"Expected finite numbers; received {what} by step {step:,}.")
        self.step = step


class StopOnNonFinite(keras.callbacks.Callback):
    """Stop at once when a loss is not finite; Keras's own callback looks only at "loss"."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Check every logged value: means since the interval began keep what came once."""
        for name, value in (logs or {}).items():
            if not math.isfinite(value):
                raise NonFinite(f"{name}={float(value)}", current_step(self.model))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Check the weights: a maximum, as in maxout, may hide what is not a number."""
        bad = non_finite_weight(self.model)
        if bad:
            raise NonFinite(bad, current_step(self.model))


class StopOnSignal(keras.callbacks.Callback):
    """End the run, between two steps, when the system asks for it (SIGTERM: preemption).

    Args:
        over_workers: adds up one number of every worker: all of them stop at the same step.
        several: whether there are other workers; they agree at the end of an interval.
    """

    def __init__(self, over_workers: Callable[[int], int], *, several: bool = False):
        super().__init__()
        self._over_workers, self._several = over_workers, several
        self.asked = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while a run lasts; a second signal ends the process as usual."""

        def ask(number: int, frame: Any) -> None:
            self.asked = True
            signal.signal(signal.SIGTERM, before)

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Stop if asked."""
        if self.asked and not self._several:
            raise Preempted("Asked to stop (SIGTERM)")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Stop if any worker was asked."""
        if self._several and self._over_workers(int(self.asked)):
            raise Preempted("Asked to stop (SIGTERM)")


class WhileThereIsRoom(keras.callbacks.Callback):
    """Passes on to hooks that write, and does not let a full disk end the run.

    Args:
        hooks: in their order.
        stop: whether a full disk shall end it after all.
    """

    def __init__(self, hooks: list[keras.callbacks.Callback], *, stop: bool = False):
        super().__init__()
        self._hooks, self._stop = hooks, stop
        self._warned: set[int] = set()

    def set_model(self, model: keras.Model) -> None:
        """Tell every hook."""
        super().set_model(model)
        for hook in self._hooks:
            hook.set_model(model)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Tell every hook."""
        for hook in self._hooks:
            hook.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Let every hook write, or say what was not written."""
        for index, hook in enumerate(self._hooks):
            try:
                hook.on_epoch_end(epoch, logs)
            except Exception as error:
                if not files.is_full(error):
                    raise
                text = (
                    f"No room on the disk for what {type(hook).__name__} writes at step "
                    f"{current_step(self.model):,}."
                )
                if self._stop:
                    raise Stopped(
                        f"{text} The last good checkpoint is kept. Make room; the same command "
                        "goes on from it."
                    ) from error
                if index not in self._warned:
                    logging.warning("%s What was written before is kept; going on", text)
                self._warned.add(index)
            else:
                self._warned.discard(index)


def non_finite_weight(gan: keras.Model) -> str:
    """Name the first weight of D, G or its average that is not finite; empty if there is none."""
    for network in filter(None, (gan.discriminator, gan.generator, gan.average)):
        for weight in network.weights:
            if not bool(tf.reduce_all(tf.math.is_finite(weight.value))):
                kind = "nan" if np.isnan(weight.numpy()).any() else "inf"
                return f"{kind} in the {network.name}'s {weight.path}"
    return ""
