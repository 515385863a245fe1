"""Print how long a user waits for commands to begin: help, the first step, a picture.

    python -m benchmarks.start_speed [--examples=data/mnist-...] [--repeats=3]

Each is the command as a user types it, in a process of its own; the commands take turns.
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

from keras_gan import cli
from pipelines import preprocess
from pipelines.options import Options

FLAGS = flags.FlagValues()
flags.DEFINE_string("examples", None, "Preprocessed MNIST (default: made).", flag_values=FLAGS)
flags.DEFINE_integer("repeats", 3, "Measurements of each.", lower_bound=1, flag_values=FLAGS)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        examples = values.examples or preprocess.ensure(Options("mnist", "last:10000"), root)
        train = (
            *(sys.executable, "-m", "keras_gan.train", "--recipe=mnist", f"--examples={examples}"),
            *("--export_dir", str(root / "model")),
        )
        made = (*train, "--steps=1", "--workdir", str(root / "made"))
        subprocess.run(made, check=True, capture_output=True)
        sample = (
            *(sys.executable, "-m", "keras_gan.sample", f"--model={root / 'model'}"),
            *("--n=64", f"--out={root / 'samples.png'}"),
        )
        seconds: dict[str, list[float]] = {}
        for repeat in range(values.repeats):
            rows = {
                "python -m keras_gan.train --help": whole((*train[:3], "--help")),
                "python -m keras_gan.train: to the first step": first_step(
                    (*train, "--steps=100000", "--set", "log_every=1"), root / f"run-{repeat}"
                ),
                "python -m keras_gan.sample: 64 images of an export, to the PNG": whole(sample),
            }
            for name, taken in rows.items():
                seconds.setdefault(name, []).append(taken)
    print("| command | seconds, median | lowest to highest |\n| --- | --- | --- |")
    for name, all_of in seconds.items():
        print(
            f"| {name} | {statistics.median(all_of):.2f} | {min(all_of):.2f} to {max(all_of):.2f} |"
        )


def whole(command: tuple[str, ...]) -> float:
    """Measure a command from its start to its end."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def first_step(command: tuple[str, ...], workdir: pathlib.Path) -> float:
    """Measure a training from its start to the first step that it shows, and end it there."""
    start = time.perf_counter()
    process = subprocess.Popen(
        (*command, "--workdir", str(workdir)), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if line.startswith(b"Epoch 1/"):
                return time.perf_counter() - start
        raise cli.UserError("Expected a training that shows its steps; it ended.")
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))
