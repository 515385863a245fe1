"""Wiring: from a trained generator to a trained encoder in a folder of its own."""

import contextlib
import json
import os
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_gan import callbacks, checkpoints, export, files, guards, loop, overrides
from keras_gan import workdir as workdirs
from keras_gan.config import Encoder, Recipe
from keras_gan.gan import GAN
from keras_gan.inference import Inference
from keras_gan.interfaces import UserError
from keras_gan.networks import encoder

FOLDER = "inference"  # in a run's work directory
FILE = "inference.json"  # whose the folder is
LOG_EVERY, SAVE_EVERY = 100, 1000  # steps


def build(gan: GAN, options: Encoder) -> Inference:
    """Make the compiled encoder that `options` describes for a generator."""
    network = encoder.build_encoder(
        options.units,
        image_shape=gan.image_shape,
        latent=gan.prior.dimension,
        conditions=gan.condition.width,
        seed=options.seed,
    )
    inference = Inference(network, gan, batch_size=options.batch_size, seed=options.seed)
    # It falls by the step's number alone, so that a run may be made longer.
    rate = keras.optimizers.schedules.InverseTimeDecay(
        options.learning_rate, options.half_after, 1.0
    )
    inference.compile(keras.optimizers.Adam(rate), jit_compile=False)
    return inference


def train(
    gan: GAN, recipe: Recipe, data_hash: str, options: Encoder, folder: str | os.PathLike[str]
) -> Inference:
    """Train an encoder for a generator, or go on where its folder stopped.

    Args:
        gan: the generator of a run.
        recipe: of that run.
        data_hash: of the data of that run.
        options: of the encoder.
        folder: its checkpoints; made if it is not there.

    Raises:
        UserError: if the folder is another generator's, another encoder's, or trained in by another
            process.
        Preempted: if it was asked to end (SIGTERM); the same call goes on.
    """
    folder = pathlib.Path(folder)
    inference = build(gan, options)
    with workdirs.alone_in(folder):
        _claim(folder, gan, options)
        saved = checkpoints.Checkpoints(folder / "checkpoints", recipe, data_hash)
        saved.restore(inference)
        first, total = callbacks.current_step(inference), options.steps
        if first > total:
            raise UserError(
                f"Expected at least the {first} steps that {folder} has; received {total}. Try "
                "more --steps, or another --out_workdir."
            )
        if 0 < first < total:
            logging.info("Resuming %s at step %s of %s", folder, f"{first:,}", f"{total:,}")
        saving = _Save(saved)
        saving.set_model(inference)
        signal = guards.StopOnSignal(lambda asked: asked)
        progress = callbacks.Progress(first, total, total)
        with guards.saved_if_ended(saving.act), signal.listening(), contextlib.closing(progress):
            for count, size in loop.intervals(first, total, LOG_EVERY):
                inference.fit(
                    tf.data.Dataset.range(np.iinfo(np.int64).max),  # whose numbers nobody looks at
                    epochs=count,
                    steps_per_epoch=size,
                    shuffle=False,
                    verbose=0,
                    callbacks=[progress, saving, signal],
                )
            saving.act()
    return inference


def load(gan: GAN, recipe: Recipe, data_hash: str, folder: str | os.PathLike[str]) -> Inference:
    """Load the newest checkpoint of a generator's encoder.

    Raises:
        UserError: if there is none, or it is another generator's.
    """
    folder = pathlib.Path(folder)
    known = _read(folder)
    if not known:
        raise UserError(
            f"Expected a folder of keras_gan.infer, with {FILE} in it; received {folder}. Try "
            "python -m keras_gan.infer --workdir=WORKDIR first."
        )
    _expect_same_generator(folder, known, gan)
    inference = build(gan, known["encoder"])
    if not checkpoints.Checkpoints(folder / "checkpoints", recipe, data_hash).restore(inference):
        raise UserError(f"Expected a checkpoint in {folder}; received none yet. Try again later.")
    return inference


def find(
    gan: GAN,
    recipe: Recipe,
    data_hash: str,
    workdir: str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
) -> Inference:
    """Load the encoder of a run: of keras_gan.infer, or else the one that learnt beside G.

    Args:
        gan: of the run, at one of its checkpoints.
        recipe: of the run.
        data_hash: of its data.
        workdir: of the run.
        folder: of keras_gan.infer, if it was told another than its own.

    Raises:
        UserError: if there is neither, or it is another generator's.
    """
    own = pathlib.Path(workdir) / FOLDER
    if folder is not None or gan.encoder is None:
        return load(gan, recipe, data_hash, folder or own)
    try:
        return load(gan, recipe, data_hash, own)
    except UserError as error:
        if _read(own):
            logging.warning("Taking the network that learnt beside the generator. %s", error)
        return Inference(gan.encoder, gan)


def of_run(gan: GAN, recipe: Recipe, data_hash: str, workdir: pathlib.Path) -> Inference | None:
    """Load the encoder that a run's work directory has for this generator; None if it has none."""
    if gan.encoder is None and not _read(workdir / FOLDER):
        return None
    try:
        return find(gan, recipe, data_hash, workdir)
    except UserError as error:
        logging.warning("Left out the inference network: %s", error)
        return None


def _read(folder: pathlib.Path) -> dict[str, Any]:
    """Read whose the folder is, with `encoder` as its options; {} if nobody's yet."""
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        known = json.loads(path.read_text())
        known["encoder"] = overrides.from_data(Encoder, known["encoder"])
        return {key: known[key] for key in ("encoder", "generator_sha256", "generator_step")}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"Expected {path} to describe an encoder; received {error!r}.") from error


def _expect_same_generator(folder: pathlib.Path, known: dict[str, Any], gan: GAN) -> None:
    if known["generator_sha256"] != export.weights_sha256(gan):
        raise UserError(
            f"Expected the generator that {folder} was trained for, of step "
            f"{known['generator_step']}; received another, of step {callbacks.current_step(gan)}. "
            "Try that --checkpoint, or python -m keras_gan.infer with another --out_workdir."
        )


def _claim(folder: pathlib.Path, gan: GAN, options: Encoder) -> None:
    """Write down whose the folder is; refuse another's."""
    known = _read(folder)
    if not known and folder.is_dir() and any(folder.iterdir()):
        raise UserError(
            f"Expected --out_workdir to be new, empty or an earlier one; received {folder}, which "
            "holds other files. Try another."
        )
    if known:
        _expect_same_generator(folder, known, gan)
        changed = overrides.differences(known["encoder"], options)
        changed.pop("steps", None)
        if changed:
            listed = "; ".join(f"{key} was {a!r}, now {b!r}" for key, (a, b) in changed.items())
            raise UserError(
                f"Expected the options that {folder} was trained with; received others: {listed}. "
                "Try another --out_workdir, or the first run's flags."
            )
    facts = {
        "encoder": overrides.to_data(options),
        "generator_sha256": export.weights_sha256(gan),
        "generator_step": callbacks.current_step(gan),
    }
    with files.replacing(folder / FILE) as temporary:
        temporary.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")


class _Save(callbacks.Periodic):
    """Saves the encoder, its optimizer and its step."""

    def __init__(self, saved: checkpoints.Checkpoints):
        super().__init__(SAVE_EVERY)
        self._saved = saved

    def act(self) -> pathlib.Path:
        """Save now; return where.

        Raises:
            guards.NonFinite: if a weight is not finite.
        """
        for variable in self.model.encoder.weights:
            if not np.isfinite(variable.numpy()).all():
                raise guards.NonFinite(variable.path, callbacks.current_step(self.model))
        return self._saved.save(self.model)
