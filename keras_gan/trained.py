"""What a run has trained: loading it, and exporting it with a card that says which run it is of."""

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import keras

from keras_gan import building, callbacks, checkpoints, encoders, export, records
from keras_gan import card as cards
from keras_gan import workdir as workdirs
from keras_gan.config import Recipe
from keras_gan.gan import GAN
from keras_gan.inference import Inference
from keras_gan.interfaces import UserError


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
    run = workdirs.expect_run(workdir)
    gan = building.build(
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
    card = card_of(gan, run["recipe"], info, saved) | {"data_hash": run["data_hash"]}
    if gan.num_classes:
        card["classes"] = run["classes"]
    if measured is not None and info is not None and info.counts.get("test"):
        card["metrics"] |= measured(card["step"], run["data_hash"])
    inference = encoders.of_run(gan, run["recipe"], run["data_hash"], pathlib.Path(workdir))
    return export.export(gan, export_dir, version=version, card=card, inference=inference)


def card_of(
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


def export_once(
    gan: GAN,
    directory: pathlib.Path,
    card: dict[str, Any],
    inference: Inference | None = None,
    classifier: keras.Model | None = None,
) -> pathlib.Path:
    """Export, unless the newest version is of this recipe, data and step already."""
    newest = directory / str(max(cards.versions(directory), default=0))
    if (newest / cards.CARD).is_file():
        known = cards.read(newest)
        same = all(known.get(key) == card[key] for key in ("recipe", "data_hash", "step"))
        if same and known.get("weights_sha256") == export.weights_sha256(gan, inference):
            cards.verify(newest)
            return newest
    return export.export(gan, directory, card=card, inference=inference, classifier=classifier)
