"""Judging conditional samplers class by class, and the classifier that does it."""

import contextlib
import json
import os
import pathlib
from typing import Any

import keras
import numpy as np
from absl import logging

from keras_gan import data, files, records
from keras_gan.interfaces import ClassSampler, UserError
from keras_gan.metrics import agreement, parzen

CLASSIFIER_VERSION = 2  # of how it is trained


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
            keras.saving.save_model(
                classifier, whole := temporary.with_name(temporary.name + ".keras")
            )
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
        UserError: if the folder has other classes than the model, or they outnumber the samples.
    """
    info = records.DatasetInfo.read(examples)
    count = len(info.classes)
    if count != sampler.num_classes:
        raise UserError(
            f"Expected data of the model's {sampler.num_classes} classes; received {examples} with "
            f"{count}. Try other --examples."
        )
    if samples < count:
        raise UserError(
            f"Expected at least a sample of each of the {count} classes; received {samples}. Try "
            f"--n={count * 10}."
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
        if len(judges) and len(validation) and len(train):
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
