"""What keeps a run from being lost: checkpoints, and what is done when something goes wrong."""

import contextlib
import functools
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


class SaveCheckpoints(Periodic):
    """Save the whole state, both optimizers included.

    Args:
        save: writes the model; returns where.
        every: steps between two checkpoints.
        hold_back: says whether to leave out a checkpoint that is due.
    """

    def __init__(
        self,
        save: Callable[[], pathlib.Path],
        *,
        every: int,
        hold_back: Callable[[], bool] = lambda: False,
    ):
        super().__init__(every)
        self._save = save
        self._hold_back = hold_back

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Save if it is time, and nothing speaks against it."""
        if not self._hold_back():
            super().on_epoch_end(epoch, logs)

    def act(self) -> pathlib.Path:
        """Save now; return the checkpoint's folder.

        Raises:
            NonFinite: if a weight is not finite.
        """
        bad = non_finite_weight(self.model)
        if bad:
            raise NonFinite(bad, current_step(self.model))
        return self._save()


class NonFinite(Stopped):
    """A loss or a weight that is no longer finite.

    Args:
        what: its name and value.
        step: by which it was seen.
    """

    def __init__(self, what: str, step: int):
        super().__init__(f"Expected finite numbers; received {what} by step {step:,}.")
        self.step = step


class Diverged(Stopped):
    """A run that was ended because numbers were no longer finite, at its last good checkpoint."""


class FullDisk(Stopped):
    """A run that was ended because the disk was full."""


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
        before = signal.signal(signal.SIGTERM, ask) or signal.SIG_DFL
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Stop if asked, unless the interval ends here: what is due then is done first."""
        if self.asked and not self._several and batch + 1 != (self.params or {}).get("steps"):
            raise Preempted("Asked to stop (SIGTERM)")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Stop if this worker, or any other, was asked."""
        if self._over_workers(int(self.asked)):
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
        self._warned: set[str] = set()

    def set_model(self, model: keras.Model) -> None:
        """Tell every hook."""
        super().set_model(model)
        for hook in self._hooks:
            hook.set_model(model)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Tell every hook."""
        for hook in self._hooks:
            hook.on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Tell every hook."""
        for hook in self._hooks:
            hook.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Let every hook write, or say what was not written."""
        for hook in self._hooks:
            write = functools.partial(hook.on_epoch_end, epoch, logs)
            self.attempt(type(hook).__name__, write)

    def attempt(self, name: str, write: Callable[[], Any]) -> Any:
        """Call what writes; where the disk is full, say so once and return None, or stop.

        Args:
            name: of what writes.
            write: what to call.

        Raises:
            FullDisk: if a full disk shall end the run.
        """
        try:
            written = write()
        except Exception as error:
            if not files.is_full(error):
                raise
            text = f"No room on the disk for what {name} writes at step "
            text += f"{current_step(self.model):,}."
            if self._stop:
                raise FullDisk(
                    f"{text} The last good checkpoint is kept. Make room; the same command goes on "
                    "from it."
                ) from error
            if name not in self._warned:
                logging.warning("%s What was written before is kept; going on", text)
            self._warned.add(name)
            return None
        self._warned.discard(name)
        return written


@contextlib.contextmanager
def saved_if_ended(save: Callable[[], pathlib.Path]) -> Iterator[None]:
    """Save a training that the system (SIGTERM) or the user (Ctrl-C) ends."""
    try:
        yield
    except Preempted as preempted:
        raise Preempted(f"{preempted}. {_saved(save)}.") from None
    except KeyboardInterrupt:
        logging.info(_saved(save))
        raise


def _saved(save: Callable[[], pathlib.Path]) -> str:
    try:
        return f"Saved as {save()}; the same command goes on from there"
    except Exception as error:
        if not isinstance(error, NonFinite) and not files.is_full(error):
            raise
        return f"Not saved: {error}"


def non_finite_weight(gan: keras.Model) -> str:
    """Name the first weight or moment that is not finite; empty if there is none."""
    groups = {
        "the discriminator's": gan.discriminator.weights,
        "the generator's": gan.generator.weights,
        "D's optimizer's": gan.d_optimizer.variables,
        "G's optimizer's": gan.g_optimizer.variables,
        "the average's": gan.average.weights if gan.average else [],
        "the encoder's": gan.encoder.weights if gan.encoder else [],
        "E's optimizer's": gan.e_optimizer.variables if gan.encoder else [],
    }
    for whose, variables in groups.items():
        for variable in variables:
            value = variable.value
            # One pass over it, which overflows at most: what is finite is looked at no closer.
            if not value.dtype.is_floating or math.isfinite(tf.nn.l2_loss(value)):
                continue
            if not bool(tf.reduce_all(tf.math.is_finite(value))):
                kind = "nan" if np.isnan(variable.numpy()).any() else "inf"
                return f"{kind} in {whose} {variable.path}"
    return ""
