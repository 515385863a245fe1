"""Print images per second of preprocessing and of the training data set, on the embedded MNIST.

    python -m benchmarks.data_speed [--repeats=3] [--rows=mnist]

Each row is preprocessing from a source to a finished, checked folder, its start-up apart; below it
is what one would write instead. All of them run on one core, one after the other, in every repeat.
"""

import gzip
import io
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
from absl import flags, logging
from PIL import Image

from keras_gan import cli

FLAGS = flags.FlagValues()
flags.DEFINE_integer("batches", 2000, "Batches of 100 images to read.", flag_values=FLAGS)
flags.DEFINE_integer("repeats", 3, "Measurements of each.", flag_values=FLAGS)
flags.DEFINE_integer("files", 2000, "Image files of 512x512; of 64x64 four times as many.",
                     flag_values=FLAGS)  # fmt: skip
flags.DEFINE_string("rows", "", "Only rows whose name has this in it.", flag_values=FLAGS)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    cli.import_tensorflow()
    logging.set_verbosity(logging.WARNING)
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as folder:
        rows = {
            name: row
            for name, row in measurements(pathlib.Path(folder), values).items()
            if values.rows in name
        }
        rates: dict[str, list[float]] = {name: [] for name in rows}
        for repeat in range(values.repeats):
            for name, measure in rows.items():
                os.sched_setaffinity(0, cores if "two cores" in name else {min(cores)})
                start = time.perf_counter()
                count = measure(repeat)
                rates[name].append(count / (time.perf_counter() - start))
    print(f"{'what':<46}{'images/s, median':>18}   lowest to highest")
    for name, numbers in rates.items():
        spread = f"{min(numbers):,.0f} to {max(numbers):,.0f}"
        print(f"{name:<46}{statistics.median(numbers):>18,.0f}   {spread}")


def measurements(root: pathlib.Path, values: flags.FlagValues) -> dict[str, Callable[[int], int]]:
    """Make every row: its name, and what does the work and returns how many images it was."""
    import apache_beam as beam
    import tensorflow as tf

    from keras_gan import data
    from pipelines import preprocess, sources
    from pipelines.options import Options

    pixels, labels = mnist("train")
    np.savez(root / "mnist.npz", images=pixels, labels=labels)
    arrays = Options(arrays=str(root / "mnist.npz"), validation="none")
    (root / "tfds").mkdir()
    prepared = Options("mnist", "none", data_dir=str(root / "tfds"))
    files = {size: root / str(size) for size in (512, 64)}
    for size, folder in files.items():
        write_jpegs(folder, size, values.files * (512 // size // 2 if size < 512 else 1))
    outputs = (root / f"out-{number}" for number in range(10**6))
    sources.open_source(prepared)  # TFDS prepares its own copy once
    preprocess.preprocess(arrays, root / "examples")

    def pipeline(options: Options) -> Callable[[int], int]:
        source = sources.open_source(options)

        def measure(repeat: int) -> int:
            preprocess.preprocess(options, next(outputs), source=source)
            return sum(source.splits.values())

        return measure

    def writer(repeat: int) -> int:
        with tf.io.TFRecordWriter(str(root / "bare.tfrecord")) as file:
            for picture in pixels:
                file.write(picture.tobytes())
        return len(pixels)

    def writer_of_examples(repeat: int) -> int:
        with tf.io.TFRecordWriter(str(root / "bare.tfrecord")) as file:
            for picture, label in zip(pixels, labels, strict=True):
                file.write(example(picture, int(label)))
        return len(pixels)

    def naive(repeat: int) -> int:
        some = 6000
        with beam.Pipeline(runner="FnApiRunner") as p:
            _ = (
                p
                | beam.Create(list(zip(pixels[:some], labels[:some].tolist(), strict=True)))
                | beam.MapTuple(example)
                | beam.io.WriteToTFRecord(str(root / "naive"))
            )
        return some

    def loop(folder: pathlib.Path) -> Callable[[int], int]:
        def measure(repeat: int) -> int:
            count = 0
            with tf.io.TFRecordWriter(str(root / "loop.tfrecord")) as file:
                for path in sorted(folder.iterdir()):
                    picture = Image.open(path).convert("RGB")
                    small = picture.resize((64, 64), Image.Resampling.LANCZOS)
                    file.write(example(np.asarray(small), None))
                    count += 1
            return count

        return measure

    def training(repeat: int) -> int:
        dataset = data.train_dataset(root / "examples", batch_size=100, seed=repeat)
        return 100 * sum(1 for _ in dataset.take(values.batches))

    return {
        "MNIST from an .npz file": pipeline(arrays),
        "MNIST from TensorFlow Datasets": pipeline(prepared),
        "  bare TFRecordWriter, pixels alone": writer,
        "  bare TFRecordWriter, tf.train.Example": writer_of_examples,
        "  Beam, an element an image": naive,
        "64x64 JPEG files": pipeline(Options(images=str(files[64]), size=64, validation="none")),
        "  bare loop: decode, resize, write": loop(files[64]),
        "512x512 JPEG files to 64x64": pipeline(
            Options(images=str(files[512]), size=64, validation="none")
        ),
        "  bare loop: decode, resize, write ": loop(files[512]),
        "512x512 JPEG files, two cores": pipeline(
            Options(images=str(files[512]), size=64, validation="none")
        ),
        "train_dataset, two cores": training,
    }


def mnist(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the embedded files: uint8 [n, 28, 28] and [n]."""
    from pipelines.sources import tfds

    def read(name: str, header: int) -> np.ndarray:
        content = gzip.decompress((tfds.EMBEDDED / "mnist" / name).read_bytes())
        return np.frombuffer(content, np.uint8, offset=header)

    pixels = read(f"{split}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    return pixels, read(f"{split}-labels-idx1-ubyte.gz", 8)


def write_jpegs(folder: pathlib.Path, size: int, count: int) -> None:
    """Write pictures of soft coloured shapes, all different."""
    folder.mkdir()
    for index, picture in enumerate(soft_pictures(size, count)):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=90)
        (folder / f"{index:06d}.jpg").write_bytes(file.getvalue())


def soft_pictures(size: int, count: int) -> Iterator[Image.Image]:
    """Draw coarse noise, made large."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
        yield coarse.resize((size, size), Image.Resampling.BICUBIC)


def example(picture: np.ndarray, label: int | None) -> bytes:
    """Serialise an image as TensorFlow's guides do."""
    import tensorflow as tf

    pixels = tf.train.BytesList(value=[picture.tobytes()])
    feature = {"image": tf.train.Feature(bytes_list=pixels)}
    if label is not None:
        feature["label"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))
