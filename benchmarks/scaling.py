"""Print steps per second of one game on one device, two replicas and two workers of this machine.

    python -m benchmarks.scaling [--recipe=mnist] [--steps=600] [--examples=data/mnist-...]

Two cores either way: one process with both, one process with two replicas, two processes with a
core each that exchange gradients; beside them one core alone, deterministic operations and
bfloat16. The global batch is the same. Medians over the intervals that
TensorBoard has, without the first, in which TensorFlow compiles; lowest to highest.
"""

import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile

from absl import flags

from keras_gan import cli
from keras_gan.interfaces import UserError

FLAGS = flags.FlagValues()
flags.DEFINE_string("recipe", "mnist", "What is trained.", flag_values=FLAGS)
flags.DEFINE_integer("steps", 600, "Steps of each run.", flag_values=FLAGS)
flags.DEFINE_string("examples", None, "A preprocessed folder (default: MNIST).", flag_values=FLAGS)
flags.DEFINE_multi_string("set", [], "key=value of the recipe.", flag_values=FLAGS)


def start(command: list[str], cores: set[int], task: str = "") -> subprocess.Popen:
    """Start a process on some of the cores."""
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **({"TF_CONFIG": task} if task else {})},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )


def rates(logs: pathlib.Path) -> list[float]:
    """Read steps per second of each interval but the first."""
    from keras_gan import history

    return list(history.read(logs).scalars["speed/steps_per_second"].values[1:])


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    cli.import_tensorflow()
    from keras_gan import recipes
    from pipelines import preprocess
    from pipelines.options import Options

    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise UserError("Expected two cores to compare on; received one.")
    recipe = recipes.get_recipe(values.recipe, None)
    with tempfile.TemporaryDirectory() as folder, socket.socket() as a, socket.socket() as b:
        examples = values.examples or preprocess.ensure(
            Options(recipe.dataset, recipe.validation), folder
        )
        for one in (a, b):
            one.bind(("localhost", 0))
        addresses = [f"localhost:{one.getsockname()[1]}" for one in (a, b)]
        a.close()
        b.close()

        def command(name: str, *more: str) -> list[str]:
            return [
                *(sys.executable, "-m", "keras_gan.train", f"--recipe={values.recipe}"),
                *(f"--examples={examples}", f"--steps={values.steps}", *more),
                *(f"--workdir={folder}/{name}", f"--export_dir={folder}/{name}-export"),
                *(f"--set={assignment}" for assignment in values.set),
            ]

        def task(index: int) -> str:
            own = {"type": "worker", "index": index}
            return json.dumps({"cluster": {"worker": addresses}, "task": own})

        both = set(cores)
        variants = {
            "1 process, 2 cores": [(command("one"), both, "")],
            "1 process, 2 replicas": [
                (command("two", "--strategy=mirrored", "--replicas=2"), both, "")
            ],
            "2 workers, 1 core each": [
                (command("workers"), {core}, task(index)) for index, core in enumerate(cores)
            ],
            "1 process, 1 core": [(command("core"), {cores[0]}, "")],
            "2 cores, --deterministic": [(command("same", "--deterministic"), both, "")],
            "2 cores, bfloat16": [(command("half", "--precision=bfloat16"), both, "")],
        }
        names = dict(zip(variants, ("one", "two", "workers", "core", "same", "half"), strict=True))
        print(f"{'variant':<26}{'steps/s, median':>16}   lowest to highest")
        for variant, processes in variants.items():
            started = [start(*process) for process in processes]
            for process in started:
                _, errors = process.communicate()
                if process.returncode:
                    raise UserError(f"Expected {variant} to train; received: {errors[-500:]}")
            found = rates(pathlib.Path(folder) / names[variant] / "tensorboard")
            spread = f"{min(found):.1f} to {max(found):.1f}"
            print(f"{variant:<26}{statistics.median(found):>16.1f}   {spread}", flush=True)


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))
