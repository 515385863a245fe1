"""Work directories: whose they are, what they hold, and what may go on in them."""

import contextlib
import datetime
import json
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from keras_gan import files, records
from keras_gan.config import Recipe
from keras_gan.interfaces import UserError
from keras_gan.overrides import differences

RUN_FILE = "run.json"
LOOKS = 5  # at a work directory that is held: who lists runs holds each for a moment
LOOK_SECONDS = 0.1


@contextlib.contextmanager
def alone_in(workdir: pathlib.Path) -> Iterator[None]:
    """Hold a work directory, which is made if it is not there; the system lets go of a dead one's.

    Raises:
        UserError: if another process trains in it.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as leaving:
        for look in range(LOOKS):
            try:
                leaving.enter_context(files.held(workdir))
                break
            except BlockingIOError as error:
                if look == LOOKS - 1:
                    raise UserError(
                        "Expected a work directory that no other process trains in; received "
                        f"{workdir}. Try another, or wait for that one's end."
                    ) from error
                time.sleep(LOOK_SECONDS)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # it holds something
                workdir.rmdir()


def read_run(workdir: pathlib.Path) -> dict[str, Any] | None:
    """Read what `claim` and `end` wrote, with `recipe` as a Recipe; None if it is no run's folder.

    Raises:
        UserError: if it cannot be read.
    """
    path = workdir / RUN_FILE
    if not path.is_file():
        return None
    try:
        run = json.loads(path.read_text())
        run["recipe"] = Recipe.from_json(json.dumps(run["recipe"]))
        if "ended" not in run:  # of a version that wrote down a collapse and nothing else
            why = run.get("stopped", "")
            how = "collapsed" if why else ""
            run |= {"command": "", "started": ""}
            run["ended"] = {"how": how, "why": why, "step": 0, "at": ""}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"Expected {path} to describe a run; received {error!r}.") from error
    return run


def expect_run(workdir: pathlib.Path) -> dict[str, Any]:
    """Read a run's `run.json`, or fail if the folder is no run's."""
    run = read_run(workdir)
    if run is None:
        raise UserError(
            f"Expected a work directory of keras_gan.train, with {RUN_FILE} in it; received "
            f"{workdir}."
        )
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
    command: str = "",
) -> None:
    """Write down whose the work directory is, and that it is trained from now on.

    Args:
        workdir: of the run.
        recipe: of the run.
        info: what its data are.
        examples: their folder.
        command: the shell line that trains it; empty if there is none.
    """
    import keras
    import tensorflow as tf

    run = {
        "recipe": json.loads(recipe.to_json()),
        "image_shape": info.image_shape,
        "classes": list(info.classes),
        "train_images": info.counts["train"],
        "data_hash": info.data_hash,
        "examples": str(pathlib.Path(examples).resolve()),
        "command": command,
        "started": _now(),
        "ended": {},
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
    }
    _write(workdir, run)


def end(workdir: pathlib.Path, how: str, why: str, step: int) -> None:
    """Add to what `claim` wrote how the run ended.

    Args:
        workdir: of the run.
        how: in a word or two.
        why: a sentence; empty if there is nothing to say.
        step: that it has reached.
    """
    run = json.loads((workdir / RUN_FILE).read_text())
    _write(workdir, run | {"ended": {"how": how, "why": why, "step": step, "at": _now()}})


def _write(workdir: pathlib.Path, run: dict[str, Any]) -> None:
    with files.replacing(workdir / RUN_FILE) as temporary:
        temporary.write_text(json.dumps(run, indent=2, sort_keys=True) + "\n")


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
