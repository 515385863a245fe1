"""Wiring: from a recipe and a data folder to a trained, exported generator. No algorithms here."""

import contextlib
import dataclasses
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from absl import logging

from keras_gan import (
    callbacks,
    checkpoints,
    data,
    distribution,
    encoders,
    endings,
    export,
    guards,
    loop,
    monitors,
    networks,
    optimizers,
    priors,
    records,
    scales,
)
from keras_gan import card as cards
from keras_gan import workdir as workdirs
from keras_gan.beside import Beside
from keras_gan.config import Recipe
from keras_gan.gan import GAN
from keras_gan.inference import Inference
from keras_gan.interfaces import UserError

SCALE_IMAGES = 10000  # whose average brightness and contrast generated images get


@dataclasses.dataclass(frozen=True)
class Result:
    """What a training run left.

    Args:
        gan: the trained model.
        steps: steps trained in total.
        samples: the newest grid.
        logs: folder of TensorBoard logs.
        model: the export's folder.
        stopped: why the run ended early; empty if it did not.
        epochs: passes over the training images in total.
        trained: steps of these that this call trained.
        seconds: that training took, with all that is written beside.
        means: of the last interval's losses, D(x) and D(G(z)), as training calls them; none if
            nothing was trained.
        parzen: the newest Parzen estimate while training, in nats; None if there is none.
        watched: the split that it is of: "validation", or "train" where there are no such images.
        warnings: what was seen to go wrong.
    """

    gan: GAN
    steps: int
    samples: pathlib.Path
    logs: pathlib.Path
    model: pathlib.Path
    stopped: str = ""
    epochs: float = 0.0
    trained: int = 0
    seconds: float = 0.0
    means: dict[str, float] = dataclasses.field(default_factory=dict)
    parzen: float | None = None
    watched: str = "validation"
    warnings: list[str] = dataclasses.field(default_factory=list)


def build(
    recipe: Recipe,
    image_shape: tuple[int, int, int],
    *,
    train_images: int,
    pixel_mean: np.ndarray | None = None,
    classes: int = 0,
) -> GAN:
    """Make the compiled model that a recipe describes.

    Args:
        recipe: the experiment.
        image_shape: (H, W, C) of the data.
        train_images: images in the training split; schedules are counted in epochs or steps.
        pixel_mean: the training images' mean, [H, W, C] in [0, 1]; the generator starts from it.
        classes: of the data's labels, which a conditional recipe needs.

    Raises:
        UserError: if the recipe is conditional and there are no classes.
    """
    if recipe.conditional and not classes:
        raise UserError(
            "Expected labelled images for conditional=true; received data without classes. Try "
            "--set conditional=false, or images in a folder for each class."
        )
    generator, discriminator = networks.build_networks(
        recipe.network,
        latent=recipe.latent,
        image_shape=image_shape,
        output="linear" if recipe.scale == "contrast" else "sigmoid",
        pixel_mean=pixel_mean,
        seed=recipe.seed,
        dtype=recipe.compute_dtype,
        conditions=classes if recipe.conditional else 0,
    )
    gan = GAN(
        generator,
        discriminator,
        priors.PRIORS[recipe.prior](recipe.latent),
        d_steps=recipe.d_steps,
        g_steps=recipe.g_steps,
        update=recipe.update,
        ema_decay=recipe.ema_decay,
        scale=scales.ContrastNormalization() if recipe.scale == "contrast" else None,
        num_classes=classes if recipe.conditional else None,
        seed=recipe.seed,
        name=recipe.name,
    )
    steps_per_epoch = max(1, train_images // recipe.images_per_step)
    total = recipe.total_steps(train_images)
    gan.compile(
        d_optimizer=optimizers.build_optimizer(
            recipe.d_optimizer,
            total_steps=total * recipe.d_steps,
            steps_per_epoch=steps_per_epoch * recipe.d_steps,
        ),
        g_optimizer=optimizers.build_optimizer(
            recipe.g_optimizer,
            total_steps=total * recipe.g_steps,
            steps_per_epoch=steps_per_epoch * recipe.g_steps,
        ),
        loss=recipe.loss,
        r1=recipe.r1,
        jit_compile=recipe.jit_compile,
    )
    return gan


def train(
    recipe: Recipe,
    workdir: str | os.PathLike[str],
    examples: str | os.PathLike[str],
    export_dir: str | os.PathLike[str],
    *,
    strategy: tf.distribute.Strategy | None = None,
    keep: int = checkpoints.KEEP,
    on_collapse: Literal["warn", "stop"] = "warn",
    on_nan: Literal["stop", "rollback"] = "stop",
    on_full_disk: Literal["go_on", "stop"] = "go_on",
    command: str = "",
    profile: bool = False,
) -> Result:
    """Train a recipe, or go on where its work directory stopped, and export the generator.

    Several workers all call it; those that are not the chief write nothing that stays.

    Args:
        recipe: the experiment.
        workdir: checkpoints, logs and samples; made if it is not there. Workers share it.
        examples: a finished data folder.
        export_dir: folder of the export's versions.
        strategy: the devices, from `distribution.make_strategy`; one device if not given.
        keep: checkpoints to keep: so many of the newest, and the best.
        on_collapse: whether to go on when the generator's samples lose their variety, or to end
            with the last checkpoint before.
        on_nan: whether to stop at the last good checkpoint when numbers are no longer finite, or to
            go on from it with other noise.
        on_full_disk: whether to go on without what cannot be written.
        command: the shell line that this call is of, for `run.json`.
        profile: whether to trace some steps for TensorBoard's Profile page.

    Raises:
        UserError: if the work directory is another recipe's, or the data do not fit, or another
            process trains in it.
        Stopped: if an alarm ends it. `monitors.Collapsed` only if there never was any variety to go
            back to.
        Preempted: if it was asked to end (SIGTERM) or lost a worker; the same call goes on.
    """
    strategy = strategy or tf.distribute.get_strategy()
    workdir = pathlib.Path(workdir)
    info = records.DatasetInfo.read(examples)
    data.steps_per_epoch(info, batch_size=recipe.batch_size, d_steps=recipe.d_steps)
    data.expect_shares(recipe.batch_size, strategy.num_replicas_in_sync)
    _expect_compilable(recipe, strategy)
    workdirs.expect_same_data(recipe, info, examples)
    info.verify(examples)
    chief = distribution.is_chief(strategy)
    with workdirs.alone_in(workdir) if chief else contextlib.nullcontext():
        return _train(
            recipe,
            workdir,
            info,
            examples,
            export_dir,
            strategy,
            keep=keep,
            on_collapse=on_collapse,
            on_nan=on_nan,
            on_full_disk=on_full_disk,
            profile=profile,
            command=command,
        )


def _train(
    recipe: Recipe,
    workdir: pathlib.Path,
    info: records.DatasetInfo,
    examples: str | os.PathLike[str],
    export_dir: str | os.PathLike[str],
    strategy: tf.distribute.Strategy,
    *,
    keep: int,
    on_collapse: Literal["warn", "stop"],
    on_nan: Literal["stop", "rollback"],
    on_full_disk: Literal["go_on", "stop"],
    profile: bool,
    command: str,
) -> Result:
    """Do what `train` says, in a work directory that is this process's alone."""
    run = workdirs.expect_own(workdir, recipe, info, examples)
    ended = run.get("ended", {})
    if ended.get("how") == "collapsed" and on_collapse == "stop":
        raise UserError(
            f"Expected a run that may go on; received {workdir}, which --on_collapse=stop ended "
            f"and would end again at the same step. ({ended['why']}) What it advises needs "
            "another --workdir; --on_collapse=warn goes on with this one."
        )
    if recipe.made_for and pathlib.Path(str(info.source.get("file"))).name != recipe.made_for:
        logging.warning(
            "%s only stands in for %s, which this recipe was made for: its numbers are not "
            "comparable with the published ones.",
            info.dataset,
            recipe.made_for,
        )

    statistics = records.read_statistics(examples)
    _expect_labels(recipe, info, statistics)
    with strategy.scope():
        gan = build(
            recipe,
            info.image_shape,
            train_images=info.counts["train"],
            pixel_mean=statistics["pixel_mean"],
            classes=len(info.classes),
        )
    chief = distribution.is_chief(strategy)
    saved = checkpoints.Checkpoints(
        workdir / "checkpoints", recipe, info.data_hash, keep=keep, writes=chief
    )
    restored = saved.restore(gan)
    if not restored:
        _prepare(gan, recipe, info, examples)
    first, total = callbacks.current_step(gan), recipe.total_steps(info.counts["train"])
    if first > total:
        raise UserError(
            f"Expected at least the {first} steps that {workdir} has; received {total}. "
            "Try more --steps or --epochs, or another --workdir."
        )
    distribution.expect_agreement(strategy, first)

    if 0 < first < total:
        logging.info("Resuming %s at step %s of %s", workdir, f"{first:,}", f"{total:,}")
    with contextlib.ExitStack() as leaving:
        workdir, exports = leaving.enter_context(_folders(chief, workdir, pathlib.Path(export_dir)))
        workdirs.claim(workdir, recipe, info, examples, command=command)
        ended_by = leaving.enter_context(endings.written_down(workdir, gan))
        beside = Beside(
            gan,
            recipe,
            info,
            examples,
            workdir,
            saved,
            stop_if_collapsed=on_collapse == "stop",
            stop_if_full=on_full_disk == "stop",
            profile=profile,
        )
        if restored:
            beside.alarm.state = restored.card().get("alarm", {})
        else:
            beside.begin(str(workdir))

        def feed(step: int) -> Any:
            return strategy.distribute_datasets_from_function(
                lambda context: beside.waiting.watch(
                    data.train_dataset(
                        examples,
                        batch_size=recipe.batch_size,
                        d_steps=recipe.d_steps,
                        first_step=step,
                        seed=recipe.seed,
                        labels=recipe.conditional,
                        context=context,
                    )
                )
            )

        stopped, means = "", {}
        start = time.monotonic()
        try:
            with beside.saved_if_ended():
                means = loop.train(
                    gan,
                    total,
                    feed,
                    beside.hooks,
                    every=recipe.log_every,
                    restore=beside.restore,
                    warn=beside.warn,
                    on_nan=on_nan,
                )
                if first < total:
                    beside.alarm.finish()
                    beside.finish()
                else:
                    logging.info("%s is finished at step %s; --steps gives more", workdir, first)
        except guards.Diverged as diverged:
            beside.warn(str(diverged), log=False)  # it is said as the error that it is
            raise
        except monitors.Collapsed as collapsed:
            stopped = str(collapsed)
            ended_by(collapsed)
            if not (collapsed.was_good and beside.restore()):
                raise
            logging.warning("Back at step %s", f"{callbacks.current_step(gan):,}")
        seconds = time.monotonic() - start
        steps = callbacks.current_step(gan)
        return Result(
            gan=gan,
            steps=steps,
            samples=beside.grids.act(),
            logs=beside.summaries.directory,
            warnings=[text for _, text in beside.summaries.warnings],
            model=_export_once(
                gan,
                exports,
                _card(gan, recipe, info, saved),
                encoders.of_run(gan, recipe, info.data_hash, workdir),
            ),
            stopped=stopped,
            epochs=steps * recipe.images_per_step / info.counts["train"],
            trained=steps - first,
            seconds=seconds,
            means=means,
            parzen=saved.newest_metric(),
            watched=beside.watched,
        )


@contextlib.contextmanager
def _folders(
    chief: bool, workdir: pathlib.Path, exports: pathlib.Path
) -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """Make the folders to write into; those of a worker that is not the chief are thrown away."""
    with contextlib.ExitStack() as leaving:
        if not chief:
            scratch = pathlib.Path(leaving.enter_context(tempfile.TemporaryDirectory()))
            workdir, exports = scratch / "run", scratch / "exports"
        exports.mkdir(parents=True, exist_ok=True)  # what fails after training fails before it
        yield workdir, exports


def _expect_compilable(recipe: Recipe, strategy: tf.distribute.Strategy) -> None:
    """Refuse XLA where TensorFlow cannot compile a step for several replicas."""
    tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    if recipe.jit_compile and strategy.num_replicas_in_sync > 1 and not tpu:
        raise UserError(
            "Expected jit_compile=false with several replicas, whose variables XLA cannot reach; "
            "received jit_compile=true. Try --strategy=one, or without it."
        )


def _expect_labels(
    recipe: Recipe, info: records.DatasetInfo, statistics: dict[str, np.ndarray]
) -> None:
    """Refuse a conditional run on images of which some have no label."""
    labelled = int(statistics["label_counts"].sum())
    if recipe.conditional and info.classes and labelled != info.counts["train"]:
        raise UserError(
            f"Expected a label for each of the {info.counts['train']} training images for "
            f"conditional=true; received {labelled}. Try --set conditional=false."
        )


def _prepare(
    gan: GAN, recipe: Recipe, info: records.DatasetInfo, examples: str | os.PathLike[str]
) -> None:
    """Take from the data and from an earlier run what a new run starts from."""
    if gan.scale is not None:
        gan.scale.adapt(data.load_split(examples, "train", SCALE_IMAGES))
    if not recipe.generator_from:
        return
    try:
        earlier, run = load_run(recipe.generator_from)
        if run["data_hash"] != info.data_hash:
            raise UserError(f"it was trained on other data, {run['examples']}, than {examples}")
        networks.continue_from(gan.generator, earlier.generator)
    except (UserError, ValueError) as error:
        raise UserError(
            f"Expected generator_from to be a run whose generator this one's can go on from; "
            f"received generator_from={recipe.generator_from!r}: {error} Try --set "
            "generator_from=WORKDIR of the first stage."
        ) from error
    if gan.average is not None:
        gan.average.set_weights(gan.generator.get_weights())


def load_run(workdir: str | os.PathLike[str], which: str = "newest") -> tuple[GAN, dict[str, Any]]:
    """Load a checkpoint of a work directory.

    Args:
        workdir: of a run.
        which: "newest", "best" (by the Parzen estimate on held-out images), or a step's number.

    Returns:
        (model, what `run.json` says).

    Raises:
        UserError: if it is not a work directory, or has no checkpoint yet.
    """
    workdir = pathlib.Path(workdir)
    run = workdirs.read_run(workdir)
    if run is None:
        raise UserError(
            f"Expected a work directory of keras_gan.train, with {workdirs.RUN_FILE} in it; "
            f"received {workdir}."
        )
    gan = build(
        run["recipe"],
        tuple(run["image_shape"]),
        train_images=run["train_images"],
        classes=len(run.get("classes", ())),
    )
    saved = checkpoints.Checkpoints(workdir / "checkpoints", run["recipe"], run["data_hash"])
    if not saved.restore(gan, which):
        raise UserError(f"Expected a checkpoint in {workdir}; received none yet. Try again later.")
    return gan, run


def export_run(
    workdir: str | os.PathLike[str],
    export_dir: str | os.PathLike[str],
    *,
    version: int | None = None,
    which: str = "newest",
    measured: Callable[[int, str], dict[str, Any]] | None = None,
) -> pathlib.Path:
    """Export the generator of a checkpoint.

    Args:
        workdir: of a run.
        export_dir: folder of the export's versions.
        version: a whole number; one above the newest when None.
        which: "newest", "best" or a step's number.
        measured: tells, by step and data hash, what is known beyond what training measured.

    Returns:
        The version's folder.
    """
    export.expect_new_version(export_dir, version)
    gan, run = load_run(workdir, which)
    saved = checkpoints.Checkpoints(
        pathlib.Path(workdir) / "checkpoints", run["recipe"], run["data_hash"]
    )
    try:
        info = records.DatasetInfo.read(run["examples"])
    except UserError:
        info = None  # moved or deleted: what the run knows of the data will have to do
    card = _card(gan, run["recipe"], info, saved) | {"data_hash": run["data_hash"]}
    if gan.num_classes:
        card["classes"] = run["classes"]
    if measured is not None and info is not None and info.counts.get("test"):
        card["metrics"] |= measured(card["step"], run["data_hash"])
    inference = encoders.of_run(gan, run["recipe"], run["data_hash"], pathlib.Path(workdir))
    return export.export(gan, export_dir, version=version, card=card, inference=inference)


def _card(
    gan: GAN,
    recipe: Recipe,
    info: records.DatasetInfo | None,
    saved: checkpoints.Checkpoints,
) -> dict[str, Any]:
    """Say in a model's card which run it is of."""
    step = callbacks.current_step(gan)
    found = [one.card()["metrics"] for one in saved.all() if one.step == step]
    metrics = {f"{name} while training": value for name, value in (found or [{}])[0].items()}
    return {
        "name": recipe.name,
        "dataset": recipe.dataset if info is None else info.dataset,
        "data_hash": "" if info is None else info.data_hash,
        "data": {} if info is None else cards.data_facts(info),
        "step": step,
        "recipe": json.loads(recipe.to_json()),
        "metrics": metrics,
        **({"classes": list(info.classes)} if gan.num_classes and info is not None else {}),
    }


def _export_once(
    gan: GAN, directory: pathlib.Path, card: dict[str, Any], inference: Inference | None
) -> pathlib.Path:
    """Export, unless the newest version is of this recipe, data and step already."""
    newest = directory / str(max(cards.versions(directory), default=0))
    if (newest / cards.CARD).is_file():
        known = cards.read(newest)
        same = all(known.get(key) == card[key] for key in ("recipe", "data_hash", "step"))
        if same and known.get("weights_sha256") == export.weights_sha256(gan, inference):
            cards.verify(newest)
            return newest
    return export.export(gan, directory, card=card, inference=inference)
