"""List the training runs below a folder, the newest start first.

    python -m keras_gan.runs
    python -m keras_gan.runs runs pipeline/mnist
    python -m keras_gan.runs runs --json

Takes folders (default: runs). Of each run: its recipe, the newest step that is saved, the best
Parzen estimate of its checkpoints, what python -m keras_gan.evaluate measured, whether it is
running or how it ended, and its newest samples.
"""

import contextlib
import datetime
import json
import os
import pathlib
import re
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from absl import flags

from keras_gan import cli, files, workdir
from keras_gan.interfaces import UserError

FLAGS = flags.FlagValues()
flags.DEFINE_bool("json", False, "Print all that is known of them, as JSON.", flag_values=FLAGS)

DEFAULT_FOLDER = "runs"
WIDTH = 100
INDENT = " " * 4
COLUMNS = ("run", "recipe", "steps", "Parzen", "log-likelihood", "state")
NUMBERS = {"steps", "Parzen", "log-likelihood"}
CHECKPOINT_CARD = "checkpoint.json"  # of checkpoints, which imports TensorFlow
EVALUATION = "evaluation.json"  # of evaluation, which does, too


def find(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield the work directories below a folder, itself included; there is none inside another."""
    for place, folders, names in os.walk(folder):
        if workdir.RUN_FILE in names:
            folders.clear()
            yield pathlib.Path(place)


def describe(path: pathlib.Path, name: str) -> dict[str, Any]:
    """Say what is known of a run.

    Args:
        path: its work directory.
        name: what to call it.

    Returns:
        What `--json` prints.
    """
    told: dict[str, Any] = {"name": name, "workdir": str(path)}
    try:
        return told | _told_by(path, workdir.read_run(path) or {})
    except (UserError, OSError) as error:
        why = " ".join(str(error).split())
    except (KeyError, TypeError, AttributeError) as error:
        why = f"Expected {path / workdir.RUN_FILE} to describe a run; received {error!r}."
    return told | {"state": "unreadable", "why": why, "started": "", "ended": {}, "grid": None}


def _told_by(path: pathlib.Path, run: dict[str, Any]) -> dict[str, Any]:
    """Say what a work directory tells, and `run.json` in it."""
    recipe, ended = run["recipe"], run["ended"]
    cards = list(_cards(path / "checkpoints"))
    saved = max((card["step"] for card in cards), default=0)
    step = max(saved, ended.get("step", 0))
    total = recipe.total_steps(run["train_images"])
    parzen = [card["metrics"]["parzen"] for card in cards if "parzen" in card.get("metrics", {})]
    return {
        "recipe": recipe.name,
        "started": run["started"],
        "command": run["command"],
        "step": step,
        "total_steps": total,
        "parzen": max(parzen, default=None),
        "evaluation": _evaluation(path / EVALUATION, run["data_hash"]),
        "state": _state(path, ended, step, total),
        "ended": ended,
        "why": ended.get("why", ""),
        "grid": max(map(str, (path / "samples").glob("step-*.png")), default=None),
    }


def _cards(folder: pathlib.Path) -> Iterator[dict[str, Any]]:
    """Read the checkpoints' cards, but for those that are cut off or just being deleted."""
    for path in folder.glob(f"step-*/{CHECKPOINT_CARD}"):
        if re.fullmatch(r"step-\d+", path.parent.name):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                card = json.loads(path.read_text())
                yield {"step": int(card["step"]), "metrics": dict(card["metrics"])}


def _evaluation(path: pathlib.Path, data_hash: str) -> dict[str, Any] | None:
    """Read what `evaluate` found, if it judged by the data that the run was trained on."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(path.read_text())
        if known["data_hash"] == data_hash:
            row = {key: float(known["row"][key]) for key in ("log_likelihood", "stderr")}
            return {"step": int(known["step"]), **row}
    return None


def _state(path: pathlib.Path, ended: dict[str, Any], step: int, total: int) -> str:
    with contextlib.suppress(OSError):
        if files.is_held(path):
            return "running"
    if not ended:
        return f"killed at step {step:,} or after"
    if not ended["how"]:  # of a version that did not write it down
        return "finished" if step >= total else "ended"
    return str(ended["how"])


def newest_first(run: dict[str, Any]) -> float:
    """Order runs by their start; those that do not tell it by when they were last written to."""
    with contextlib.suppress(ValueError):
        return -datetime.datetime.fromisoformat(run["started"]).timestamp()
    with contextlib.suppress(OSError):
        return -(pathlib.Path(run["workdir"]) / workdir.RUN_FILE).stat().st_mtime
    return 0.0


def lines(runs: list[dict[str, Any]]) -> Iterator[str]:
    """Write runs for people: aligned columns; below each, why it ended and its newest samples."""
    rows = [COLUMNS, *map(_row, runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, run in zip(rows, [{}, *runs], strict=True):
        cells = (
            text.rjust(width) if title in NUMBERS else text.ljust(width)
            for title, text, width in zip(COLUMNS, row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()
        yield from _wrapped(run.get("why", ""))
        if run.get("grid"):
            yield f"{INDENT}{run['grid']}"


def _wrapped(text: str) -> list[str]:
    """Break a text into indented lines, but no path in it."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=INDENT,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _row(run: dict[str, Any]) -> tuple[str, ...]:
    if "recipe" not in run:
        return run["name"], "", "", "", "", run["state"]
    judged, parzen = run["evaluation"], run["parzen"]
    likelihood = ""
    if judged:
        likelihood = f"{judged['log_likelihood']:.1f} +- {judged['stderr']:.1f}"
        likelihood += "" if judged["step"] == run["step"] else f" at {judged['step']:,}"
    return (
        run["name"],
        run["recipe"],
        f"{run['step']:,} of {run['total_steps']:,}",
        "" if parzen is None else f"{parzen:.1f}",
        likelihood,
        run["state"],
    )


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Run the command with its parsed flags."""
    unknown = [argument for argument in arguments if argument.startswith("-")]
    if unknown:
        raise UserError(f"Expected folders; received {' '.join(unknown)}. Try --help.")
    folders = [pathlib.Path(argument).expanduser() for argument in arguments or [DEFAULT_FOLDER]]
    runs = [
        describe(path, str(path.relative_to(folder) if len(folders) == 1 else path))
        for folder in dict.fromkeys(folders)
        for path in find(folder)
    ]
    if not runs:
        received = " and ".join(map(str, folders))
        raise UserError(
            f"Expected folders with runs of keras_gan.train; received {received} without any. Try "
            "the folder above a --workdir."
        )
    runs.sort(key=newest_first)
    print(json.dumps(runs, indent=2) if values.json else "\n".join(lines(runs)))  # noqa: T201


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "", pass_on=True)


if __name__ == "__main__":
    sys.exit(run())
