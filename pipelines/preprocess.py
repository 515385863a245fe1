"""Prepare images for training: TFRecord shards, statistics and a description, with Apache Beam.

    python -m pipelines.preprocess --images=FOLDER [--size=64]
    python -m pipelines.preprocess --dataset=mnist
    python -m pipelines.preprocess --dataset=cifar10 --manual_dir=ORIGINALS
    python -m pipelines.preprocess --arrays=FILE.npz

Exact duplicates are left out, what is no image is set aside, and the result is checked against a
schema; what was found is listed in the folder. The folder appears whole or not at all, and training
takes it only if nothing was wrong or --allow accepts it. Other flags are Apache Beam's: --runner,
--direct_num_workers, ...
"""

import dataclasses
import difflib
import importlib.metadata
import json
import os
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

from absl import flags, logging

from keras_gan import cli, config, images, recipes, records, version
from keras_gan.interfaces import UserError
from pipelines import sources, storage
from pipelines.options import COMPRESSIONS, DEFAULT_SIZE, Checks, Options
from pipelines.sources.source import Source

RECORDED_VERSIONS = ("apache-beam", "numpy", "pillow", "tensorflow", "tensorflow-datasets")
ROOT = "data"
LISTS = {
    "rejected": ("name", "reason"),
    "duplicates": ("name", "split", "class", "same_as", "its_split", "its_class"),
}

FLAGS = flags.FlagValues()


def _string(name: str, default: str | None, text: str) -> None:
    flags.DEFINE_string(name, default, text, flag_values=FLAGS)


_string(
    "images", None, "Folder of PNG, JPEG, WebP, BMP or GIF files, or a pattern; also gs://, ..."
)
_string("dataset", None, "TensorFlow Datasets name, as in cifar10 or NAME/CONFIG.")
_string("arrays", None, "An .npz or .npy file of images, or the Toronto Face Database's .mat.")
_string("labels", None, "An .npy file of class numbers for --arrays.")
_string("out", None, "Folder to write (default: data/ and a name of its own).")
_string("data_dir", None, "Prepared TensorFlow Datasets (default: TFDS's own folder).")
_string("manual_dir", None, "A TFDS data set's original files.")
_string("splits", "", "Which of the source's splits to use: train=NAME,validation=NAME,test=NAME.")
_string(
    "validation",
    None,
    "Training images to hold out where the source has no validation split: last:N, hash:SHARE or "
    "none (default: the data set's recipe's, or hash:0.1).",
)
_string("test", "none", "The same for a test split: hash:SHARE or none.")
flags.DEFINE_integer(
    "size",
    None,
    "Side that images are brought to; 0 keeps (default: 64 for --images, else 0).",
    lower_bound=0,
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "fit", "crop", images.FITS, "How an image becomes square: crop, pad (white) or stretch.",
    flag_values=FLAGS,
)  # fmt: skip
flags.DEFINE_integer(
    "channels", 0, "1 for grey, 3 for colour; 0 keeps the source's.", flag_values=FLAGS
)
flags.DEFINE_integer(
    "fold", 0, "Which of a .mat file's folds to use.", lower_bound=0, flag_values=FLAGS
)
flags.DEFINE_enum("compression", "none", COMPRESSIONS, "Of the shards.", flag_values=FLAGS)
flags.DEFINE_integer(
    "shard_mb", 32, "Mebibytes of pixels in a shard.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_float(
    "max_rejected",
    0.01,
    "Share of files that may be no images; with more of them the folder stays unblessed.",
    lower_bound=0.0,
    upper_bound=1.0,
    flag_values=FLAGS,
)
_string("schema", None, "Schema to check against (default: the data set's own, or inferred).")
_string("baseline", None, "Earlier data folder whose classes and brightness should not differ.")
flags.DEFINE_float(
    "patience",
    60.0,
    "Seconds without progress before a --runner's workers are given up; 0 for no end.",
    lower_bound=0.0,
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "allow", [], "Anomalies to accept, by name: near_constant,class_drift", flag_values=FLAGS
)


def ensure(
    options: Options,
    root: str | os.PathLike[str],
    checks: Checks | None = None,
    beam_flags: Sequence[str] = (),
) -> pathlib.Path:
    """Return the data folder below `root` for these options; preprocess if it is not there."""
    folder = _folder(options, root)
    if _is_finished(folder):
        logging.info("%s is finished already: nothing to preprocess", folder)
        return folder
    source = sources.open_source(options)  # may prepare it first, which changes its fingerprint
    folder = _folder(options, root)
    if not _is_finished(folder):
        try:
            preprocess(options, folder, checks, beam_flags, source)
        except OSError:
            if not _is_finished(folder):  # by another process, meanwhile
                raise
    return folder


def _folder(options: Options, root: str | os.PathLike[str]) -> pathlib.Path:
    return pathlib.Path(root) / options.folder_name(sources.fingerprint(options))


def _is_finished(folder: str | os.PathLike[str]) -> bool:
    """Say whether a folder is described as finished, and not as unblessed besides."""
    blessed, unblessed = (
        storage.exists(storage.join(str(folder), name))
        for name in (records.INFO_FILE, records.UNBLESSED_FILE)
    )
    return blessed and not unblessed


def preprocess(
    options: Options,
    out: str | os.PathLike[str],
    checks: Checks | None = None,
    beam_flags: Sequence[str] = (),
    source: Source | None = None,
) -> records.DatasetInfo:
    """Run the pipeline and return the description of the folder it wrote.

    Args:
        options: what to read, and how.
        out: the folder to write; one that was not accepted before is checked again, or replaced
            if it holds other images.
        checks: what the result must pass.
        beam_flags: Apache Beam's own flags; without any it runs in this process.
        source: what `sources.open_source(options)` gave, if it is open already.

    Raises:
        UserError: if the source does not exist, cannot be had, does not fit the options, or has
            anomalies that are not accepted.
    """
    checks = checks or Checks()
    # Beam takes seconds to import: mistakes in the flags are found before.
    from pipelines import blessing, runners, transforms, work
    from pipelines.sources.source import plan_blocks

    blessing.expect_possible(options, checks)
    start = time.monotonic()
    source = source or sources.open_source(options)
    _expect_enough_to_hold_out(options, source.splits)
    unblessed = storage.join(str(out), records.UNBLESSED_FILE)
    if storage.exists(unblessed):
        info = records.DatasetInfo.from_json(storage.read(unblessed), unblessed)
        known = (info.quality["fingerprint"], info.parameters)
        if known == (source.fingerprint, options.parameters()):
            logging.info("Checking %s again", out)
            return blessing.expect_blessed(*blessing.judge(info, options, checks, str(out)), out)
        storage.delete_folder(str(out))

    for split, rule in (("test", options.test), ("validation", options.validation)):
        if split in source.splits and rule != "none":
            logging.info("The source has its own %s split: --%s is not used", split, split)
    images_read = sum(source.splits.values())
    blocks = plan_blocks(source, options.shard_mb * 2**20)
    logging.info("Preprocessing %s: %s images", source.name, f"{images_read:,}")
    with storage.new_folder(str(out)) as folder:
        chain = transforms.Preprocess(
            source, folder, options.validation, options.test, options.compression
        )
        runners.run(
            lambda root: chain.expand(root, blocks),
            folder,
            images_read,
            beam_flags,
            checks.patience,
        )
        summary = json.loads(storage.read(work.in_work(folder, "summary.json")))
        _expect_all(summary, images_read)
        _expect_held_out(options, source.splits, summary)
        if sources.fingerprint(options) != source.fingerprint:
            raise UserError(
                f"Expected {source.name} to stay as it is; received changes while it was read. "
                "Nothing was kept. Try again."
            )
        for name, columns in LISTS.items():
            _collect(folder, name, columns, len(blocks))
        _expect_training_images(summary, folder, options)
        storage.delete_folder(work.in_work(folder))
        info = records.DatasetInfo(
            dataset=source.name,
            image_shape=source.image_shape,
            classes=source.classes,
            counts=summary["counts"],
            shards=tuple(records.Shard(**shard) for shard in summary["shards"]),
            source=source.describe(),
            parameters=options.parameters(),
            versions={
                "keras_gan": version.__version__,
                **{name: importlib.metadata.version(name) for name in RECORDED_VERSIONS},
            },
            quality={
                "read": images_read,
                "fingerprint": source.fingerprint,
                **{name: summary[name] for name in ("rejected", "duplicates", "conflicts")},
                "overlap": summary["overlap"],
            },
        )
        info, refused = blessing.judge(info, options, checks, folder)
    seconds = time.monotonic() - start
    logging.info(
        "Preprocessed %s images in %.1f s, %s/s: %s; %s duplicates left out, %s rejected",
        f"{images_read:,}",
        seconds,
        f"{images_read / seconds:,.0f}",
        ", ".join(f"{split} {count:,}" for split, count in info.counts.items()),
        f"{summary['duplicates']:,}",
        f"{summary['rejected']:,}",
    )
    return blessing.expect_blessed(info, refused, out)


def _expect_enough_to_hold_out(options: Options, splits: dict[str, int]) -> None:
    kind, amount = config.validation_rule(options.validation)
    if kind == "last" and "validation" not in splits and amount >= splits["train"]:
        raise UserError(
            f"Expected validation=last:N with N below the {splits['train']} training images; "
            f"received validation={options.validation!r}."
        )


def _expect_all(summary: dict[str, Any], images_read: int) -> None:
    """Check that nothing was lost on the way, whatever runner it was."""
    written = sum(shard["count"] for shard in summary["shards"])
    accounted = written + summary["duplicates"] + summary["rejected"]
    if accounted != images_read or written != sum(summary["counts"].values()):
        raise RuntimeError(
            f"Expected all {images_read:,} images to be written, duplicates or rejected; received "
            f"{written:,} + {summary['duplicates']:,} + {summary['rejected']:,}: the runner lost "
            "some. Nothing was kept."
        )


def _expect_held_out(options: Options, splits: dict[str, int], summary: dict[str, Any]) -> None:
    """Check that the last N were N: a source's own numbers may not count from 0."""
    kind, amount = config.validation_rule(options.validation)
    if kind != "last" or "validation" in splits:
        return
    held_out = summary["counts"].get("validation", 0)
    missing = summary["duplicates"] + summary["rejected"]
    if not amount - missing <= held_out <= amount:
        raise UserError(
            f"Expected validation={options.validation!r} to hold out {amount:,} images; received "
            f"{held_out:,}: the source does not number its images from 0. Try hash:0.1."
        )


def _expect_training_images(summary: dict[str, Any], folder: str, options: Options) -> None:
    if not summary["counts"].get("train"):
        lines = storage.read(storage.join(folder, "rejected.tsv")).decode().splitlines()[1:]
        listed = f" ({lines[0]}, ...)".replace("\t", ": ") if lines else ""
        advice = "other images" if lines else "--validation=none"
        raise UserError(
            f"Expected some images to train on; received {summary['counts'] or 'none'}, with "
            f"{summary['rejected']} rejected{listed} and validation={options.validation!r}. Try "
            f"{advice}."
        )


def _collect(folder: str, name: str, columns: tuple[str, ...], blocks: int) -> None:
    """Put the blocks' lists together, in order."""
    from pipelines import work

    with storage.create(storage.join(folder, f"{name}.tsv")) as file:
        file.write(work.tsv(*columns))
        for index in range(blocks):
            piece = work.in_work(folder, work.piece(name, index))
            if storage.exists(piece):
                file.write(storage.read(piece))


def main(values: flags.FlagValues, beam_flags: list[str]) -> None:
    """Run the command with its parsed flags."""
    cli.expect_flags(beam_flags)
    for flag in beam_flags:
        name = flag.partition("=")[0].lstrip("-")
        near = difflib.get_close_matches(name, sources.KINDS, n=1, cutoff=0.8)
        if near:  # of the others Beam knows whether they are its own
            raise UserError(f"Expected another flag; received {flag!r}. Did you mean --{near[0]}?")
    options = options_from(values)
    checks = Checks(values.max_rejected, tuple(values.allow), values.baseline, values.patience)
    from pipelines import blessing

    blessing.expect_possible(options, checks)
    if beam_flags:
        from pipelines import runners

        runners.expect_possible(beam_flags, FLAGS)
    remote = storage.is_remote(values.out or "")
    if not remote:
        cli.expect_writable(values.out or ROOT)
    if options.dataset:
        cli.import_tensorflow()
    if values.out:
        folder = values.out.rstrip("/")
        if not _finished(options, checks, folder):
            preprocess(options, folder, checks, beam_flags)
    else:
        folder = str(ensure(options, ROOT, checks, beam_flags))
    print(f"Data:    {folder}    (rejected.tsv, duplicates.tsv: what was left out)")  # noqa: T201
    if remote:
        return
    info = records.DatasetInfo.read(folder)
    counts = ", ".join(f"{split} {count:,}" for split, count in info.counts.items())
    print(f"Images:  {'x'.join(map(str, info.image_shape))}; {counts}")  # noqa: T201
    print(f"Next:    python -m keras_gan.train --examples={folder}")  # noqa: T201


def _finished(options: Options, checks: Checks, folder: str) -> bool:
    """Say whether a folder holds what the options ask for; refuse one that holds other things."""
    from pipelines import blessing

    if os.path.ismount(folder):
        raise UserError(
            f"Expected --out to be a folder to make; received {folder}, where a disk is mounted. "
            "Try a folder below it."
        )
    if not _is_finished(folder):
        path = pathlib.Path(folder)
        unblessed = (path / records.UNBLESSED_FILE).is_file()
        if path.exists() and not unblessed and (not path.is_dir() or any(path.iterdir())):
            raise UserError(
                f"Expected --out to be a new or empty folder; received {folder}. Try another."
            )
        return False
    described = storage.join(folder, records.INFO_FILE)
    info = records.DatasetInfo.from_json(storage.read(described), described)
    expected = {"fingerprint": sources.fingerprint(options), **options.parameters()}
    received = {"fingerprint": info.quality.get("fingerprint"), **info.parameters}
    changed = [
        "images (by their names, sizes or dates)" if key == "fingerprint" else f"--{key}"
        for key in expected
        if expected[key] != received.get(key)
    ]
    if changed:
        raise UserError(
            f"Expected --out to be new, or of the same images and flags; received {folder}, made "
            f"with other {', '.join(changed)}. Try deleting it, another --out, or none: each has a "
            "folder then."
        )
    if not storage.is_remote(folder):
        info.verify(folder)
    if checks.baseline:  # what was accepted before stays so
        checks = dataclasses.replace(checks, allow=(*checks.allow, *info.quality["allowed"]))
        blessing.expect_blessed(*blessing.judge(info, options, checks, folder), folder)
    logging.info("%s is finished already: nothing to preprocess", folder)
    return True


def options_from(values: flags.FlagValues) -> Options:
    """Make the options that the flags describe, checked."""
    given = [name for name in sources.KINDS if values[name].value]
    if len(given) != 1:
        raise UserError(
            f"Expected one of {', '.join('--' + kind for kind in sources.KINDS)}; received "
            f"{' and '.join('--' + name for name in given) or 'none'}. Try --help."
        )
    validation = values.validation
    if validation is None:
        known = recipes.get_recipe(None, values.dataset) if values.dataset else None
        validation = known.validation if known else "hash:0.1"
    size = values.size
    if size is None:
        size = DEFAULT_SIZE if values.images else 0
    names = {field.name for field in dataclasses.fields(Options)} - {"validation", "size"}
    chosen = {name: values[name].value for name in names if values[name].value is not None}
    return Options(**chosen, validation=validation, size=size)


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "", pass_on=True)


if __name__ == "__main__":
    sys.exit(run())
