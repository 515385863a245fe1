"""The training loop: `fit` in legs, and the way back when numbers are no longer finite."""

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import keras
from absl import logging

from keras_gan.callbacks import current_step
from keras_gan.checkpoints import Checkpoint
from keras_gan.distribution import max_steps_per_call
from keras_gan.gan import GAN
from keras_gan.guards import Diverged, NonFinite, non_finite_weight
from keras_gan.networks.layers import WholeMaxPooling

MAX_ROLLBACKS = 3  # in a row, from one checkpoint

Feed = Callable[[int], Any]  # the data from a step on


def train(
    gan: GAN,
    total: int,
    feed: Feed,
    hooks: list[keras.callbacks.Callback],
    *,
    every: int,
    restore: Callable[[], Checkpoint | None],
    on_nan: Literal["stop", "rollback"] = "stop",
    warn: Callable[[str], None] = logging.warning,
) -> dict[str, float]:
    """Train up to a step, from where the model is.

    Args:
        gan: the compiled model.
        total: the step to reach.
        feed: makes the data set that starts at a step.
        hooks: what happens beside; what `fit` calls an epoch is one interval.
        every: the length of an interval, in steps.
        restore: loads what to go back to when something is not finite.
        on_nan: whether to stop there, or to go on from it with other noise, a few times.
        warn: says what was seen and done.

    Returns:
        The last interval's means of the logs; none if there was nothing to train.

    Raises:
        Diverged: when something is not finite; the model is back at its last good checkpoint.
    """
    tries, origin = 0, -1
    while True:
        try:
            return _play(gan, total, feed, hooks, every)
        except NonFinite as found:
            noise = int(gan.retries.numpy())  # which the checkpoint does not know of yet
            good = restore()
            if good is None:
                raise
            gan.retries.assign(noise)
            text = f"{_first_bad(gan, feed, found)} Back at step {good.step:,}."
            restore()
            tries = tries + 1 if good.step == origin else 1
            origin = good.step
            if on_nan == "stop" or tries > MAX_ROLLBACKS:
                tried = tries > MAX_ROLLBACKS
                raise Diverged(
                    f"{text} {f'Other noise did not help {MAX_ROLLBACKS} times. ' if tried else ''}"
                    "Try lower learning rates and another --workdir"
                    f"{'.' if tried else ', or --on_nan=rollback.'}"
                ) from None
            gan.retries.assign(noise + 1)
            warn(f"{text} Going on from there with other noise (try {tries})")


def _play(
    gan: GAN, total: int, feed: Feed, hooks: list[keras.callbacks.Callback], every: int
) -> dict[str, float]:
    legs = intervals(current_step(gan), total, every)
    _set_steps_per_call(gan, steps_per_call((size for _, size in legs), _most_steps_per_call(gan)))
    means: dict[str, float] = {}
    for count, size in legs:
        history = gan.fit(
            feed(current_step(gan)),
            epochs=count,
            steps_per_epoch=size,
            shuffle=False,
            verbose=0,
            callbacks=hooks,
        ).history
        means = {name: float(values[-1]) for name, values in history.items()}
    return means


def intervals(first: int, total: int, every: int) -> list[tuple[int, int]]:
    """Cut the steps from `first` to `total` at multiples of `every`.

    Returns:
        One pair for each call of `fit`: how many intervals, of how many steps.
    """
    legs = []
    head = min(-first % every, total - first)
    if head > 0:
        legs.append((1, head))
        first += head
    if first < total:
        count, tail = divmod(total - first, every)
        legs += [(count, every)] * (count > 0) + [(1, tail)] * (tail > 0)
    return legs


def steps_per_call(sizes: Iterable[int], most: int) -> int:
    """Choose how many steps one call may take, up to `most`: it must divide every interval."""
    common = math.gcd(*sizes)
    return max(n for n in range(1, most + 1) if common % n == 0)


def _most_steps_per_call(gan: GAN) -> int:
    """Say how many steps one call may take, so that the same run always has the same bits.

    In a graph with a loop TensorFlow gives the gradient of max pooling to oneDNN or not, as it
    happens to come to it after the pooling or before (`MaxpoolGradRewrite` in mkl_layout_pass.cc);
    the two add up in another order. A graph of one step has no loop.
    """
    layers = [layer for network in gan.layers for layer in getattr(network, "layers", ())]
    if any(isinstance(layer, WholeMaxPooling) for layer in layers):
        return 1
    return max_steps_per_call(gan.distribute_strategy)


def _set_steps_per_call(gan: GAN, steps: int) -> None:
    if gan.steps_per_execution != steps:
        gan.steps_per_execution = steps
        gan.train_function = None  # Keras compiled the old number into it


def _first_bad(gan: GAN, feed: Feed, found: NonFinite) -> str:
    """Play again from a good checkpoint, step by step, and name what first was not finite."""
    first = current_step(gan)
    logging.warning("%s Playing again from step %s to find the first", found, f"{first:,}")
    _set_steps_per_call(gan, 1)
    inspector = _Inspector()
    gan.fit(
        feed(first),
        epochs=1,
        steps_per_epoch=found.step - first,
        shuffle=False,
        verbose=0,
        callbacks=[inspector],
    )
    return inspector.text or f"{found} It did not happen again when played a second time."


class _Inspector(keras.callbacks.Callback):
    """Stops after the first step that leaves anything not finite, and says what."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        losses = (f"{n}={float(v)}" for n, v in (logs or {}).items() if not math.isfinite(v))
        bad = next(losses, "") or non_finite_weight(self.model)
        if bad:
            # A loss is of the step that was just taken, the weights are what it left.
            step = current_step(self.model)
            self.text = f"Expected finite numbers; received {bad} first, at step {step:,}."
            self.model.stop_training = True
