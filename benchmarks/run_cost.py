"""Print what everything beside the steps costs a run: checkpoints, curves, grids, alarms.

    python -m benchmarks.run_cost [--recipe=mnist] [--steps=6000] [--examples=data/mnist-...]

A whole `experiment.train` at the recipe's own intervals, with a clock around each hook. What is
counted begins after the first interval, in which TensorFlow compiles the step.
"""

import dataclasses
import pathlib
import sys
import tempfile
import time
from typing import Any

from absl import flags

from keras_gan import cli, recipes

FLAGS = flags.FlagValues()
flags.DEFINE_string("recipe", "mnist", "Whose intervals and networks.", flag_values=FLAGS)
flags.DEFINE_integer("steps", 6000, "Steps of the run.", flag_values=FLAGS)
flags.DEFINE_string("examples", None, "A preprocessed folder (default: MNIST).", flag_values=FLAGS)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    cli.import_tensorflow()
    import keras

    from keras_gan import beside, callbacks, experiment
    from pipelines import preprocess
    from pipelines.options import Options

    spent: dict[str, float] = {}
    clock = {"begin": 0.0, "end": 0.0, "first": 0, "last": 0}

    class Timed(keras.callbacks.Callback):
        def __init__(self, hook: keras.callbacks.Callback):
            super().__init__()
            self._hook = hook

        def set_model(self, model: keras.Model) -> None:
            super().set_model(model)
            self._hook.set_model(model)

        def _call(self, method: str, *args: Any) -> None:
            start = time.perf_counter()
            getattr(self._hook, method)(*args)
            if clock["begin"]:
                name = type(self._hook).__name__
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - start

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._call("on_epoch_begin", epoch, logs)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self._call("on_train_batch_end", batch, logs)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self._call("on_epoch_end", epoch, logs)

    class Clock(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            now, step = time.perf_counter(), callbacks.current_step(self.model)
            if not clock["begin"]:
                clock.update(begin=now, first=step)
            clock.update(end=now, last=step)

    plain = beside.Beside.__init__

    def timed(self: beside.Beside, *args: Any, **options: Any) -> None:
        plain(self, *args, **options)
        self._room._hooks = [Timed(hook) for hook in self._room._hooks]
        others = [hook for hook in self.hooks if hook is not self._room]
        self.hooks = [*(Timed(hook) for hook in others), self._room, Clock()]

    recipe = recipes.get_recipe(values.recipe, None)
    recipe = dataclasses.replace(recipe, steps=values.steps)
    with tempfile.TemporaryDirectory() as folder:
        examples = values.examples or preprocess.ensure(
            Options(recipe.dataset, recipe.validation), folder
        )
        beside.Beside.__init__ = timed  # type: ignore[method-assign]
        root = pathlib.Path(folder)
        experiment.train(recipe, root / "run", examples, root / "export")
        size = max((root / "run" / "checkpoints").glob("step-*/state.data*")).stat().st_size
    seconds, steps = clock["end"] - clock["begin"], clock["last"] - clock["first"]
    print(f"{values.recipe}: {steps / seconds:.1f} steps/s over {steps:,} steps, {seconds:.0f} s")
    print(f"checkpoints of {size / 2**20:.0f} MiB every {recipe.checkpoint_every:,} steps")
    for name, time_spent in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"{name:<20}{time_spent:>8.2f} s {time_spent / seconds:>7.2%}")
    print(f"{'all of them':<20}{sum(spent.values()):>8.2f} s {sum(spent.values()) / seconds:>7.2%}")


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))
