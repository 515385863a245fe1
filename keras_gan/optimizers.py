"""A recipe's optimizer options -> Keras optimizers; the paper's schedules, and one more."""

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_gan.config import Optimizer


@keras.saving.register_keras_serializable("keras_gan")
class DecayWithFloor(keras.optimizers.schedules.LearningRateSchedule):
    """initial / decay**step, never below `minimum`: the paper's learning rate.

    Args:
        initial: the value at step 0.
        decay: what each step divides by.
        minimum: the floor.
    """

    def __init__(self, initial: float, decay: float, minimum: float):
        self.initial, self.decay, self.minimum = initial, decay, minimum

    def __call__(self, step: Any) -> Any:
        """Return the value at `step`."""
        # A power of 1.000004 in float32 would lose the 4: use its logarithm.
        exponent = -math.log(self.decay) * ops.cast(step, "float32")
        return ops.maximum(self.initial * ops.exp(exponent), self.minimum)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"initial": self.initial, "decay": self.decay, "minimum": self.minimum}


@keras.saving.register_keras_serializable("keras_gan")
class HoldThenFall(keras.optimizers.schedules.LearningRateSchedule):
    """Constant, then straight down to 0.

    Args:
        initial: the value while it is constant.
        total_steps: the step at which it reaches 0.
        hold: share of these steps, in [0, 1), before it falls.
    """

    def __init__(self, initial: float, total_steps: int, hold: float):
        self.initial, self.total_steps, self.hold = initial, total_steps, hold

    def __call__(self, step: Any) -> Any:
        """Return the value at `step`."""
        left = 1.0 - ops.cast(step, "float32") / self.total_steps
        return self.initial * ops.clip(left / (1.0 - self.hold), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"initial": self.initial, "total_steps": self.total_steps, "hold": self.hold}


class DecaysKernels:
    """Decoupled weight decay of kernels alone, just before the step of each.

    A kernel is any weight of two dimensions or more that is not called bias. Keras decays biases as
    well, unless each is named before the optimizer is built; a copy from its configuration forgets
    their names.
    """

    weight_decay: float | None

    def _apply_weight_decay(self, variables: Any) -> None:
        """Leave Keras's way out: `update_step` decays."""

    def _decay(self, variable: tf.Variable, learning_rate: Any) -> None:
        if self.weight_decay and len(variable.shape) > 1 and "bias" not in variable.name:
            tf.raw_ops.ResourceApplyGradientDescent(
                var=variable.handle,
                alpha=tf.cast(learning_rate * self.weight_decay, variable.dtype),
                delta=variable,
            )


@keras.saving.register_keras_serializable("keras_gan")
class RisingMomentum(DecaysKernels, keras.optimizers.SGD):
    """Classical momentum that rises linearly from epoch 1 on: the paper's optimizer.

    Args:
        momentum: before and during epoch 1 (epochs count from 0).
        final_momentum: from `final_epoch` on.
        final_epoch: the epoch at which momentum stops rising.
        steps_per_epoch: updates in an epoch.
    """

    def __init__(
        self,
        learning_rate: Any,
        *,
        momentum: float = 0.5,
        final_momentum: float = 0.7,
        final_epoch: int = 250,
        steps_per_epoch: int = 500,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, momentum=momentum, **kwargs)
        self.final_momentum = final_momentum
        self.final_epoch = final_epoch
        self.steps_per_epoch = steps_per_epoch

    def build(self, variables: Any) -> None:
        """Make one velocity for each variable; Keras makes none for a momentum that starts at 0."""
        super().build(variables)
        if not self.momentum:
            self.momentums = self.add_optimizer_variables(variables, "momentum")

    def current_momentum(self) -> Any:
        """Return momentum at the present update."""
        epoch = ops.cast(self.iterations // self.steps_per_epoch, "float32")
        rise = ops.clip((epoch - 1) / (self.final_epoch - 1), 0.0, 1.0)
        return self.momentum + (self.final_momentum - self.momentum) * rise

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one classical momentum step on one variable."""
        self._decay(variable, learning_rate)
        velocity = self.momentums[self._get_variable_index(variable)].value
        # One pass over the weights instead of Keras's four: half of the time.
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=velocity.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient,
            momentum=tf.cast(self.current_momentum(), variable.dtype),
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "final_momentum": self.final_momentum,
            "final_epoch": self.final_epoch,
            "steps_per_epoch": self.steps_per_epoch,
        }


@keras.saving.register_keras_serializable("keras_gan")
class Adam(DecaysKernels, keras.optimizers.Adam):
    """Keras's Adam in one pass over the weights instead of its nine: two fifths of the time."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one step on one variable."""
        self._decay(variable, learning_rate)
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations.value + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.constant(self.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.constant(self.beta_2, variable.dtype), step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


def current_rates(optimizer: keras.optimizers.Optimizer) -> dict[str, float]:
    """Return `learning_rate` at the present update and, of classical momentum, `momentum`."""
    plain = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    found = {"learning_rate": float(ops.convert_to_numpy(plain.learning_rate))}
    if isinstance(plain, RisingMomentum):
        found["momentum"] = float(ops.convert_to_numpy(plain.current_momentum()))
    return found


def build_optimizer(
    options: Optimizer, *, total_steps: int, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """Make the optimizer that `options` describes.

    Args:
        options: the recipe's.
        total_steps: updates in the whole run; falling schedules end there.
        steps_per_epoch: updates in an epoch; the paper's momentum rises by epochs.
    """
    rate: Any = options.learning_rate
    if options.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, total_steps)
    elif options.schedule == "linear":
        rate = HoldThenFall(rate, total_steps, options.hold)
    elif options.decay > 1 or options.minimum > 0:
        rate = DecayWithFloor(rate, options.decay, options.minimum)
    if options.name == "adam":
        return Adam(
            rate,
            beta_1=options.beta_1,
            beta_2=options.beta_2,
            epsilon=options.epsilon,
            weight_decay=options.weight_decay or None,
        )
    return RisingMomentum(
        rate,
        momentum=options.momentum,
        final_momentum=options.final_momentum,
        final_epoch=options.momentum_epochs,
        steps_per_epoch=steps_per_epoch,
        weight_decay=options.weight_decay or None,
    )
