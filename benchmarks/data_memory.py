"""Print the peak memory of preprocessing against the number of images.

    python -m benchmarks.data_memory [--counts=10000,100000,1000000]

Each count is a process of its own that preprocesses an .npy file of random 28x28 images, a few of
them duplicates, written piece by piece first.
"""

import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import flags

from keras_gan import cli

FLAGS = flags.FlagValues()
flags.DEFINE_list("counts", ["10000", "100000", "1000000"], "Images.", flag_values=FLAGS)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    print(f"{'images':>12}{'peak MiB':>12}{'seconds':>10}{'images/s':>12}")
    for count in map(int, values.counts):
        with tempfile.TemporaryDirectory() as folder:
            write(pathlib.Path(folder) / "images.npy", count)
            command = [sys.executable, "-m", "pipelines.preprocess", "--arrays=images.npy"]
            start = time.perf_counter()
            # Of this child alone: the highest of all children so far would hide a smaller one.
            program = (
                "import resource, subprocess, sys\n"
                "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL,"
                " stderr=subprocess.DEVNULL)\n"
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
            )
            done = subprocess.run(
                [sys.executable, "-c", program, *command],
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
            )
            seconds = time.perf_counter() - start
        peak = int(done.stdout) / 1024
        print(f"{count:>12,}{peak:>12,.0f}{seconds:>10.1f}{count / seconds:>12,.0f}")


def write(path: pathlib.Path, count: int, chunk: int = 10000) -> None:
    """Write random images without holding them all; each chunk repeats one image."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, 28, 28)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, count, chunk):
            rows = rng.integers(0, 256, (min(chunk, count - start), 28, 28), np.uint8)
            rows[-1] = rows[0]
            rows.tofile(file)


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))
