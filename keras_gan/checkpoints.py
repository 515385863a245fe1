"""Checkpoints: the whole state of a run, written beside and renamed, checked before it is used."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from keras_gan import files, overrides, records, version
from keras_gan.config import Recipe
from keras_gan.few_labels import FewLabels
from keras_gan.interfaces import UserError

CARD = "checkpoint.json"  # written last: what the folder holds, and whose it is
STATE = "state"
BEST_BY = "parzen"  # the metric of which the highest value is kept
KEEP = 3


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One state of a run.

    Args:
        path: its folder.
        step: rounds that were trained.
    """

    path: pathlib.Path
    step: int

    def card(self) -> dict[str, Any]:
        """Read what the checkpoint says of itself.

        Raises:
            ValueError: if there is nothing to read.
        """
        try:
            return dict(json.loads((self.path / CARD).read_text()))
        except OSError as error:
            raise ValueError(f"has no {CARD}") from error
        except (ValueError, TypeError) as error:
            raise ValueError(f"has a {CARD} that cannot be read") from error


class Checkpoints:
    """The checkpoints of one run: the newest ones, and the best one.

    Args:
        folder: where they are.
        recipe: whose they must be: all options of the run.
        data_hash: of the data that they must have been trained on.
        keep: how many of the newest to keep.
        writes: whether this process writes them; of several workers, only the chief does.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        recipe: Recipe | FewLabels,
        data_hash: str,
        *,
        keep: int = KEEP,
        writes: bool = True,
    ):
        self.folder = pathlib.Path(folder)
        self._recipe, self._data_hash = recipe, data_hash
        self._keep, self._writes = keep, writes
        self._refused: set[pathlib.Path] = set()

    def all(self) -> list[Checkpoint]:
        """List what there is, newest first, whole or not."""
        found = [
            Checkpoint(path, int(match[1]))
            for path in self.folder.glob("step-*")
            if (match := re.fullmatch(r"step-(\d+)", path.name))
        ]
        return sorted(found, key=lambda checkpoint: -checkpoint.step)

    def problem(self, checkpoint: Checkpoint) -> str:
        """Say what is wrong with a checkpoint; empty if it can be used."""
        try:
            card = checkpoint.card()
            recipe = type(self._recipe).from_json(json.dumps(card["recipe"]))
            for name, expected in card["files"].items():
                file = checkpoint.path / name
                size = file.stat().st_size if file.is_file() else 0
                if size != expected["size"]:
                    return f"is cut off: {name} has {size:,} of {expected['size']:,} bytes"
                if records.file_sha256(file) != expected["sha256"]:
                    return f"has changed since it was written: {name}"
            data_hash = card["data_hash"]
        except ValueError as error:
            return str(error)
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        except (KeyError, TypeError, AttributeError):
            return f"has a {CARD} that cannot be read"
        if data_hash != self._data_hash:
            return f"was trained on other data, {data_hash[:12]}..."
        changed = overrides.differences(recipe, self._recipe)
        for key, (theirs, ours) in changed.items():
            if key not in self._recipe.resumable:
                return f"is another recipe's: {key} is {theirs!r} there, {ours!r} here"
        return ""

    def save(
        self,
        gan: keras.Model,
        metrics: dict[str, float] | None = None,
        alarm: dict[str, int] | None = None,
    ) -> pathlib.Path:
        """Write the whole state as it is now; both optimizers, the average and the step.

        Args:
            gan: the compiled model, a `GAN` or another that counts its `step`.
            metrics: what is known of it; `BEST_BY` decides which one is kept as the best.
            alarm: the state of the collapse alarm.

        Returns:
            The checkpoint's folder.

        Raises:
            OSError: if it cannot be written; what there was is kept. TensorFlow may raise another.
        """
        state = tf.train.Checkpoint(gan=gan)
        step = int(gan.step.numpy())
        target = Checkpoint(self.folder / f"step-{step:07d}", step)
        if not self._writes:
            return target.path
        if target.path.exists():
            if not self.problem(target):
                return target.path
            shutil.rmtree(target.path)
        self._refused.discard(target.path)
        with files.new_folder(target.path) as temporary:
            state.write(str(temporary / STATE))
            card = {
                "step": step,
                "metrics": metrics or {},
                "alarm": alarm or {},
                "recipe": json.loads(self._recipe.to_json()),
                "data_hash": self._data_hash,
                "versions": {
                    "keras_gan": version.__version__,
                    "keras": keras.__version__,
                    "tensorflow": tf.__version__,
                },
                "files": {
                    file.name: {"size": file.stat().st_size, "sha256": records.file_sha256(file)}
                    for file in sorted(temporary.iterdir())
                },
            }
            (temporary / CARD).write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")
            for file in temporary.iterdir():
                files.sync(file)
        files.sync(self.folder)
        self._prune(target)
        return target.path

    def by_metric(self) -> list[Checkpoint]:
        """List those that have a metric, the best first, without those found to be unusable."""
        scored = []
        for checkpoint in self.all():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                if checkpoint.path not in self._refused:
                    value = float(checkpoint.card()["metrics"][BEST_BY])
                    scored.append((-value, -checkpoint.step, checkpoint))
        return [checkpoint for _, _, checkpoint in sorted(scored, key=lambda entry: entry[:2])]

    def newest_metric(self) -> float | None:
        """Return what `BEST_BY` is of the newest checkpoint that has it; None if none has."""
        newest = max(self.by_metric(), key=lambda checkpoint: checkpoint.step, default=None)
        return None if newest is None else float(newest.card()["metrics"][BEST_BY])

    def restore(self, gan: keras.Model, which: str = "newest") -> Checkpoint | None:
        """Load a state; what cannot be used is named in the log and passed over.

        Args:
            gan: the compiled model.
            which: "newest", "best", or a step's number.

        Returns:
            What was loaded; None if there is no checkpoint yet.

        Raises:
            UserError: if there are checkpoints, but none of them can be used.
        """
        candidates = self._candidates(which)
        problems = []
        for checkpoint in candidates:
            problem = self.problem(checkpoint) or _load(gan, checkpoint)
            if not problem:
                return checkpoint
            self._refused.add(checkpoint.path)
            problems.append(f"{checkpoint.path.name} {problem}")
            logging.warning("Skipping the checkpoint %s, which %s", checkpoint.path, problem)
        if problems:
            raise UserError(
                f"Expected a checkpoint in {self.folder} that can be used; received "
                f"{'; '.join(problems)}. Try another --workdir, or delete them to start anew."
            )
        return None

    def _candidates(self, which: str) -> list[Checkpoint]:
        everything = self.all()
        others = sorted(path.name for path in self.folder.glob("[!.]*"))
        if others and not everything:
            raise UserError(
                f"Expected checkpoints named step-N in {self.folder}; received {others[0]}, as "
                "other versions or programs write it. Try another --workdir."
            )
        if which == "newest" or not everything:
            return everything
        if which == "best":
            if not self.by_metric():
                raise UserError(
                    f"Expected a checkpoint with a metric in {self.folder}; received none. Try "
                    "the newest one."
                )
            return self.by_metric()
        chosen = next((one for one in everything if which in (str(one.step), one.path.name)), None)
        if chosen is None:
            steps = ", ".join(str(one.step) for one in reversed(everything))
            raise UserError(
                f"Expected a checkpoint of newest, best or step {steps}; received {which!r}."
            )
        return [chosen]

    def _prune(self, written: Checkpoint) -> None:
        """Delete what is neither new nor the best, and what killed processes left."""
        usable = [one for one in self.all() if one.path not in self._refused]
        kept = {written, *usable[: self._keep], *self.by_metric()[:1]}
        for checkpoint in usable:
            if checkpoint not in kept:
                # First: what is half deleted is no checkpoint.
                (checkpoint.path / CARD).unlink(missing_ok=True)
                shutil.rmtree(checkpoint.path, ignore_errors=True)
        for left in self.folder.glob(".step-*"):
            shutil.rmtree(left, ignore_errors=True)


def _load(gan: keras.Model, checkpoint: Checkpoint) -> str:
    """Load a whole checkpoint; say what is wrong if it does not fit the model."""
    try:
        state = tf.train.Checkpoint(gan=gan).read(str(checkpoint.path / STATE))
        state.assert_consumed()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        return f"does not fit this version's model ({str(error).splitlines()[0][:100]})"
    return ""
