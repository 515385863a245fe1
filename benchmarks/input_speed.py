"""Print images per second of the training data set, and for how much of a training it is waited.

    python -m benchmarks.input_speed [--images=20000] [--repeats=3]

MNIST, and noise made large in 64x64 and colour. Each is read with its files in the system's memory;
after they were put out of it, so that they come from the disk; and so, shuffled through a buffer of
a tenth of the set, as sets too large for memory are. Waiting is what `train` itself logs
(`speed/waiting_for_input`), mean and largest after the first interval, of the recipes `mnist` and
`images`.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from absl import flags

from keras_gan import cli
from pipelines import preprocess
from pipelines.options import Options

FLAGS = flags.FlagValues()
flags.DEFINE_integer("images", 20_000, "Of 64x64.", lower_bound=1000, flag_values=FLAGS)
flags.DEFINE_integer("repeats", 3, "Measurements of each.", lower_bound=1, flag_values=FLAGS)
TRAININGS = {28: ("mnist", 1500, 300), 64: ("images", 60, 20)}  # recipe, steps, interval


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    cli.import_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        rows: dict[str, Callable[[], float]] = {}
        folders = {
            28: preprocess.ensure(Options("mnist", "last:10000"), root),
            64: noise(root / "noise", 64, values.images),
        }
        for side, examples in folders.items():
            rows |= readings(examples, side)
        rates: dict[str, list[float]] = {name: [] for name in rows}
        for _ in range(values.repeats):
            for name, measure in rows.items():
                rates[name].append(measure())
        print("| | images/s, median | lowest to highest |\n| --- | --- | --- |")
        for name, numbers in rates.items():
            spread = f"{min(numbers):,.0f} to {max(numbers):,.0f}"
            print(f"| {name} | {statistics.median(numbers):,.0f} | {spread} |")
        print("\n| training | steps/s | waiting for input, mean | largest |")
        print("| --- | --- | --- | --- |")
        for side, (recipe, steps, interval) in TRAININGS.items():
            speeds, shares = train(folders[side], recipe, steps, interval, root)
            print(
                f"| {recipe}, {side}x{side} | {statistics.median(speeds):.1f} "
                f"| {statistics.mean(shares):.2%} | {max(shares):.2%} |"
            )


def noise(folder: pathlib.Path, side: int, count: int) -> pathlib.Path:
    """Preprocess as many images, all different, of squares of 8x8 colours each."""
    import numpy as np

    coarse = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)
    arrays = folder.with_suffix(".npz")
    np.savez(arrays, images=coarse.repeat(side // 8, axis=1).repeat(side // 8, axis=2))
    preprocess.preprocess(Options(arrays=str(arrays)), folder)
    return folder


def readings(examples: pathlib.Path, side: int) -> dict[str, Callable[[], float]]:
    """Make this size's rows: each reads the set twice and returns images per second."""
    import numpy as np

    from keras_gan import data, records

    info = records.DatasetInfo.read(examples)
    count, size = info.counts["train"], int(np.prod(info.image_shape))
    whole = data.SHUFFLE_BYTES

    def read(*, from_disk: bool, share: float) -> float:
        if from_disk:
            put_out_of_memory(examples)
        data.SHUFFLE_BYTES = min(whole, int(share * count * (size + 64)))
        start = time.perf_counter()
        batches = data.train_dataset(examples, batch_size=100).take(2 * count // 100)
        images = 100 * sum(1 for _ in batches)
        data.SHUFFLE_BYTES = whole
        return images / (time.perf_counter() - start)

    return {
        f"{side}x{side}, files in memory": lambda: read(from_disk=False, share=1),
        f"{side}x{side}, files on disk": lambda: read(from_disk=True, share=1),
        f"{side}x{side}, files on disk, a tenth shuffled": lambda: read(from_disk=True, share=0.1),
    }


def put_out_of_memory(folder: pathlib.Path) -> None:
    """Have the system forget what it keeps of these files."""
    for path in folder.rglob("*"):
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            os.fsync(file)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def train(
    examples: pathlib.Path, recipe: str, steps: int, interval: int, root: pathlib.Path
) -> tuple[list[float], list[float]]:
    """Train by the command; return steps/s and shares of waiting after the first interval."""
    from keras_gan import history

    workdir = root / recipe
    put_out_of_memory(examples)
    command = (
        *(sys.executable, "-m", "keras_gan.train", f"--recipe={recipe}", f"--steps={steps}"),
        *(f"--examples={examples}", f"--workdir={workdir}", f"--export_dir={root / 'export'}"),
        *(f"--set=log_every={interval}", "--verbosity=-1"),
    )
    if subprocess.run(command, check=False).returncode:
        raise cli.UserError(f"Expected the recipe {recipe} to train; received an error, above.")
    scalars = history.read(workdir / "tensorboard").scalars
    tags = ("speed/steps_per_second", "speed/waiting_for_input")
    speeds, shares = (list(scalars[tag].values[1:]) for tag in tags)
    return speeds, shares


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))
