"""Print images per second of preprocessing, on the embedded MNIST and on JPEG files.

    python -m benchmarks.data_speed [--repeats=3] [--rows=mnist]

Each row is the preprocessing command from a source to a finished, checked folder, by the time that
it prints itself; below it is what one would write instead. All of them run on one core unless they
say otherwise, one after the other, in every repeat.
"""

import gzip
import io
import itertools
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from absl import flags, logging
from PIL import Image

from keras_gan import cli

Measure = Callable[[int], tuple[int, float]]  # repeat -> (images, seconds)
TIME = re.compile(r"Preprocessed ([0-9,]+) images in ([0-9.]+) s")

FLAGS = flags.FlagValues()
flags.DEFINE_integer("repeats", 3, "Measurements of each.", flag_values=FLAGS)
flags.DEFINE_integer(
    "files", 2500, "Image files of 512x512; of 64x64 eight times as many.", flag_values=FLAGS
)
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
                count, seconds = measure(repeat)
                rates[name].append(count / seconds)
    print(f"{'what':<46}{'images/s, median':>18}   lowest to highest")
    for name, numbers in rates.items():
        spread = f"{min(numbers):,.0f} to {max(numbers):,.0f}"
        print(f"{name:<46}{statistics.median(numbers):>18,.0f}   {spread}")


def measurements(root: pathlib.Path, values: flags.FlagValues) -> dict[str, Measure]:
    """Make every row: its name, and what does the work and returns how many images it was."""
    import apache_beam as beam
    import tensorflow as tf

    pixels, labels = mnist("train")
    np.savez(root / "mnist.npz", images=pixels, labels=labels)
    (root / "tfds").mkdir()
    files = {size: root / str(size) for size in (512, 64)}
    for size, folder in files.items():
        write_jpegs(folder, size, values.files * 512 // size)
    numbers = itertools.count()

    def pipeline(*arguments: str) -> Measure:
        def measure(repeat: int) -> tuple[int, float]:
            out = root / f"out-{next(numbers)}"
            command = [sys.executable, "-m", "pipelines.preprocess", *arguments]
            done = subprocess.run(
                [*command, f"--out={out}", "--validation=none"],
                capture_output=True,
                text=True,
                check=True,
            )
            shutil.rmtree(out)
            found = TIME.search(done.stderr)
            assert found, done.stderr
            return int(found[1].replace(",", "")), float(found[2])

        return measure

    def timed(work: Callable[[], int]) -> Measure:
        def measure(repeat: int) -> tuple[int, float]:
            start = time.perf_counter()
            count = work()
            return count, time.perf_counter() - start

        return measure

    def write(rows: Iterable[bytes]) -> int:
        with tf.io.TFRecordWriter(str(root / "bare.tfrecord")) as file:
            return sum(1 for row in rows if file.write(row) is None)

    def naive(some: int = 6000) -> int:
        rows = list(zip(pixels[:some], labels[:some].tolist(), strict=True))
        with beam.Pipeline(runner="FnApiRunner") as p:
            steps = p | beam.Create(rows) | beam.MapTuple(example)
            _ = steps | beam.io.WriteToTFRecord(str(root / "naive"))
        return some

    def resized(path: pathlib.Path) -> bytes:
        picture = Image.open(path).convert("RGB")
        return example(np.asarray(picture.resize((64, 64), Image.Resampling.LANCZOS)), None)

    from_npz = pipeline(f"--arrays={root / 'mnist.npz'}")
    from_tfds = pipeline("--dataset=mnist", f"--data_dir={root / 'tfds'}")
    from_tfds(0)  # TFDS prepares its own copy once
    return {
        "MNIST from an .npz file": from_npz,
        "MNIST from TensorFlow Datasets": from_tfds,
        "  bare TFRecordWriter, pixels alone": timed(lambda: write(p.tobytes() for p in pixels)),
        "  bare TFRecordWriter, tf.train.Example": timed(
            lambda: write(map(example, pixels, labels.tolist()))
        ),
        "  Beam, an element an image": timed(naive),
        "64x64 JPEG files": pipeline(f"--images={files[64]}", "--size=64"),
        "  bare loop: open, resize, write": timed(
            lambda: write(map(resized, sorted(files[64].iterdir())))
        ),
        "512x512 JPEG files to 64x64": pipeline(f"--images={files[512]}", "--size=64"),
        "  bare loop: open, resize, write ": timed(
            lambda: write(map(resized, sorted(files[512].iterdir())))
        ),
        "512x512 JPEG files, two cores": pipeline(f"--images={files[512]}", "--size=64"),
    }


def mnist(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the embedded files: uint8 [n, 28, 28] and [n]."""
    from pipelines.sources import tfds_builder

    def read(name: str, header: int) -> np.ndarray:
        content = gzip.decompress((tfds_builder.EMBEDDED / "mnist" / name).read_bytes())
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
