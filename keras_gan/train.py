"""Train a generative adversarial network and export its generator.

    python -m keras_gan.train --dataset=mnist
    python -m keras_gan.train --images=FOLDER
    python -m keras_gan.train --dataset=cifar10 --data_dir=PREPARED
    python -m keras_gan.train --recipe=mnist_paper --epochs=100 --set batch_size=50

The data are preprocessed once, into --examples_root. The same command on the same work directory
goes on where it stopped.
"""

import dataclasses
import pathlib
import shlex
import sys
import textwrap
from typing import TYPE_CHECKING

from absl import flags, logging
from tqdm import tqdm

from keras_gan import cli, recipes, records
from keras_gan.config import DEFAULT_VALIDATION, Recipe
from keras_gan.interfaces import Preempted, Stopped, UserError
from pipelines import sources
from pipelines.options import DEFAULT_SIZE, Options

if TYPE_CHECKING:
    from keras_gan.experiment import Result

FLAGS = flags.FlagValues()


def _string(name: str, default: str | None, text: str) -> None:
    flags.DEFINE_string(name, default, text, flag_values=FLAGS)


def _integer(name: str, text: str, lower_bound: int = 1) -> None:
    flags.DEFINE_integer(name, None, text, lower_bound=lower_bound, flag_values=FLAGS)


def _choice(name: str, values: list[str], text: str) -> None:
    flags.DEFINE_enum(name, values[0], values, text, flag_values=FLAGS)


_string("dataset", None, "TensorFlow Datasets name: mnist, cifar10, ...")
_string("images", None, "A folder of your own images, or a pattern.")
_string("arrays", None, "Your own images in an .npz or .npy file.")
_string("recipe", None, f"One of {', '.join(recipes.RECIPES)}; the data set's own if not given.")
flags.DEFINE_multi_string(
    "set", [], "key=value of the recipe, as in d_optimizer.learning_rate=1e-4.", flag_values=FLAGS
)
_integer("steps", "Generator steps in total (default: the recipe's).")
_integer("epochs", "Passes over the training images in total (default: the recipe's).")
_integer("seed", "Of weights, noise, masks and order.", lower_bound=0)
_string(
    "workdir",
    None,
    "Checkpoints, logs and samples (default: runs/ and the name of the data or recipe, with a seed "
    "that is not 0).",
)
_string(
    "export_dir",
    None,
    "Versions of the exported generator (default: saved_models/ and the work directory's name).",
)
_choice(
    "on_collapse",
    ["warn", "stop"],
    "When samples lose their variety: go on, or end with the last checkpoint before (exit code 3).",
)
_choice(
    "on_nan",
    ["stop", "rollback"],
    "When numbers are no longer finite: end at the last good checkpoint (exit code 3), or go on "
    "from it with other noise, three times.",
)
_choice(
    "on_full_disk", ["go_on", "stop"], "When the disk is full: go on without, or end (exit code 3)."
)
flags.DEFINE_integer(
    "keep",
    3,
    "Checkpoints to keep: so many of the newest, and the best.",
    lower_bound=1,
    flag_values=FLAGS,
)
_choice(
    "strategy",
    ["auto", "one", "mirrored", "multi_worker", "tpu", "parameter_server"],
    "Devices: one; mirrored, several of this machine; multi_worker, those of TF_CONFIG; tpu.",
)
flags.DEFINE_integer(
    "replicas",
    None,
    "Devices of this machine that train, for mirrored: GPUs, or parts of the CPU (default: every "
    "GPU).",
    lower_bound=1,
    flag_values=FLAGS,
)
_string("tpu", None, "The TPU's name or address (default: this machine's).")
flags.DEFINE_enum(
    "precision",
    None,
    ["float32", "bfloat16", "float16"],
    "Of matrix products: compute_dtype of the recipe.",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "deterministic",
    False,
    "Use only operations that give the same bits each time; slower on GPUs.",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "profile", False, "Trace 20 steps for TensorBoard's Profile page.", flag_values=FLAGS
)
_string("examples", None, "A folder written by pipelines.preprocess; made if not given.")
_string("examples_root", "data", "Where preprocessed data sets are kept.")
_string("data_dir", None, "Prepared TensorFlow Datasets (default: TFDS's own folder).")
_string("manual_dir", None, "The data set's original files.")


def options_from(values: flags.FlagValues) -> Options:
    """Say which data the flags name; only a recipe may be given instead."""
    given = [f"--{name}={values[name].value}" for name in sources.KINDS if values[name].value]
    if values.examples and (values.images or values.arrays):
        given.append(f"--examples={values.examples}")
    if len(given) > 1:
        raise UserError(f"Expected one source of images; received {' and '.join(given)}.")
    unread = [name for name in ("data_dir", "manual_dir") if values[name].value]
    if values.examples and unread:
        raise UserError(
            f"Expected --{unread[0]} without --examples, which are read as they are; received both."
        )
    return Options(
        values.dataset or "",
        data_dir=values.data_dir,
        manual_dir=values.manual_dir,
        images=values.images,
        arrays=values.arrays,
        size=DEFAULT_SIZE if values.images else 0,
    )


def recipe_from(values: flags.FlagValues) -> Recipe:
    """Make the recipe that the flags describe, checked."""
    options = options_from(values)
    if values.images or values.arrays:
        recipe = recipes.get_recipe(values.recipe, None, options.title)
        recipe = dataclasses.replace(
            recipe,
            image_size=recipe.image_size or options.size,
            validation=DEFAULT_VALIDATION,
        )
    elif values.examples and not (values.dataset or values.recipe):
        info = records.DatasetInfo.read(values.examples)
        dataset = info.parameters.get("dataset")
        title = None if dataset else pathlib.Path(values.examples).resolve().name
        recipe = recipes.get_recipe(None, dataset or None, title)
        recipe = dataclasses.replace(
            recipe,
            image_size=info.parameters["size"],
            image_channels=info.parameters["channels"],
            validation=info.parameters["validation"],
        )
    elif values.dataset or values.recipe:
        recipe = recipes.get_recipe(values.recipe, values.dataset)
    else:
        raise UserError(
            "Expected --images, --dataset, --arrays, --examples or --recipe; received none. Try "
            "--dataset=mnist, or --help."
        )
    recipe = recipe.with_overrides(values.set)
    if values.steps and values.epochs:
        raise UserError(
            f"Expected --steps or --epochs; received --steps={values.steps} and "
            f"--epochs={values.epochs}. Try one of them."
        )
    if values.steps:
        recipe = dataclasses.replace(recipe, steps=values.steps)
    if values.epochs:
        recipe = dataclasses.replace(recipe, steps=0, epochs=values.epochs)
    if values.seed is not None:
        recipe = dataclasses.replace(recipe, seed=values.seed)
    if values.precision:
        recipe = dataclasses.replace(recipe, compute_dtype=values.precision)
    if values.deterministic and recipe.jit_compile:
        raise UserError(
            "Expected jit_compile=false with --deterministic, which TensorFlow cannot compile; "
            "received jit_compile=true."
        )
    return recipe


def print_summary(result: "Result", recipe: Recipe, report: pathlib.Path | None) -> None:
    """Print what a run has come to, where things are, and what comes next."""
    from keras_gan import callbacks

    images = recipe.images_per_step
    print(f"Steps:   {result.steps:,}, {result.epochs:,.1f} epochs")  # noqa: T201
    if result.trained and not result.stopped:  # else there were more, that are not kept
        time = tqdm.format_interval(result.seconds)
        speed = result.trained * images / result.seconds
        print(f"Time:    {time} for {result.trained:,} steps here, {speed:,.0f} images/s")  # noqa: T201
    means = [f"{title} {mean:.3f}" for title, mean in callbacks.titled(result.means).items()]
    if means:
        print(f"Losses:  {', '.join(means)} (means of the last interval)")  # noqa: T201
    if result.parzen is not None:
        images_of = {"validation": "held-out images", "train": "training images"}[result.watched]
        print(f"Parzen:  {result.parzen:.1f} nats on {images_of}, while training")  # noqa: T201
    for text in result.warnings:
        print(textwrap.fill(text, 100, initial_indent="Warning: ", subsequent_indent=" " * 9))  # noqa: T201
    version = pathlib.Path(result.model)
    if report:
        print(f"Report:  {report}")  # noqa: T201
    print(f"Samples: {result.samples}")  # noqa: T201
    logs, model = (shlex.quote(str(path)) for path in (result.logs, version.parent))
    print(f"Logs:    {result.logs}    (tensorboard --logdir={logs})")  # noqa: T201
    print(f"Model:   {version}    Next: python -m keras_gan.sample --model={model}")  # noqa: T201


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    command = shlex.join(["python", "-m", "keras_gan.train", *cli.given(values)])
    try:
        _run(values, command)
    except (KeyboardInterrupt, Preempted):
        logging.info("To go on: %s", command)
        raise


def default_workdir(recipe: Recipe) -> str:
    """Name a run's folder: each seed has one of its own."""
    return f"runs/{recipe.name}" + (f"_seed_{recipe.seed}" if recipe.seed else "")


def _run(values: flags.FlagValues, command: str) -> None:
    recipe = recipe_from(values)
    workdir = values.workdir or default_workdir(recipe)
    # Named after the work directory: an experiment never becomes another run's newest version.
    export_dir = values.export_dir or f"saved_models/{pathlib.Path(workdir).resolve().name}"
    for folder in (workdir, export_dir, values.examples_root):
        cli.expect_writable(folder)

    cli.import_tensorflow()
    from keras_gan import distribution, experiment, pages
    from pipelines import preprocess

    strategy = distribution.make_strategy(
        values.strategy, replicas=values.replicas or 0, tpu=values.tpu or ""
    )
    if values.deterministic:
        distribution.make_deterministic()
    logging.info(distribution.describe(strategy))
    if emulated := distribution.emulated(recipe.compute_dtype):
        logging.warning(emulated)
    with distribution.others_may_be_lost(strategy):
        with distribution.chief_first(strategy):
            examples = values.examples or preprocess.ensure(
                dataclasses.replace(
                    options_from(values),
                    dataset=recipe.dataset,
                    validation=recipe.validation,
                    size=recipe.image_size,
                    channels=recipe.image_channels,
                ),
                values.examples_root,
            )
        chief = distribution.is_chief(strategy)
        try:
            result = experiment.train(
                recipe,
                workdir,
                examples,
                export_dir,
                strategy=strategy,
                keep=values.keep,
                on_collapse=values.on_collapse,
                on_nan=values.on_nan,
                on_full_disk=values.on_full_disk,
                profile=values.profile,
                command=command,
            )
        except Preempted:  # there is no time
            raise
        except Stopped:
            if chief:
                pages.refresh(workdir)
            raise
    if not chief:
        return
    report = pages.refresh(workdir)
    if not cli.is_quiet():
        print_summary(result, recipe, report)
    if result.stopped:
        raise Stopped(f"{result.stopped} What is exported is the last checkpoint before.")


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())
