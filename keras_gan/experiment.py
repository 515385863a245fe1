"""Wiring: from a recipe and a data folder to a trained, exported generator. No algorithms here."""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import keras
import tensorflow as tf
from absl import logging

from keras_gan import (
    building,
    callbacks,
    checkpoints,
    data,
    distribution,
    encoders,
    endings,
    guards,
    loop,
    monitors,
    networks,
    records,
    trained,
)
from keras_gan import workdir as workdirs
from keras_gan.beside import Beside
from keras_gan.config import Recipe
from keras_gan.gan import GAN
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
    hooks: Sequence[keras.callbacks.Callback] = (),
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
        hooks: callbacks of your own, beside the run's; an epoch, to them, is a log interval.

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
    building.expect_compilable(recipe, strategy)
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
            hooks=hooks,
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
    hooks: Sequence[keras.callbacks.Callback],
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
    building.expect_labels(recipe, info, statistics)
    with strategy.scope():
        gan = building.build(
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
            hooks=hooks,
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
            model=trained.export_once(
                gan,
                exports,
                trained.card_of(gan, recipe, info, saved),
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


def _prepare(
    gan: GAN, recipe: Recipe, info: records.DatasetInfo, examples: str | os.PathLike[str]
) -> None:
    """Take from the data and from an earlier run what a new run starts from."""
    if gan.scale is not None:
        gan.scale.adapt(data.load_split(examples, "train", SCALE_IMAGES))
    if not recipe.generator_from:
        return
    try:
        earlier, run = trained.load_run(recipe.generator_from)
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
