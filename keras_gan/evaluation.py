"""Judging samplers, and the ruler that judges them, on a data folder."""

import os

import numpy as np
from absl import logging

from keras_gan import data, records
from keras_gan.interfaces import Sampler, UserError
from keras_gan.metrics import kmeans, parzen


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


def _judges(examples: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Load the validation images that choose sigma, and the test images."""
    # The Toronto Face Database's folds come in .mat files; there the whole split chooses.
    is_fold = str(records.DatasetInfo.read(examples).source.get("file", "")).endswith(".mat")
    limit = None if is_fold else parzen.PUBLISHED_VALIDATION
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
