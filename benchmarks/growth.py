"""Print how a step's time and a run's memory grow with the size of the images, the batch, k, width.

    python -m benchmarks.growth [--steps=20] [--picture=benchmarks/growth.png]

Each size is a process of its own that trains on random pixels from memory. The exponent is the
slope of a straight line through the logarithms: 1 is proportional, 0 no growth. Whatever does not
grow (a step's overhead, TensorFlow's own memory) pulls it down at the small end.
"""

import dataclasses
import json
import math
import pathlib
import resource
import subprocess
import sys
import time

from absl import flags

from keras_gan import cli, files, recipes
from keras_gan.config import DCGAN, MaxoutMLP, Recipe

FLAGS = flags.FlagValues()
flags.DEFINE_integer("steps", 20, "Steps in each measurement.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_string("picture", None, "A plot of it, as PNG.", flag_values=FLAGS)
flags.DEFINE_string("one", None, "What a process of its own measures.", flag_values=FLAGS)
REPEATS = 3

Case = tuple[Recipe, int]  # and the images' side
SIZES: dict[str, tuple[int, ...]] = {
    "image side (convolutional, 32 filters, batch 16)": (28, 32, 64, 128),
    "batch (fully connected, 28x28)": (32, 64, 128, 256, 512, 1024),
    "k (fully connected, 28x28, batch 100)": (1, 2, 3, 4, 5),
    "width (fully connected, 28x28, batch 100)": (150, 300, 600, 1200, 2400),
}


def case(of: str, size: int) -> Case:
    """Make the recipe of a size, and say how large its images are."""
    paper = recipes.get_recipe("mnist_paper", None)
    if of.startswith("image"):
        conv = recipes.get_recipe("cifar10", None)
        return dataclasses.replace(conv, network=DCGAN(filters=32), batch_size=16, r1=0.0), size
    if of.startswith("batch"):
        return dataclasses.replace(paper, batch_size=size), 28
    if of.startswith("k "):
        return dataclasses.replace(paper, d_steps=size), 28
    width = MaxoutMLP(generator_units=(size, size), discriminator_units=(size // 5, size // 5))
    return dataclasses.replace(paper, network=width), 28


def measure(recipe: Recipe, side: int, steps: int) -> dict[str, float]:
    """Return the best seconds of a step of some measurements, and the process's peak memory."""
    cli.import_tensorflow()
    import numpy as np
    import tensorflow as tf

    from keras_gan import building

    channels = 1 if isinstance(recipe.network, MaxoutMLP) else 3
    gan = building.build(recipe, (side, side, channels), train_images=50000)
    gan.steps_per_execution = steps
    rng = np.random.default_rng(0)
    pixels = rng.random((recipe.images_per_step, side, side, channels), np.float32)
    batches = tf.data.Dataset.from_tensors(pixels).repeat()
    best = math.inf
    for repeat in range(REPEATS + 1):
        start = time.perf_counter()
        gan.fit(batches, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)
        if repeat:  # the first compiles
            best = min(best, (time.perf_counter() - start) / steps)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {"seconds": best, "mebibytes": peak}


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    if values.one:
        of, size = json.loads(values.one)
        print(json.dumps(measure(*case(of, size), values.steps)))
        return
    import numpy as np

    found: dict[str, list[dict[str, float]]] = {}
    for of, sizes in SIZES.items():
        for size in sizes:
            command = (sys.executable, "-m", "benchmarks.growth", f"--steps={values.steps}")
            one = f"--one={json.dumps([of, size])}"
            done = subprocess.run((*command, one), check=True, capture_output=True, text=True)
            found.setdefault(of, []).append(json.loads(done.stdout.splitlines()[-1]))
    print("| | size | ms a step | MiB at most |\n| --- | --- | --- | --- |")
    for of, rows in found.items():
        for size, row in zip(SIZES[of], rows, strict=True):
            print(f"| {of} | {size} | {row['seconds'] * 1e3:.1f} | {row['mebibytes']:.0f} |")
    print("\n| | exponent of the time | exponent of the memory |\n| --- | --- | --- |")
    for of, rows in found.items():
        logs = np.log(SIZES[of])
        slopes = [np.polyfit(logs, np.log([row[key] for row in rows]), 1)[0] for key in rows[0]]
        print(f"| {of} | {slopes[0]:.2f} | {slopes[1]:.2f} |")
    if values.picture:
        draw(found, pathlib.Path(values.picture))


def draw(found: dict[str, list[dict[str, float]]], path: pathlib.Path) -> None:
    """Plot time and memory against each size, on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(found), 5.6), layout="constrained")
    axes = figure.subplots(2, len(found), sharey="row")
    labels = {"seconds": "seconds a step", "mebibytes": "MiB at most"}
    for column, (of, rows) in enumerate(found.items()):
        for row, (key, label) in enumerate(labels.items()):
            axis = axes[row][column]
            axis.loglog(SIZES[of], [found[key] for found in rows], "o-")
            axis.set_xticks(SIZES[of], [str(size) for size in SIZES[of]], minor=False)
            axis.minorticks_off()
            if column == 0:
                axis.set_ylabel(label)
            if row:
                axis.set_xlabel(of.replace(" (", "\n("))
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))
