"""Wiring: from a recipe and a data folder to a trained, exported generator. No algorithms here."""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Iterable
from typing import Any, Literal

import keras
import numpy as np
from absl import logging

from keras_gan import (
    callbacks,
    data,
    export,
    monitors,
    networks,
    optimizers,
    priors,
    records,
    scales,
)
from keras_gan import workdir as workdirs
from keras_gan.config import Recipe
from keras_gan.gan import GAN
from keras_gan.interfaces import UserError

HELD_OUT_EVERY = 5  # log intervals between two estimates of the held-out loss
SCALE_IMAGES = 10000  # whose average brightness and contrast generated images get
MAX_STEPS_PER_CALL = 20  # steps that one call of the compiled function may take


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
    """

    gan: GAN
    steps: int
    samples: pathlib.Path
    logs: pathlib.Path
    model: pathlib.Path
    stopped: str = ""


def build(
    recipe: Recipe,
    image_shape: tuple[int, int, int],
    *,
    train_images: int,
    pixel_mean: np.ndarray | None = None,
) -> GAN:
    """Make the compiled model that a recipe describes.

    Args:
        recipe: the experiment.
        image_shape: (H, W, C) of the data.
        train_images: images in the training split; schedules are counted in epochs or steps.
        pixel_mean: the training images' mean, [H, W, C] in [0, 1]; the generator starts from it.
    """
    generator, discriminator = networks.build_networks(
        recipe.network,
        latent=recipe.latent,
        image_shape=image_shape,
        output="linear" if recipe.scale == "contrast" else "sigmoid",
        pixel_mean=pixel_mean,
        seed=recipe.seed,
        dtype=recipe.compute_dtype,
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
    on_collapse: Literal["warn", "stop"] = "warn",
) -> Result:
    """Train a recipe, or go on where its work directory stopped, and export the generator.

    Args:
        recipe: the experiment.
        workdir: checkpoints, logs and samples; made if it is not there.
        examples: a finished data folder.
        export_dir: folder of the export's versions.
        on_collapse: whether to go on when the generator's samples lose their variety, or to end
            with the last checkpoint before.

    Raises:
        UserError: if the work directory is another recipe's, or the data do not fit.
        monitors.Collapsed: if it stops, and there never was any variety to go back to.
    """
    workdir = pathlib.Path(workdir)
    info = records.DatasetInfo.read(examples)
    steps_per_epoch = data.steps_per_epoch(
        info, batch_size=recipe.batch_size, d_steps=recipe.d_steps
    )
    total = recipe.total_steps(info.counts["train"])
    workdirs.expect_same_data(recipe, info, examples)
    info.verify(examples)
    run = workdirs.expect_own(workdir, recipe, info, examples)
    if run.get("stopped") and on_collapse == "stop":
        raise UserError(
            f"Expected a run that may go on; received {workdir}, which --on_collapse=stop ended "
            f"and would end again at the same step. ({run['stopped']}) What it advises needs "
            "another --workdir; --on_collapse=warn goes on with this one."
        )
    if recipe.made_for and pathlib.Path(str(info.source.get("file"))).name != recipe.made_for:
        logging.warning(
            "%s only stands in for %s, which this recipe was made for: its numbers are not "
            "comparable with the published ones.",
            info.dataset,
            recipe.made_for,
        )

    mean = records.read_statistics(examples)["pixel_mean"]
    gan = build(recipe, info.image_shape, train_images=info.counts["train"], pixel_mean=mean)
    if not workdirs.restore(gan, workdir):
        _prepare(gan, recipe, info, examples)
    first = callbacks.current_step(gan)
    if first > total:
        raise UserError(
            f"Expected at least the {first} steps that {workdir} has; received {total}. "
            "Try more --steps or --epochs, or another --workdir."
        )
    # What fails after training fails before it.
    pathlib.Path(export_dir).mkdir(parents=True, exist_ok=True)
    workdirs.claim(workdir, recipe, info, examples)
    manager = workdirs.checkpoints(gan, workdir)
    if 0 < first < total:
        logging.info("Resuming %s at step %s of %s", workdir, f"{first:,}", f"{total:,}")

    logs = workdir / "logs"
    split, held_out = _watched_images(info, examples)
    held_out = gan.as_drawn(held_out)
    alarm = monitors.CollapseAlarm(
        held_out, logs, every=recipe.checkpoint_every, stop=on_collapse == "stop"
    )
    grids = callbacks.SampleGrids(workdir / "samples", logs, every=recipe.sample_every)
    checkpoints = callbacks.Checkpoints(
        manager, every=recipe.checkpoint_every, hold_back=lambda: alarm.suspicious
    )
    progress = callbacks.Progress(first, total, steps_per_epoch)
    hooks: list[keras.callbacks.Callback] = [
        progress,
        callbacks.StopOnNonFinite(),
        callbacks.Curves(logs),
        grids,
        alarm,
        checkpoints,
    ]
    if split == "validation":
        hooks.append(monitors.HeldOut(held_out, logs, every=HELD_OUT_EVERY * recipe.log_every))
    for hook in hooks:
        hook.set_model(gan)
    if 0 < first < total:
        alarm.act()  # whether what was restored has variety
    legs = intervals(first, total, recipe.log_every)
    gan.steps_per_execution = steps_per_call(size for _, size in legs)
    stopped = ""
    try:
        for count, size in legs:
            dataset = data.train_dataset(
                examples,
                batch_size=recipe.batch_size,
                d_steps=recipe.d_steps,
                first_step=callbacks.current_step(gan),
                seed=recipe.seed,
            )
            # What fit calls an epoch is one log interval.
            gan.fit(
                dataset,
                epochs=count,
                steps_per_epoch=size,
                shuffle=False,
                verbose=0,
                callbacks=hooks,
            )
        if first < total:
            alarm.finish()
    except monitors.Collapsed as collapsed:
        stopped = str(collapsed)
        workdirs.claim(workdir, recipe, info, examples, stopped=stopped)
        if not (collapsed.was_good and workdirs.restore(gan, workdir)):
            raise
    except KeyboardInterrupt:
        progress.close()
        if alarm.suspicious:
            logging.info("Not saved: the samples had lost their variety")
        elif all(np.isfinite(weight.numpy()).all() for weight in gan.weights):
            logging.info("Saved as %s; the same command goes on from there", checkpoints.act())
        raise
    finally:
        progress.close()
    if stopped:
        logging.warning("%s Back at step %s.", stopped, f"{callbacks.current_step(gan):,}")
    elif callbacks.current_step(gan) > first:
        checkpoints.act()
    else:
        logging.info("%s is finished at step %s; --epochs or --steps give more", workdir, first)
    card = {
        "name": recipe.name,
        "dataset": info.dataset,
        "data_hash": info.data_hash,
        "step": callbacks.current_step(gan),
        "recipe": json.loads(recipe.to_json()),
    }
    return Result(
        gan=gan,
        steps=callbacks.current_step(gan),
        samples=grids.act(),
        logs=logs,
        model=_export_once(gan, pathlib.Path(export_dir), card),
        stopped=stopped,
    )


def _watched_images(
    info: records.DatasetInfo, examples: str | os.PathLike[str]
) -> tuple[str, np.ndarray]:
    """Load the images that monitors compare samples with, and say of which split they are."""
    split = "validation" if info.counts.get("validation", 0) >= 2 else "train"
    return split, data.load_split(examples, split, monitors.IMAGES)


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


def load_run(workdir: str | os.PathLike[str]) -> tuple[GAN, dict[str, Any]]:
    """Load the newest checkpoint of a work directory.

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
    gan = build(run["recipe"], tuple(run["image_shape"]), train_images=run["train_images"])
    if not workdirs.restore(gan, workdir):
        raise UserError(f"Expected a checkpoint in {workdir}; received none yet. Try again later.")
    return gan, run


def intervals(first: int, total: int, every: int) -> list[tuple[int, int]]:
    """Cut the steps from `first` to `total` at multiples of `every`: (how many, of what size)."""
    legs = []
    head = min(-first % every, total - first)
    if head > 0:
        legs.append((1, head))
        first += head
    if first < total:
        count, tail = divmod(total - first, every)
        legs += [(count, every)] * (count > 0) + [(1, tail)] * (tail > 0)
    return legs


def steps_per_call(sizes: Iterable[int]) -> int:
    """Choose how many steps one call may take: it must divide every interval."""
    common = math.gcd(*sizes)
    return max(n for n in range(1, MAX_STEPS_PER_CALL + 1) if common % n == 0)


def _export_once(gan: GAN, directory: pathlib.Path, card: dict[str, Any]) -> pathlib.Path:
    """Export, unless the newest version is of this recipe, data and step already."""
    newest = directory / str(max(export.versions(directory), default=0))
    if (newest / export.CARD).is_file():
        known = json.loads((newest / export.CARD).read_text())
        if all(known.get(key) == value for key, value in card.items()):
            return newest
    return export.export(gan, directory, card=card)
