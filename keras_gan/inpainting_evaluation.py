"""Judging a model that completes images, beside fills that need no model."""

import os
from typing import Any

import keras
import numpy as np

from keras_gan import data, records
from keras_gan.class_evaluation import load_classifier
from keras_gan.conditionals import Inpainter
from keras_gan.interfaces import UserError
from keras_gan.metrics import agreement, completion


def judge(
    inpainter: Inpainter,
    examples: str | os.PathLike[str],
    mask: np.ndarray,
    *,
    images: int,
    draws: int,
    split: str = "test",
    seed: int = 0,
    classifier: keras.Model | None = None,
) -> dict[str, dict[str, float]]:
    """Judge completions of the first images of a split, all under one mask.

    Args:
        inpainter: paints.
        examples: the data folder that judges.
        mask: float32 [H, W, 1], 1 where a pixel is known.
        images: how many, at most.
        draws: of each image, at least 2.
        split: of the data.
        seed: of the first draw; the others are of those that follow.
        classifier: says what an image shows; `load_classifier`'s when None, if there are classes.

    Returns:
        A row for each kind of image. `class` and `class_stderr`: the share to which the classifier
        gives the original's label, if all images have labels. `error` and `error_stderr`: the mean
        squared difference to the original per missing pixel. `apart` and `apart_stderr`: the same
        between two draws of an image; and between two real images of one class, in a row of theirs.

    Raises:
        UserError: if there are fewer than two draws.
    """
    if draws < 2:
        raise UserError(f"Expected at least 2 draws to measure; received {draws}. Try --draws=5.")
    info = records.DatasetInfo.read(examples)
    x = data.load_split(examples, split, images)
    drawn = np.stack([inpainter.inpaint(x, mask, seed=(seed + i) % 2**32) for i in range(draws)])
    mean = records.read_statistics(examples)["pixel_mean"].astype(np.float32)
    kinds = {
        "the originals": x,
        "one draw": drawn[0],
        f"mean of {draws} draws": drawn.mean(axis=0),
        "nearest training image": completion.nearest_fill(
            x, mask, data.load_split(examples, "train")
        ),
        "mean training image": np.where(mask > 0, x, mean),
    }
    rows: dict[str, dict[str, float]] = {}
    for name, made in kinds.items():
        rows[name] = _named("error", completion.distance(x, made, mask))
    rows["one draw"] |= _named("apart", completion.distance(drawn[0], drawn[1], mask))
    if not records.all_labelled(examples):  # which the classifier learns from
        return rows
    try:
        labels = data.load_labels(examples, split, images)
    except UserError:
        return rows
    classifier = load_classifier(examples) if classifier is None else classifier
    for name, made in kinds.items():
        found = agreement.classify(classifier, made)
        shown = agreement.agreement(found, labels, len(info.classes))
        rows[name] |= {"class": shown.mean, "class_stderr": shown.stderr}
    other = x[completion.another_of_its_class(labels, seed=seed)]
    rows["two originals of a class"] = _named("apart", completion.distance(x, other, mask))
    return rows


def _named(name: str, found: Any) -> dict[str, float]:
    return {name: found.mean, f"{name}_stderr": found.stderr}
