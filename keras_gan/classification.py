"""Wiring: from labels of a few images to classifiers that were trained and judged."""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_gan import (
    callbacks,
    checkpoints,
    data,
    encoders,
    guards,
    loop,
    networks,
    optimizers,
    priors,
    records,
    summaries,
    trained,
)
from keras_gan import card as cards
from keras_gan import workdir as workdirs
from keras_gan.few_labels import FewLabels
from keras_gan.interfaces import UserError
from keras_gan.labelled import Labelled, feed, load_labelled
from keras_gan.metrics import agreement, linear_probe
from keras_gan.networks import noisy
from keras_gan.semi_supervised import SemiSupervisedGAN

START_IMAGES = 500  # by which a new discriminator's units are scaled
VALIDATE_EVERY = 10  # log intervals


def build(
    options: FewLabels,
    image_shape: tuple[int, int, int],
    classes: int,
    pixel_mean: np.ndarray | None = None,
) -> SemiSupervisedGAN:
    """Make the compiled pair that the options describe.

    Args:
        options: of the run.
        image_shape: (H, W, C).
        classes: K.
        pixel_mean: the training images' mean, [H, W, C] in [0, 1]; the generator starts from it.
    """
    generator, discriminator = noisy.build(options, image_shape=image_shape, classes=classes)
    if pixel_mean is not None:
        networks.start_from_mean(generator, pixel_mean)
    gan = SemiSupervisedGAN(
        generator,
        discriminator,
        priors.Uniform(options.latent),
        unlabelled_weight=options.unlabelled_weight,
        generator_loss=options.generator_loss,
        features=noisy.FEATURES,
        ema_decay=options.ema_decay,
        seed=options.seed,
    )

    d_optimizer, g_optimizer = (
        optimizers.build_optimizer(chosen, total_steps=options.steps, steps_per_epoch=1)
        for chosen in (options.d_optimizer, options.g_optimizer)
    )
    gan.compile(d_optimizer=d_optimizer, g_optimizer=g_optimizer)
    return gan


class ValidationError(callbacks.Periodic):
    """Writes and logs how often D is wrong on validation images.

    Args:
        held_out: images and labels.
        written: where to.
        every: steps between two looks.
    """

    def __init__(self, held_out: Labelled, written: summaries.Summaries, *, every: int):
        super().__init__(every)
        self._held_out, self._written = held_out, written

    def act(self) -> None:
        """Look now."""
        errors = {
            name: judge(agreement.classify(network, self._held_out[0]), self._held_out)["error"]
            for name, network in classifiers(self.model).items()
        }
        step = callbacks.current_step(self.model)
        self._written.scalars(
            step, {f"validation_error{name.replace(', ', '/')}": e for name, e in errors.items()}
        )
        live, *average = (f"{error:.2%}" for error in errors.values())
        more = f", its average on {average[0]}" if average else ""
        logging.info("Step %s: wrong on %s of validation%s", f"{step:,}", live, more)


def classifiers(gan: SemiSupervisedGAN) -> dict[str, keras.Model]:
    """Return D, and its moving average where there is one, each by what its row's name ends in."""
    averaged = gan.average_discriminator
    return {"": gan.discriminator} | ({} if averaged is None else {", average": averaged})


def train(
    options: FewLabels,
    workdir: pathlib.Path,
    examples: str | os.PathLike[str],
    labelled: Labelled,
    held_out: Labelled,
    strategy: tf.distribute.Strategy | None = None,
) -> SemiSupervisedGAN:
    """Train a pair, or go on where its work directory stopped.

    Args:
        options: of the run.
        workdir: for checkpoints and curves; of this run and this process alone.
        examples: a finished data folder.
        labelled: what `load_labelled` read of it.
        held_out: images and labels for a curve of the error; nothing is chosen by it.
        strategy: the devices, of this process; one device if not given.

    Raises:
        UserError: if the replicas cannot share a batch, or the work directory's checkpoints are of
            other options or other data, or of more steps.
        Preempted: if it was asked to end (SIGTERM); the same call goes on.
    """
    info = records.DatasetInfo.read(examples)
    mean = records.read_statistics(examples)["pixel_mean"]
    strategy = strategy or tf.distribute.get_strategy()
    for rows in (options.batch_size, min(options.batch_size, len(labelled[0]))):
        data.expect_shares(rows, strategy.num_replicas_in_sync)
    with strategy.scope():
        gan = build(options, info.image_shape, len(info.classes), mean)
    saved = checkpoints.Checkpoints(workdir / "checkpoints", options, info.data_hash, keep=1)
    restored = saved.restore(gan)
    if not restored:
        first_images = tf.constant(labelled[0][:START_IMAGES])
        noisy.start_from(gan.discriminator, first_images, options.seed)
    first, total = callbacks.current_step(gan), options.steps
    if first > total:
        raise UserError(
            f"Expected at least the {first} steps that {workdir} has; received {total}. Try more "
            "--steps, or another --workdir."
        )
    if first == total:
        logging.info("%s is finished at step %s", workdir, f"{first:,}")
        return gan
    logging.info("%s: from step %s to %s", workdir, f"{first:,}", f"{total:,}")
    written = summaries.Summaries(workdir / summaries.FOLDER)
    waiting = data.Waiting()
    saving = guards.SaveCheckpoints(lambda: saved.save(gan), every=options.checkpoint_every)
    saving.set_model(gan)
    signal = guards.StopOnSignal(lambda asked: asked)
    steps_per_epoch = data.steps_per_epoch(info, batch_size=options.batch_size)
    progress = callbacks.Progress(first, total, steps_per_epoch)
    look = ValidationError(held_out, written, every=VALIDATE_EVERY * options.log_every)
    if not restored:
        saving.act()
    with guards.saved_if_ended(saving.act), signal.listening(), contextlib.closing(progress):
        loop.train(
            gan,
            total,
            lambda step: strategy.distribute_datasets_from_function(
                lambda context: waiting.watch(feed(options, labelled, examples, step, context))
            ),
            [
                progress,
                guards.StopOnNonFinite(),
                guards.WhileThereIsRoom([callbacks.Curves(written, waiting), look, saving]),
                signal,
            ],
            every=options.log_every,
            restore=lambda: saved.restore(gan),
        )
        saving.act()
    return gan


def judge(found: np.ndarray, of: Labelled) -> dict[str, float]:
    """Return the share of wrong classes, `error`, and its standard error, `stderr`."""
    right = agreement.agreement(found, of[1], int(max(found.max(), of[1].max())) + 1)
    return {"error": 1 - right.mean, "stderr": right.stderr}


Features = Callable[[np.ndarray], np.ndarray]  # images, [n, H, W, C] in [0, 1] -> [n, F]


def load_encoder(
    workdir: str | os.PathLike[str], examples: str | os.PathLike[str]
) -> dict[str, Features]:
    """Load the inference network of a run of keras_gan.train, to judge its features.

    Args:
        workdir: of the run, whose encoder learnt beside G, or by keras_gan.infer.
        examples: the data folder of the run: its test images must be new to the network too.

    Returns:
        Its last hidden layer and its z, by name.

    Raises:
        UserError: if there is none, it is told anything, or it is of other data.
    """
    gan, run = trained.load_run(workdir)
    if gan.condition:
        raise UserError(
            f"Expected --inference of a run without labels; received {workdir}, whose networks "
            "are told something. Try one with conditional=false and inpainting=false."
        )
    if run["data_hash"] != records.DatasetInfo.read(examples).data_hash:
        raise UserError(
            f"Expected --inference of a run on the same data; received {workdir}, which was "
            f"trained on {run['examples']}, not {examples}. Try --examples={run['examples']}."
        )
    encoder = encoders.find(gan, run["recipe"], run["data_hash"], workdir).encoder

    def features(layer: str) -> Features:
        tap = _tap(encoder, layer)
        return lambda images: tap(gan.as_drawn(images))

    return {"E's features": features(encoder.layers[-2].name), "E's z": features("z")}


def compare(
    options: FewLabels,
    workdir: str | os.PathLike[str],
    examples: str | os.PathLike[str],
    more_features: dict[str, Features] | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> tuple[dict[str, dict[str, Any]], SemiSupervisedGAN]:
    """Train with and without unlabelled images, and judge both, and linear probes, on the test set.

    Args:
        options: of the run with unlabelled images.
        workdir: two runs' work directories are made in it; those that are there go on.
        examples: a finished data folder with validation and test images.
        more_features: others to judge beside D's, by name.
        strategy: the devices, of this process; one device if not given.

    Returns:
        For each classifier, by name: `error` and `stderr` on the test images, `validation_error`;
        of probes also `penalty`, which was chosen by it. And the semi-supervised pair.

    Raises:
        UserError: if the data do not fit, or the work directory is of another run.
        Preempted: if it was asked to end (SIGTERM); the same call goes on.
    """
    info = records.DatasetInfo.read(examples)
    data.steps_per_epoch(info, batch_size=options.batch_size)
    info.verify(examples)
    validation, test = (
        (data.load_split(examples, split), data.load_labels(examples, split))
        for split in ("validation", "test")
    )
    labelled = load_labelled(options, examples)
    workdir = pathlib.Path(workdir)
    rows: dict[str, dict[str, Any]] = {}

    def add(name: str, classify: Any, **more: float) -> None:
        held_out = judge(classify(validation[0]), validation)
        row = judge(classify(test[0]), test)
        rows[name] = row | {"validation_error": held_out["error"]} | more

    with workdirs.alone_in(workdir):
        if (workdir / workdirs.RUN_FILE).exists():
            raise UserError(
                f"Expected --workdir to be new, empty or of this command; received {workdir}, "
                "which is a run of keras_gan.train. Try another."
            )
        alone = dataclasses.replace(options, unlabelled_weight=0.0)
        runs = {
            "semi-supervised": (options, workdir / "semi_supervised"),
            "labels alone": (alone, workdir / "labels_alone"),
        }
        gans = {
            name: train(chosen, folder, examples, labelled, validation, strategy)
            for name, (chosen, folder) in runs.items()
        }
    for name, gan in gans.items():
        for which, network in classifiers(gan).items():
            add(name + which, lambda images, of=network: agreement.classify(of, images))
    features = {
        "linear probe, D's features": _tap(gans["semi-supervised"].discriminator, noisy.FEATURES),
        "linear probe, pixels": lambda images: images.reshape(len(images), -1),
    }
    for name, of in (more_features or {}).items():
        features[f"linear probe, {name}"] = of
    for name, of in features.items():
        logging.info("Fitting: %s", name)
        judges = (of(validation[0]), validation[1])
        probe = linear_probe.fit_best(of(labelled[0]), labelled[1], len(info.classes), judges)
        add(
            name,
            lambda images, probe=probe, of=of: probe.classify(of(images)),
            penalty=probe.penalty,
        )
    return rows, gans["semi-supervised"]


def export(
    gan: SemiSupervisedGAN,
    options: FewLabels,
    info: records.DatasetInfo,
    directory: pathlib.Path,
    rows: dict[str, dict[str, Any]],
) -> pathlib.Path:
    """Export a pair as `directory/version`: a generator, and a classifier as signature `classify`.

    Args:
        gan: what was trained.
        options: of its run.
        info: what its data are.
        directory: folder of all versions; the newest stays if it is this pair already.
        rows: what `compare` found, for the card.

    Returns:
        The version's folder.
    """
    errors = {
        f"wrong on the test images, {name} (%)": {
            "mean": 100 * row["error"],
            "stderr": 100 * row["stderr"],
        }
        for name, row in rows.items()
    }
    labels = f"{options.labels} labels" if options.labels else "all labels"
    card = {
        "name": f"{info.dataset}, {labels}, seed {options.seed}",
        "dataset": info.dataset,
        "data_hash": info.data_hash,
        "data": cards.data_facts(info),
        "step": callbacks.current_step(gan),
        "recipe": json.loads(options.to_json()),
        "metrics": errors,
        "label_names": list(info.classes),
    }
    return trained.export_once(gan.as_gan(), directory, card, classifier=gan.classifier)


def _tap(network: keras.Model, layer: str) -> Features:
    """What a layer says about images."""
    tap = keras.Model(network.input, network.get_layer(layer).output)
    return lambda images: np.asarray(tap.predict(images, batch_size=500, verbose=0))
