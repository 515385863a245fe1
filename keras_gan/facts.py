"""What the files of a run say: its settings, its data, what it scored and what it cost."""

import contextlib
import dataclasses
import json
import os
import pathlib
from typing import Any

import numpy as np

from keras_gan import history, overrides, records
from keras_gan import workdir as workdirs
from keras_gan.config import Recipe
from keras_gan.interfaces import UserError
from keras_gan.published import PUBLISHED_FACES, PUBLISHED_MNIST
from keras_gan.recipes import RECIPES

LOGS = ("tensorboard", "logs")  # the second one as earlier versions had it
SPEED = ("speed/steps_per_second", "steps_per_second")
PARZEN = ("parzen/validation", "parzen/train")
ENDINGS = {
    "finished": "Finished",
    "interrupted": "Interrupted",
    "preempted": "Ended from outside",
    "collapsed": "Collapsed",
    "non-finite": "Numbers no longer finite",
    "full disk": "Disk full",
    "error": "Failed",
    "": "Ended",
}


@dataclasses.dataclass(frozen=True)
class Run:
    """One run, as its files describe it.

    Args:
        workdir: its folder.
        about: what `run.json` says.
        recipe: of it.
        logged: what it wrote to TensorBoard.
        data: of the folder that it was trained on; None if that is not there any more.
        evaluation: what `evaluation.json` says; {} if it was not judged.
    """

    workdir: pathlib.Path
    about: dict[str, Any]
    recipe: Recipe
    logged: history.History
    data: records.DatasetInfo | None
    evaluation: dict[str, Any]

    @property
    def step(self) -> int:
        """Where it is."""
        return int(self.about.get("ended", {}).get("step", 0)) or self.logged.last_step

    def curve(self, *tags: str) -> history.Curve | None:
        """Find the first of some tags that was logged."""
        return next((self.logged.scalars[tag] for tag in tags if tag in self.logged.scalars), None)


@dataclasses.dataclass(frozen=True)
class Score:
    """A log-likelihood in nats; `kind` is "run", "ruler" or "published"."""

    name: str
    mean: float
    error: float
    kind: str


def read(workdir: str | os.PathLike[str]) -> Run:
    """Read what there is of a run.

    Raises:
        UserError: if the folder is no run's.
    """
    workdir = pathlib.Path(workdir)
    about = workdirs.expect_run(workdir)
    examples, data_hash = pathlib.Path(about["examples"]), about["data_hash"]
    data = None
    with contextlib.suppress(UserError, OSError):  # it may have been moved or deleted
        found = records.DatasetInfo.read(examples)
        data = found if found.data_hash == data_hash else None
    evaluation: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads((workdir / "evaluation.json").read_text())
        if known["data_hash"] == data_hash and known["row"]["log_likelihood"] is not None:
            evaluation = known
    logs = next((workdir / name for name in LOGS if (workdir / name).is_dir()), workdir / LOGS[0])
    return Run(workdir, about, about["recipe"], history.read(logs), data, evaluation)


def base_recipe(recipe: Recipe) -> Recipe:
    """Find the recipe that a run's was made from: its namesake, or the likest by name, or `images`.

    A run is named after its recipe and the data, or, with `images`, after the data alone.
    """
    if recipe.name in RECIPES:
        return RECIPES[recipe.name]
    names = [name for name in RECIPES if recipe.name.startswith(f"{name}_")]
    bases = [RECIPES[name] for name in (*sorted(names, key=len, reverse=True), "images")]
    return min(bases, key=lambda base: len(overrides.differences(base, recipe)))


def changes(run: Run) -> tuple[str, dict[str, tuple[Any, Any]]]:
    """Name the recipe and each setting, (default, the run's), in which the run differs from it."""
    base = base_recipe(run.recipe)
    found = overrides.differences(base, run.recipe)
    return base.name, {key: pair for key, pair in found.items() if key not in ("name", "dataset")}


def ending(run: Run) -> tuple[str, str]:
    """Say how a run ended: in a word or two, and in a sentence."""
    ended = run.about["ended"]
    if ended and not ended["how"]:  # an earlier version's
        return "", "How it ended was not recorded."
    if not ended:
        return "Not ended", "It was still running when this page was written, or was killed."
    word = ENDINGS.get(ended.get("how", ""), ended.get("how", ""))
    at = str(ended.get("at", ""))[:16].replace("T", " ")
    place = f"At step {run.step:,}" + (f", {at}." if at else ".")
    return word, " ".join(part for part in (place, ended.get("why", "")) if part)


def data_counts(run: Run) -> str:
    """Say how many images there are of each split."""
    counts = run.data.counts if run.data else {"train": run.about.get("train_images", 0)}
    names = {"train": "training", "validation": "validation", "test": "test"}
    ordered = sorted(counts, key=lambda split: [*names, split].index(split))
    return ", ".join(f"{counts[split]:,} {names.get(split, split)}" for split in ordered)


def scores(run: Run) -> list[Score]:
    """List the run's log-likelihood, the ruler's and the published ones; the run's first.

    Nothing if it was not judged: others alone say nothing of it.
    """
    if not run.evaluation:
        return []
    row = run.evaluation["row"]
    found = [Score("this run", row["log_likelihood"], row["stderr"], "run")]
    for name, other in _ruler(run, int(row.get("samples", 0))).items():
        found.append(Score(name, other["log_likelihood"], other["stderr"], "ruler"))
    published: dict[str, tuple[float, float]] = {}
    if run.recipe.dataset.split(":")[0] == "mnist":
        published = PUBLISHED_MNIST
    elif run.data and str(run.data.source.get("file", "")).endswith(".mat"):
        published = PUBLISHED_FACES
    return found + [Score(name, *pair, "published") for name, pair in published.items()]


def _ruler(run: Run, samples: int) -> dict[str, dict[str, float]]:
    """Read the ruler's rows that go with as many samples of these data."""
    examples = pathlib.Path(run.about["examples"])
    for path in sorted(examples.parent.glob(f"{examples.name}.ruler-{samples}-*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(path.read_text())
            if kept["of"]["data_hash"] == run.about["data_hash"]:
                return dict(kept["rows"])
    return {}


def best_parzen(run: Run) -> tuple[float, int] | None:
    """Find the best Parzen estimate while training, and its step."""
    curve = run.curve(*PARZEN)
    if curve is None:
        return None
    best = int(np.nanargmax(curve.values)) if np.isfinite(curve.values).any() else 0
    return float(curve.values[best]), int(curve.steps[best])


def seconds_trained(run: Run) -> float:
    """Add up the intervals between two points, each at its speed."""
    speed = run.curve(*SPEED)
    if speed is None:
        return 0.0
    usable = speed.values > 0
    return float((np.diff(speed.steps, prepend=0)[usable] / speed.values[usable]).sum())


def costs(run: Run) -> list[tuple[str, str]]:
    """List what the run took, as far as it is known."""
    rows = []
    speed = run.curve(*SPEED)
    if speed is not None:
        rows.append(("Time trained", duration(seconds_trained(run))))
        rows.append(("Steps per second, median", f"{np.median(speed.values):.1f}"))
    rows.append(("Training images shown to D", f"{run.step * run.recipe.images_per_step:,}"))
    waiting = run.curve("speed/waiting_for_input")
    if waiting is not None:
        rows.append(("Waiting for input", f"{np.mean(waiting.values):.1%} of the time"))
    memory = run.curve("speed/peak_memory_gib")
    if memory is not None:
        rows.append(("Peak memory", f"{memory.values.max():.2f} GiB"))
    saved = sorted(run.workdir.glob("checkpoints/step-*/checkpoint.json"))
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, IndexError):
        sizes = [file["size"] for file in json.loads(saved[-1].read_text())["files"].values()]
        rows.append(("Networks and optimizers, saved", f"{sum(sizes) / 1e6:.1f} MB"))
    return rows


def duration(seconds: float) -> str:
    """Write a time shortly: 42 s, 6 min 30 s, 3 h 5 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
