"""keras_gan in a race: a whole `experiment.train`, which waits for its turns between intervals.

    python -m benchmarks.own_turns --recipe=mnist_paper --examples=data/mnist-... [--set key=value]

Checkpoints, curves, grids and alarms are those that users get; see `peers.turns`.
"""

import dataclasses
import pathlib
import sys
import tempfile
from typing import Any

from absl import flags

from benchmarks.peers.turns import turns
from keras_gan import cli, recipes

FLAGS = flags.FlagValues()
flags.DEFINE_string("recipe", "mnist_paper", "What to train.", flag_values=FLAGS)
flags.DEFINE_string("examples", None, "A preprocessed folder.", flag_values=FLAGS)
flags.DEFINE_multi_string("set", [], "key=value, as `train` takes it.", flag_values=FLAGS)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    cli.import_tensorflow()
    import keras

    from keras_gan import experiment

    class Turns(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 0:  # the warm-up
                self.turns, self.left = turns(), 0
            if self.left <= 0:
                self.left = next(self.turns, 0)
                if not self.left:
                    raise KeyboardInterrupt
            self.left -= recipe.log_every

    recipe = recipes.get_recipe(values.recipe, None).with_overrides(values.set)
    recipe = dataclasses.replace(recipe, steps=10**6)
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        experiment.train(recipe, root / "run", values.examples, root / "export", hooks=[Turns()])


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))
