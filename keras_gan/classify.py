"""Train a classifier on few labels and many images without, by a GAN whose D classifies.

    python -m keras_gan.classify --dataset=mnist
    python -m keras_gan.classify --dataset=mnist --labels=1000 --seed=1
    python -m keras_gan.classify --examples=data/mine --labels=all --out=result.json
    python -m keras_gan.classify --dataset=mnist --inference=runs/mnist

Beside it, the same network is trained on the labels alone. Prints test errors with their standard
errors: of both, and of logistic regression on D's features, on the pixels, and on the features of
a run's inference network (--inference), with the same labels. The same command on the same work
directory goes on where it stopped.
"""

import dataclasses
import json
import pathlib
import shlex
import sys
import time

from absl import flags, logging

from keras_gan import cli, files, overrides, recipes, records
from keras_gan.few_labels import FewLabels
from keras_gan.interfaces import Preempted, UserError
from pipelines.options import Options

FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "dataset", None, "TensorFlow Datasets name: mnist, cifar10, ...", flag_values=FLAGS
)
flags.DEFINE_string(
    "examples",
    None,
    "A folder written by pipelines.preprocess, with labels, validation and test images.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "labels",
    "100",
    "Training images whose labels are known, as many of each class; or all.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "seed",
    0,
    "Of the choice of labelled images, weights, noise and order.",
    lower_bound=0,
    upper_bound=2**32 - 1,
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "steps", FewLabels.steps, "Steps of each training.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_multi_string(
    "set",
    [],
    "key=value of the options, as in d_optimizer.learning_rate=1e-3 or "
    "generator_loss=non_saturating.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "inference",
    None,
    "A work directory of keras_gan.train, after keras_gan.infer: the features of its inference "
    "network are judged too.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "workdir",
    None,
    "Checkpoints and logs (default: below runs/, named after data, labels and seed).",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "export_dir",
    None,
    "Export the generator there, with the classifier as signature classify, as the next version.",
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "strategy",
    "auto",
    ["auto", "one", "mirrored"],
    "Devices: one; mirrored, several of this machine.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "replicas",
    None,
    "Devices that train, for mirrored: GPUs, or parts of the CPU (default: every GPU).",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_string("out", None, "Write the errors as JSON too.", flag_values=FLAGS)
flags.DEFINE_string(
    "examples_root", "data", "Where preprocessed data sets are kept.", flag_values=FLAGS
)
flags.DEFINE_string(
    "data_dir", None, "Prepared TensorFlow Datasets (default: TFDS's folder).", flag_values=FLAGS
)
flags.DEFINE_string("manual_dir", None, "The data set's original files.", flag_values=FLAGS)


def options_from(values: flags.FlagValues) -> FewLabels:
    """Make the options that the flags describe, checked."""
    cli.expect_one_of(values, "dataset", "examples")
    if values.labels != "all" and not (values.labels.isdecimal() and int(values.labels)):
        raise UserError(
            f"Expected --labels as a whole number of at least 1, or all; received "
            f"--labels={values.labels}."
        )
    options = overrides.override(FewLabels(), *values.set)
    labels = 0 if values.labels == "all" else int(values.labels)
    options = dataclasses.replace(options, labels=labels, seed=values.seed, steps=values.steps)
    if not options.unlabelled_weight:
        raise UserError(
            "Expected unlabelled_weight above 0, as labels alone are learnt from beside it; "
            "received unlabelled_weight=0."
        )
    return options


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    options = options_from(values)
    if values.examples:
        name = pathlib.Path(values.examples).resolve().name
        records.DatasetInfo.read(values.examples)
    else:
        recipe = recipes.get_recipe(None, values.dataset)
        name = recipe.name
    workdir = values.workdir or f"runs/{name}_{values.labels}_labels_seed_{values.seed}"
    for folder in (
        workdir,
        values.examples_root,
        pathlib.Path(values.out or ".").parent,
        *filter(None, [values.export_dir]),
    ):
        cli.expect_writable(folder)

    cli.import_tensorflow()
    from keras_gan import classification, distribution
    from pipelines import preprocess

    strategy = distribution.make_strategy(values.strategy, replicas=values.replicas or 0)
    if distribution.several_workers(strategy):
        raise UserError(
            "Expected one machine; received TF_CONFIG of several. Try --strategy=mirrored, or "
            "without TF_CONFIG."
        )
    logging.info(distribution.describe(strategy))
    examples = values.examples or preprocess.ensure(
        Options(
            recipe.dataset,
            recipe.validation,
            data_dir=values.data_dir,
            manual_dir=values.manual_dir,
            size=recipe.image_size,
            channels=recipe.image_channels,
        ),
        values.examples_root,
    )
    features = {}
    if values.inference:
        features = classification.load_encoder(values.inference, examples)
    start = time.monotonic()
    try:
        rows, gan = classification.compare(options, workdir, examples, features, strategy)
    except (KeyboardInterrupt, Preempted):
        command = shlex.join(["python", "-m", "keras_gan.classify", *cli.given(values)])
        logging.info("To go on: %s", command)
        raise
    minutes = (time.monotonic() - start) / 60
    print(  # noqa: T201
        f"{values.labels} labels, seed {options.seed}, {options.steps:,} steps, {minutes:.1f} "
        "minutes here"
    )
    print(f"{'':<28}{'test error':>16}{'validation':>14}")  # noqa: T201
    for name, row in rows.items():
        error = f"{row['error']:.2%} +- {row['stderr']:.2%}"
        print(f"{name:<28}{error:>16}{row['validation_error']:>13.2%}")  # noqa: T201
    if values.out:
        with files.replacing(pathlib.Path(values.out)) as temporary:
            found = {"options": json.loads(options.to_json()), "classifiers": rows}
            temporary.write_text(json.dumps(found, indent=2) + "\n")
    if values.export_dir:
        info = records.DatasetInfo.read(examples)
        model = classification.export(gan, options, info, pathlib.Path(values.export_dir), rows)
        print(f"Model: {model}    Next: python -m keras_gan.sample --model={values.export_dir}")  # noqa: T201


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())
