"""Judging samplers, and the ruler that judges them, on a data folder."""

import json
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np
from absl import logging
from scipy import ndimage

from keras_gan import data, exported, files, records, trained
from keras_gan.gan import GAN
from keras_gan.interfaces import LatentSampler, Sampler, UserError
from keras_gan.metrics import kmeans, parzen

KEPT = "evaluation.json"  # in a work directory
BLUR = 0.7  # pixels, a standard deviation: enough to soften an edge, too little to see


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
        sampler = found = exported.load_sampler(model)
        trained_on = found.card.get("data_hash")
        prior = found.card.get("recipe", {}).get("prior", "")
        folder = pathlib.Path(examples or records.find(examples_root, trained_on))
    else:
        gan, run = trained.load_run(str(workdir), checkpoint)
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
    """Judge real images, blurred ones, and centres of clusters, as `evaluate` judges samples.

    Args:
        examples: the data folder.
        samples: training images, and cluster centres.
        seed: of the choice among training images.
        whole: whether to judge blurred and all training images and the centres too, which takes
            minutes.

    Returns:
        Rows like those of `evaluate`.
    """
    judges = _judges(examples)
    train = data.load_split(examples, "train")
    chosen = np.random.default_rng(seed).permutation(len(train))[:samples]
    drawings = {"training images": train[chosen]}
    if whole:
        blurred = ndimage.gaussian_filter(train[chosen], (0, BLUR, BLUR, 0))
        drawings[f"training images, blurred by {BLUR} pixels"] = blurred
        drawings["all training images"] = train
        drawings["cluster centres of them"] = kmeans.centroids(train, len(chosen), seed=seed)
    return {name: _judge(drawn, *judges) for name, drawn in drawings.items()}


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
