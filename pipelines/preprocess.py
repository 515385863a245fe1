"""Prepare a data set for training: TFRecord shards, statistics and a description, with Apache Beam.

    python -m pipelines.preprocess --dataset=mnist --out=DIR
    python -m pipelines.preprocess --dataset=cifar10 --data_dir=PREPARED --out=DIR
    python -m pipelines.preprocess --dataset=cifar10 --manual_dir=ORIGINALS --out=DIR

The source's test split stays test; --validation says what is held out of its training images. The
folder appears whole, with dataset_info.json in it, or not at all.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import pathlib
import sys
import time

from absl import flags, logging

from keras_gan import cli, config, files, recipes, records, version
from keras_gan.interfaces import UserError

RECORDED_VERSIONS = ("apache-beam", "tensorflow", "tensorflow-datasets")
USED_SPLITS = ("train", "validation", "test")

FLAGS = flags.FlagValues()
flags.DEFINE_string("dataset", None, "TensorFlow Datasets name.", flag_values=FLAGS)
flags.DEFINE_string("out", None, "Folder to write; it must not exist.", flag_values=FLAGS)
flags.DEFINE_string("data_dir", None, "Prepared TFDS data sets.", flag_values=FLAGS)
flags.DEFINE_string("manual_dir", None, "The data set's original files.", flag_values=FLAGS)
flags.DEFINE_string(
    "validation",
    None,
    "Training images to hold out where the source has no validation split: last:N, hash:SHARE or "
    "none; the data set's recipe decides if not given.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "size",
    0,
    "Crop to a square and resize to this side; 0 keeps.",
    lower_bound=0,
    flag_values=FLAGS,
)
flags.DEFINE_string("runner", None, "Beam runner; in this process if not given.", flag_values=FLAGS)


@dataclasses.dataclass(frozen=True)
class Options:
    """What decides the content of a data folder.

    Args:
        dataset: TensorFlow Datasets name.
        validation: "last:N", "hash:SHARE" or "none".
        size: side that images are brought to; 0 keeps their own.
        data_dir: folder with prepared data sets.
        manual_dir: folder with original files.
    """

    dataset: str
    validation: str = "hash:0.1"
    size: int = 0
    data_dir: str | None = None
    manual_dir: str | None = None

    def __post_init__(self) -> None:
        """Make folders absolute: the same place always has the same name."""
        for name in ("data_dir", "manual_dir"):
            folder = getattr(self, name)
            if folder is not None:
                object.__setattr__(self, name, str(pathlib.Path(folder).resolve()))

    def folder_name(self) -> str:
        """Name the folder after what decides its content, so that no two ever mix."""
        content = json.dumps([dataclasses.astuple(self), records.FORMAT_VERSION])
        name = self.dataset.replace("/", "_").replace(":", "_")
        return f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def ensure(options: Options, root: str | os.PathLike[str]) -> pathlib.Path:
    """Return the data folder below `root` for these options; preprocess if it is not there."""
    folder = pathlib.Path(root) / options.folder_name()
    if not (folder / records.INFO_FILE).is_file():
        preprocess(options, folder)
    return folder


def preprocess(
    options: Options, out: str | os.PathLike[str], runner: str | None = None
) -> records.DatasetInfo:
    """Run the pipeline and return the description of the folder it wrote.

    Args:
        options: what to read, and how.
        out: the folder to write.
        runner: a Beam runner's name; None runs in this process.

    Raises:
        UserError: if the data set does not exist, cannot be had, or does not fit the options.
    """
    kind, amount = config.validation_rule(options.validation)

    # Beam and TensorFlow take seconds to import: mistakes in the flags are found before.
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    from pipelines import sources, transforms

    start = time.monotonic()
    source = sources.open_tfds(
        options.dataset,
        data_dir=options.data_dir,
        manual_dir=options.manual_dir,
        size=options.size,
    )
    splits = {name: count for name, count in source.splits.items() if name in USED_SPLITS}
    if not splits.get("train"):
        raise UserError(
            f"Expected a training split; received {options.dataset} with "
            f"{', '.join(source.splits)}."
        )
    if kind == "last" and amount >= splits["train"]:
        raise UserError(
            f"Expected validation=last:N with N below the {splits['train']} training images; "
            f"received validation={options.validation!r}."
        )
    logging.info("Preprocessing %s: %s images", source.name, f"{sum(splits.values()):,}")
    info = records.DatasetInfo(
        dataset=source.name,
        image_shape=source.image_shape,
        classes=source.classes,
        counts={},
        shards=(),
        source=source.describe(),
        parameters=dataclasses.asdict(options),
        versions={
            "keras_gan": version.__version__,
            **{name: importlib.metadata.version(name) for name in RECORDED_VERSIONS},
        },
    )
    with files.new_folder(out) as folder:
        # Beam's unnamed default would look for a runner on the web.
        with beam.Pipeline(runner=runner or FnApiRunner(), options=PipelineOptions([])) as pipeline:
            _ = (
                pipeline
                | "Plan" >> beam.Create(transforms.plan_blocks(splits, source.image_shape))
                | "Spread" >> beam.Reshuffle()
                | "Read" >> beam.ParDo(transforms.ReadBlock(source))
                | "Split" >> beam.ParDo(transforms.AssignSplits(options.validation, splits))
                | "Write" >> beam.ParDo(transforms.WriteShard(str(folder)))
                | "Summarise" >> beam.CombineGlobally(transforms.Summarise())
                | "Finish" >> beam.ParDo(transforms.Finish(str(folder), info))
            )
        info = records.DatasetInfo.read(folder)
        if not info.counts.get("train"):
            raise UserError(
                f"Expected some images to train on; received {info.counts} after "
                f"validation={options.validation!r}. Try validation=none."
            )
        if sum(info.counts.values()) != sum(splits.values()):
            raise RuntimeError(f"Expected {splits} to be written; received {info.counts}.")
    seconds = time.monotonic() - start
    logging.info(
        "Preprocessed %s images in %.1f s: %s",
        f"{sum(info.counts.values()):,}",
        seconds,
        ", ".join(f"{split} {count:,}" for split, count in info.counts.items()),
    )
    return info


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    for name in ("dataset", "out"):
        if not values[name].value:
            raise UserError(f"Expected --{name}; received none. Try --help.")
    out = pathlib.Path(values.out)
    cli.expect_writable(out.parent)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(
            f"Expected --out to be a new or empty folder; received {values.out}. Try another."
        )
    cli.import_tensorflow()
    validation = values.validation or recipes.get_recipe(None, values.dataset).validation
    options = Options(values.dataset, validation, values.size, values.data_dir, values.manual_dir)
    info = preprocess(options, values.out, values.runner)
    print(f"{info.dataset}: {info.counts} in {values.out}")  # noqa: T201
    print(f"Next: python -m keras_gan.train --dataset={values.dataset} --examples={values.out}")  # noqa: T201


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())
