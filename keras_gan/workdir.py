"""Work directories: whose they are, what they hold, and what may go on in them."""

import json
import os
import pathlib
from typing import Any

import keras
import tensorflow as tf

from keras_gan import files, records
from keras_gan.config import Recipe
from keras_gan.interfaces import UserError
from keras_gan.overrides import differences

RUN_FILE = "run.json"


def read_run(workdir: pathlib.Path) -> dict[str, Any] | None:
    """Read what `claim` wrote, with `recipe` as a Recipe; None if the folder is no run's."""
    path = workdir / RUN_FILE
    if not path.is_file():
        return None
    try:
        run = json.loads(path.read_text())
        run["recipe"] = Recipe.from_json(json.dumps(run["recipe"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"Expected {path} to describe a run; received {error!r}.") from error
    return run


def expect_same_data(
    recipe: Recipe, info: records.DatasetInfo, examples: str | os.PathLike[str]
) -> None:
    """Refuse a data folder that was not made as the recipe says."""
    wanted = {
        "dataset": recipe.dataset,
        "validation": recipe.validation,
        "size": recipe.image_size,
        "channels": recipe.image_channels,
    }
    for key, value in wanted.items():
        if info.parameters.get(key, value) != value:
            raise UserError(
                f"Expected data with {key}={value!r}, as the recipe {recipe.name} says; received "
                f"{examples} with {key}={info.parameters[key]!r}. Try other --examples, or none."
            )


def expect_own(
    workdir: pathlib.Path,
    recipe: Recipe,
    info: records.DatasetInfo,
    examples: str | os.PathLike[str],
) -> dict[str, Any]:
    """Refuse a work directory of another recipe or other data, or with other files.

    Returns:
        What `run.json` says; nothing if it is a new one.
    """
    run = read_run(workdir)
    if run is None and workdir.is_dir() and any(workdir.iterdir()):
        raise UserError(
            f"Expected --workdir to be new, empty or an earlier run; received {workdir}, which "
            "holds other files. Try another --workdir."
        )
    if run is not None:
        changed = {
            key: values
            for key, values in differences(run["recipe"], recipe).items()
            if key not in recipe.resumable
        }
        if changed:
            listed = "; ".join(f"{key} was {a!r}, now {b!r}" for key, (a, b) in changed.items())
            raise UserError(
                f"Expected the recipe that {workdir} was trained with; received another: {listed}. "
                "Try another --workdir, or the first run's flags."
            )
        if run["data_hash"] != info.data_hash:
            raise UserError(
                f"Expected the data that {workdir} was trained on, {run['data_hash'][:12]}...; "
                f"received {examples} with {info.data_hash[:12]}.... Try another --workdir."
            )
    return run or {}


def claim(
    workdir: pathlib.Path,
    recipe: Recipe,
    info: records.DatasetInfo,
    examples: str | os.PathLike[str],
    *,
    stopped: str = "",
) -> None:
    """Write down whose the work directory is, and what ended the run, if something did."""
    run = {
        "recipe": json.loads(recipe.to_json()),
        "image_shape": info.image_shape,
        "classes": list(info.classes),
        "train_images": info.counts["train"],
        "data_hash": info.data_hash,
        "examples": str(pathlib.Path(examples).resolve()),
        "stopped": stopped,
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
    }
    with files.replacing(workdir / RUN_FILE) as temporary:
        temporary.write_text(json.dumps(run, indent=2, sort_keys=True) + "\n")
