"""Print images per second of preprocessing and of the training data set, on the embedded MNIST.

python -m benchmarks.data_speed [--batches=2000]
"""

import pathlib
import statistics
import sys
import tempfile
import time

from absl import flags

from keras_gan import cli

FLAGS = flags.FlagValues()
flags.DEFINE_integer("batches", 2000, "Batches of 100 images to read.", flag_values=FLAGS)
flags.DEFINE_integer("repeats", 3, "Measurements of each.", flag_values=FLAGS)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    cli.import_tensorflow()
    from keras_gan import data
    from pipelines import preprocess

    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "tfds").mkdir()
        options = preprocess.Options("mnist", "last:10000", data_dir=str(root / "tfds"))
        preprocess.preprocess(options, root / "first")  # TFDS prepares its own copy in this one
        rates: dict[str, list[float]] = {"preprocessing": [], "train_dataset": []}
        for repeat in range(values.repeats):
            start = time.perf_counter()
            preprocess.preprocess(options, root / str(repeat))
            rates["preprocessing"].append(70000 / (time.perf_counter() - start))
            dataset = data.train_dataset(root / "first", batch_size=100, seed=repeat)
            start = time.perf_counter()
            count = sum(1 for _ in dataset.take(values.batches))
            rates["train_dataset"].append(count * 100 / (time.perf_counter() - start))
    print(f"{'what':<20}{'images/s, median':>18}   lowest to highest")
    for name, numbers in rates.items():
        spread = f"{min(numbers):,.0f} to {max(numbers):,.0f}"
        print(f"{name:<20}{statistics.median(numbers):>18,.0f}   {spread}")


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))
