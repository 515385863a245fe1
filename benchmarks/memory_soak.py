"""Print whether memory grows: over a long training, and over many evaluations.

    python -m benchmarks.memory_soak [--steps=100000] [--evaluations=50] [--examples=data/mnist-...]

A small pair, so that 100,000 steps take minutes; the loop, the hooks, the checkpoints and the logs
are those of every run. The slope is a straight line's through the resident memory after the first
fifth, in which caches fill.
"""

import dataclasses
import pathlib
import resource
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from absl import flags

from keras_gan import cli, recipes
from keras_gan.config import MaxoutMLP
from keras_gan.interfaces import Sampler
from pipelines import preprocess
from pipelines.options import Options

FLAGS = flags.FlagValues()
flags.DEFINE_integer("steps", 100_000, "Steps of the training.", flag_values=FLAGS)
flags.DEFINE_integer(
    "evaluations", 50, "Evaluations of its export.", lower_bound=2, flag_values=FLAGS
)
flags.DEFINE_string("examples", None, "Preprocessed MNIST (default: made).", flag_values=FLAGS)
SMALL = MaxoutMLP(generator_units=(64, 64), discriminator_units=(32, 32))


def resident() -> float:
    """Return this process's memory, in MiB."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    cli.import_tensorflow()
    import keras

    from keras_gan import callbacks, evaluation, experiment, exported

    seen: list[tuple[int, float]] = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append((callbacks.current_step(self.model), resident()))

    recipe = dataclasses.replace(
        recipes.get_recipe("mnist", None), network=SMALL, steps=values.steps
    )
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        examples = values.examples or preprocess.ensure(
            Options(recipe.dataset, recipe.validation), root
        )
        result = experiment.train(recipe, root / "run", examples, root / "export", hooks=[Look()])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        report("training", "steps", seen, peak)
        seen.clear()
        samplers: dict[str, Sampler] = {"export": exported.load_sampler(result.model)}
        for number in range(values.evaluations):
            evaluation.evaluate(samplers, examples, samples=1000, seed=number)
            seen.append((number + 1, resident()))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        report("evaluating its export", "evaluations", seen, peak)


def report(what: str, unit: str, seen: Sequence[tuple[int, float]], peak: float) -> None:
    """Print how memory went, and how fast it grew."""
    import numpy as np

    counts, sizes = np.array(seen).T
    late = counts > counts[-1] / 5
    slope = np.polyfit(counts[late], sizes[late], 1)[0] * counts[-1]
    print(
        f"{what}: {int(counts[-1]):,} {unit}; resident {sizes[late][0]:.0f} MiB after a fifth, "
        f"{sizes[-1]:.0f} MiB at the end, peak {peak:.0f} MiB; slope {slope:+.1f} MiB in "
        f"{int(counts[-1]):,} {unit}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))
