"""Judging samplers, and the ruler that judges them, on a data folder."""

import contextlib
import json
import os
import pathlib
from typing import Any, NamedTuple

import keras
import numpy as np
from absl import logging

from keras_gan import data, experiment, export, files, records
from keras_gan.gan import GAN
from keras_gan.interfaces import ClassSampler, LatentSampler, Sampler, UserError
from keras_gan.metrics import agreement, kmeans, parzen

KEPT = "evaluation.json"  # in a work directory
CLASSIFIER_VERSION = 1  # of how it is trained


class Subject(NamedTuple):
    """What is judged.

    Args:
        sampler: a GAN or an export.
        gan: the GAN, if it is one.
        examples: the data folder that judges.
        prior: the name of the prior of z; empty if an export does not tell.
    """

    sampler: LatentSampler
    gan: GAN | None
    examples: pathlib.Path
    prior: str


def load_subject(
    model: str | None,
    workdir: str | None,
    examples: str | None,
    examples_root: str,
    checkpoint: str = "newest",
) -> Subject:
    """Load an export, or a training run, and find the data that it was trained on.

    Args:
        model: an export, or a folder of versions.
        workdir: a run's work directory, if no model is given.
        examples: the data folder; None looks for it.
        examples_root: where an export's data are looked for.
        checkpoint: of the run: "newest", "best", or a step's number.

    Raises:
        UserError: if one of these is not there.
    """
    gan = None
    sampler: LatentSampler
    if model:
        sampler = exported = export.load_sampler(model)
        trained_on = exported.card.get("data_hash")
        prior = exported.card.get("recipe", {}).get("prior", "")
        folder = pathlib.Path(examples or records.find(examples_root, trained_on))
    else:
        gan, run = experiment.load_run(str(workdir), checkpoint)
        sampler, trained_on, prior = gan, run["data_hash"], run["recipe"].prior
        folder = pathlib.Path(examples or run["examples"])
    info = records.DatasetInfo.read(folder)
    if info.data_hash != trained_on:
        logging.warning(
            "%s is not what the model was trained on: its test images may be among those.", folder
        )
    if info.image_shape != tuple(sampler.image_shape):
        raise UserError(
            f"Expected data of the images' shape, {tuple(sampler.image_shape)}; received {folder} "
            f"with {info.image_shape}. Try other --examples."
        )
    return Subject(sampler, gan, folder, prior)


def evaluate(
    samplers: dict[str, Sampler],
    examples: str | os.PathLike[str],
    *,
    samples: int = parzen.PUBLISHED_SAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Judge samplers by the published Parzen protocol.

    Args:
        samplers: GANs or exports, by the name of their row.
        examples: the data folder whose test split judges; validation chooses sigma.
        samples: images to draw.
        seed: of the drawn samples.

    Returns:
        A row for each sampler: log_likelihood and stderr in nats, sigma, samples; and the same with
        a more finely chosen sigma: fine_log_likelihood, fine_stderr, fine_sigma.

    Raises:
        UserError: if the images differ in shape, or the folder lacks a split or has changed.
    """
    info = records.DatasetInfo.read(examples)
    info.verify(examples)
    for name, sampler in samplers.items():
        if tuple(sampler.image_shape) != info.image_shape:
            raise UserError(
                f"Expected data of the images' shape, {tuple(sampler.image_shape)} for the {name}; "
                f"received {examples} with {info.image_shape}. Try other --examples."
            )
    judges = _judges(examples)
    return {
        name: _judge(sampler.sample(samples, seed=seed), *judges)
        for name, sampler in samplers.items()
    }


def measure_ruler(
    examples: str | os.PathLike[str],
    *,
    samples: int = parzen.PUBLISHED_SAMPLES,
    seed: int = 0,
    whole: bool = True,
) -> dict[str, dict[str, float]]:
    """Judge real images, and centres of clusters of them, as `evaluate` judges samples.

    Args:
        examples: the data folder.
        samples: training images, and cluster centres.
        seed: of the choice among training images.
        whole: whether to judge all training images and the centres too, which takes minutes.

    Returns:
        Rows like those of `evaluate`.
    """
    judges = _judges(examples)
    train = data.load_split(examples, "train")
    chosen = np.random.default_rng(seed).permutation(len(train))[:samples]
    drawings = {"training images": train[chosen]}
    if whole:
        drawings["all training images"] = train
        drawings["cluster centres of them"] = kmeans.centroids(train, len(chosen), seed=seed)
    return {name: _judge(drawn, *judges) for name, drawn in drawings.items()}


def load_classifier(examples: str | os.PathLike[str], *, seed: int = 0) -> keras.Model:
    """Load the classifier of a data folder's classes, or train it once and keep it beside them.

    It sees the training images alone, and no generated ones.

    Args:
        examples: the data folder.
        seed: of the classifier.
    """
    examples = pathlib.Path(examples).absolute()  # "." has no name
    info = records.DatasetInfo.read(examples)
    kept = examples.with_name(f"{examples.name}.classifier-{seed}.keras")
    key = {"data_hash": info.data_hash, "seed": seed, "version": CLASSIFIER_VERSION}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(kept.with_suffix(".json").read_text())
        if known == key | {"sha256": records.file_sha256(kept)}:
            return keras.models.load_model(kept)
    logging.info("Training a classifier on the real images, for %s", kept)
    images, labels = data.load_split(examples, "train"), data.load_labels(examples, "train")
    classifier = agreement.train_classifier(images, labels, len(info.classes), seed=seed)
    with contextlib.suppress(OSError):
        with files.replacing(kept) as temporary:
            keras.saving.save_model(classifier, whole := temporary.with_suffix(".keras"))
            whole.replace(temporary)
        with files.replacing(kept.with_suffix(".json")) as temporary:
            known = key | {"sha256": records.file_sha256(kept)}
            temporary.write_text(json.dumps(known, indent=2) + "\n")
    return classifier


def judge_classes(
    sampler: ClassSampler,
    examples: str | os.PathLike[str],
    *,
    samples: int = parzen.PUBLISHED_SAMPLES,
    seed: int = 0,
    classifier: keras.Model | None = None,
) -> dict[str, Any]:
    """Judge a conditional sampler class by class, by images of as many classes in turn.

    Args:
        sampler: draws the images of a class.
        examples: the data folder that judges.
        samples: images to draw, of all classes together.
        seed: of the samples.
        classifier: says what an image shows; `load_classifier`'s when None.

    Returns:
        `agreement` and `agreement_stderr`: the share of samples that show what was asked for, to
        the classifier, whose own on real test images is `classifier` and `classifier_stderr`;
        `log_likelihood` and `stderr` of the test images, each under its own class's samples, in
        nats, and `real_log_likelihood` under as many training images instead; and `classes`, the
        same for each.

    Raises:
        UserError: if the folder has other classes than the model.
    """
    info = records.DatasetInfo.read(examples)
    count = len(info.classes)
    if count != sampler.num_classes:
        raise UserError(
            f"Expected data of the model's {sampler.num_classes} classes; received {examples} with "
            f"{count}. Try other --examples."
        )
    classifier = load_classifier(examples) if classifier is None else classifier
    asked = np.arange(samples) % count
    drawn = sampler.sample(samples, seed=seed, labels=asked)
    splits = {
        split: (data.load_split(examples, split), data.load_labels(examples, split))
        for split in ("train", "validation", "test")
    }
    test, labels = splits["test"]
    shown = agreement.agreement(agreement.classify(classifier, drawn), asked, count)
    real = agreement.agreement(agreement.classify(classifier, test), labels, count)
    classes: list[dict[str, Any]] = []
    densities: list[np.ndarray] = []
    real_densities: list[np.ndarray] = []
    for number, name in enumerate(info.classes):
        train, validation, judges = (images[of == number] for images, of in splits.values())
        row: dict[str, Any] = {"name": name, "agreement": float(shown.classes[number])}
        row["classifier"] = float(real.classes[number])
        if len(judges) and len(validation):
            own = drawn[asked == number]
            validation = validation[: parzen.PUBLISHED_VALIDATION]
            for kind, images, found in (
                ("", own, densities),
                ("real_", train[: len(own)], real_densities),
            ):
                sigma = parzen.fit_sigma(images, validation)
                values = parzen.log_densities(images, judges, [sigma])[0]
                found.append(values)
                row[f"{kind}log_likelihood"] = float(values.mean())
                row[f"{kind}stderr"] = float(values.std() / np.sqrt(len(values)))
                row[f"{kind}sigma"] = sigma
            row["samples"], row["test_images"] = len(own), len(judges)
        classes.append(row)
    whole, real_whole = np.concatenate(densities), np.concatenate(real_densities)
    return {
        "samples": samples,
        "agreement": shown.mean,
        "agreement_stderr": shown.stderr,
        "classifier": real.mean,
        "classifier_stderr": real.stderr,
        "log_likelihood": float(whole.mean()),
        "stderr": float(whole.std() / np.sqrt(len(whole))),
        "real_log_likelihood": float(real_whole.mean()),
        "real_stderr": float(real_whole.std() / np.sqrt(len(real_whole))),
        "classes": classes,
    }


def keep(
    workdir: str | os.PathLike[str], step: int, info: records.DatasetInfo, row: dict[str, float]
) -> None:
    """Write beside a run what the row of its samples says, for the card of its export."""
    known = {"step": step, "data_hash": info.data_hash, "row": row}
    with files.replacing(pathlib.Path(workdir) / KEPT) as temporary:
        temporary.write_text(json.dumps(known, indent=2) + "\n")


def kept(workdir: str | os.PathLike[str], step: int, data_hash: str) -> dict[str, Any]:
    """Read what `keep` wrote of this step and these data, as a card has it; {} if nothing."""
    try:
        known = json.loads((pathlib.Path(workdir) / KEPT).read_text())
        if (known["step"], known["data_hash"]) == (step, data_hash):
            return as_metrics(known["row"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # as good as none
    return {}


def as_metrics(row: dict[str, float]) -> dict[str, Any]:
    """Write a row of `evaluate` as a model's card has it."""
    metrics: dict[str, Any] = {
        f"Parzen log-likelihood, nats{name}": {
            "mean": row[f"{prefix}log_likelihood"],
            "stderr": row[f"{prefix}stderr"],
            "sigma": round(row[f"{prefix}sigma"], 4),
            "samples": row["samples"],
        }
        for prefix, name in (("", ""), ("fine_", ", sigma fitted finely"))
    }
    if "agreement" in row:  # of a conditional model
        metrics["Shows the class asked for, to a classifier, %"] = {
            "mean": 100 * row["agreement"],
            "stderr": 100 * row["agreement_stderr"],
            "samples": row["samples"],
        }
    return metrics


def is_face_database(info: records.DatasetInfo) -> bool:
    """Say whether a data folder holds a fold of the Toronto Face Database, which is a .mat file."""
    return str(info.source.get("file", "")).endswith(".mat")


def _judges(examples: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Load the validation images that choose sigma, and the test images."""
    # Of the Toronto Face Database the published protocol takes the whole split.
    faces = is_face_database(records.DatasetInfo.read(examples))
    limit = None if faces else parzen.PUBLISHED_VALIDATION
    validation = data.load_split(examples, "validation", limit)
    if limit and len(validation) < limit:
        logging.warning(
            "Sigma is chosen by %d validation images; the published protocol has %d.",
            len(validation),
            limit,
        )
    return validation, data.load_split(examples, "test")


def _judge(drawn: np.ndarray, validation: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """Judge images by the published protocol, and with a finer sigma."""
    sigma = parzen.fit_sigma(drawn, validation)
    fine = parzen.refine_sigma(drawn, validation, sigma)
    published, refined = (parzen.log_likelihood(drawn, test, each) for each in (sigma, fine))
    return {
        "log_likelihood": published.mean,
        "stderr": published.stderr,
        "sigma": sigma,
        "fine_log_likelihood": refined.mean,
        "fine_stderr": refined.stderr,
        "fine_sigma": fine,
        "samples": len(drawn),
    }
