"""The report of a run, or of several side by side, as one HTML file that needs nothing else."""

import base64
import datetime
import io
import os
import pathlib
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from keras_gan import charts, curves, facts, files, version
from keras_gan.interfaces import UserError

NAME = "report.html"
TEMPLATES = pathlib.Path(__file__).parent / "templates"
FRAME_BYTES = 4_400_000  # of all frames; a third more in the page
MOMENTS = 120  # that a slider has at most
WIDEST = 4000  # pixels of a picture's side; WebP ends at 16,383
PICTURES = {
    "fresh_samples": "Fresh samples",
    "real_beside_generated": "Real beside generated",
    "nearest_training_images": "Nearest training images",
    "interpolations": "Interpolations",
}


def write_report(
    workdirs: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str] | None = None
) -> pathlib.Path:
    """Write the report of a run, or compare several.

    Args:
        workdirs: of the runs.
        out: the file; by default `report.html`, in the work directory if there is only one.

    Returns:
        The file.

    Raises:
        UserError: if a folder is no run's, or one comes twice.
    """
    folders = [pathlib.Path(workdir) for workdir in workdirs]
    if not folders:
        raise UserError("Expected at least one work directory; received none.")
    resolved = [folder.resolve() for folder in folders]
    for number, folder in enumerate(resolved):
        if folder in resolved[:number]:
            raise UserError(f"Expected each work directory once; received {folder} twice.")
    runs = [facts.read(folder) for folder in folders]
    default = folders[0] / NAME if len(runs) == 1 else pathlib.Path(NAME)
    path = pathlib.Path(out) if out else default
    text = _page(runs[0]) if len(runs) == 1 else _comparison(runs)
    with files.replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def refresh(workdir: str | os.PathLike[str]) -> pathlib.Path | None:
    """Write a run's own report; whatever goes wrong is a warning, and no failure of the run."""
    try:
        return write_report([workdir])
    except Exception as error:
        logging.warning("No report was written: %s", error)
        return None


def _page(run: facts.Run) -> str:
    """Fill the template of one run."""
    frames = _frames(run)
    moments, histograms, paths = _moments(run, [step for step, _ in frames])
    base, changed = facts.changes(run)
    word, sentence = facts.ending(run)
    scores = facts.scores(run)
    return _render(
        "run.html",
        run=run,
        name=run.workdir.resolve().name,
        quoted=shlex.quote(str(run.workdir)),
        base=base,
        changed=changed,
        ended=word,
        ending=sentence,
        counts=facts.data_counts(run),
        glance=_glance(run, scores),
        frames=frames,
        moments={
            "moments": moments,
            "frames": frames,
            "paths": paths,
        },
        histograms=histograms,
        charts=curves.of_run(run),
        scores=scores,
        places=_places(scores),
        pictures=[
            (title, run.logged.descriptions.get(tag, ""), *_newest(run, tag))
            for tag, title in PICTURES.items()
            if tag in run.logged.images
        ],
        costs=facts.costs(run),
        warnings=run.logged.texts.get("warnings", []),
    )


def _comparison(runs: list[facts.Run]) -> str:
    """Fill the template of several runs."""
    names = [run.workdir.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.workdir) for run in runs]
    rows = [
        ("Data", [f"{run.recipe.dataset} {run.about['data_hash'][:8]}" for run in runs]),
        ("Ended", [facts.ending(run)[0] or "not recorded" for run in runs]),
        ("Step", [f"{run.step:,}" for run in runs]),
        ("Time trained", [_time(run) for run in runs]),
        ("Log-likelihood, nats", [_score(run) for run in runs]),
        ("Best Parzen while training", [_best(run) for run in runs]),
        ("Warnings", [str(len(run.logged.texts.get("warnings", []))) for run in runs]),
    ]
    return _render(
        "comparison.html",
        runs=runs,
        names=names,
        rows=rows,
        settings=_settings(runs),
        charts=curves.of_runs(runs, names),
        grids=[next(iter(_frames(run, newest=True)), None) for run in runs],
    )


def _render(template: str, **values: Any) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["value"] = _value
    now = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return environment.get_template(template).render(**values, version=version.__version__, now=now)


def _value(value: Any) -> str:
    """Write a setting; what a recipe of other networks does not have is a dash."""
    if value is None or value == "":
        return "\N{EM DASH}"
    if isinstance(value, list | tuple):
        return ", ".join(_value(each) for each in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _glance(run: facts.Run, scores: list[facts.Score]) -> list[tuple[str, str, str]]:
    """Choose the numbers that come first: (what, number, unit)."""
    found = [("Steps", f"{run.step:,}", "")]
    if scores:
        found.append(("Log-likelihood", f"{scores[0].mean:.1f}", f"± {scores[0].error:.1f} nats"))
    elif best := facts.best_parzen(run):
        found.append(("Parzen while training", f"{best[0]:.1f}", "nats, best"))
    if facts.seconds_trained(run):
        found.append(("Time trained", facts.duration(facts.seconds_trained(run)), ""))
    warned = len(run.logged.texts.get("warnings", []))
    found.append(("Warnings", str(warned or "none"), ""))
    return found


def _places(scores: list[facts.Score]) -> list[tuple[float, float]]:
    """Place scores on one line: the start and the width of each error bar in percent."""
    if not scores:
        return []
    low = min(score.mean - score.error for score in scores)
    high = max(score.mean + score.error for score in scores)
    scale = 100 / max(high - low, 1e-9)
    return [((score.mean - score.error - low) * scale, 2 * score.error * scale) for score in scores]


def _frames(run: facts.Run, newest: bool = False) -> list[tuple[int, str]]:
    """Read the grids of the fixed noise, thinned evenly so that a page can hold them."""
    from PIL import UnidentifiedImageError

    paths = sorted(run.workdir.glob("samples/step-*.png"))
    paths = paths[-1:] if newest else _thinned(paths, MOMENTS)
    found = []
    for path in paths:
        try:
            found.append((int(path.stem.removeprefix("step-")), _webp(path.read_bytes())))
        except (OSError, ValueError, UnidentifiedImageError):  # being written, or another's
            continue
    size = sum(len(content) for _, content in found)
    while len(found) > 1 and size > FRAME_BYTES:
        found = _thinned(found, max(1, min(len(found) - 1, len(found) * FRAME_BYTES // size)))
        size = sum(len(content) for _, content in found)
    return [(step, _uri(content)) for step, content in found]


def _thinned(items: list[Any], most: int) -> list[Any]:
    """Keep so many at most, evenly spread, the last one among them."""
    if len(items) <= most:
        return items
    return [items[round(i)] for i in np.linspace(len(items) - 1, 0, most)[::-1]]


def _webp(content: bytes) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    with Image.open(io.BytesIO(content)) as picture:
        drawn = picture.convert("RGB")
        drawn.thumbnail((WIDEST, WIDEST))
        drawn.save(file, "WEBP", quality=82, method=4)
    return file.getvalue()


def _uri(content: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}"


def _newest(run: facts.Run, tag: str) -> tuple[int, str, int, int]:
    """Take the newest picture of a tag: its step, address, width and height."""
    step, picture = run.logged.images[tag][-1]
    return step, _uri(_webp(picture.png)), picture.width, picture.height


def _moments(
    run: facts.Run, frames: list[int]
) -> tuple[list[list[Any]], charts.Chart | None, list[list[str]]]:
    """List where the slider stops: step, frame, histograms and what is said there."""
    pairs = curves.logits(run)
    chart: charts.Chart | None = None
    paths: list[list[str]] = []
    if pairs:
        pairs = _thinned(pairs, MOMENTS)
        chart, paths = curves.draw_logits([each for _, each in pairs])
    at = [step for step, _ in pairs]
    losses = run.curve("d_loss")
    between = [] if losses is None or not (frames or at) else losses.steps.tolist()
    steps = _thinned(sorted({*frames, *at, *between}), MOMENTS)
    moments = [
        [step, _last(frames, step), _last(at, step), curves.said_at(run, step)] for step in steps
    ]
    return moments, chart, paths


def _last(steps: list[int], step: int) -> int:
    """Find the last of some steps up to one; the first if there is none, -1 if there are none."""
    return max(int(np.searchsorted(steps, step, side="right")) - 1, 0) if steps else -1


def _settings(runs: list[facts.Run]) -> list[tuple[str, list[Any]]]:
    """List the settings in which some runs differ, with the value of each run."""
    from keras_gan import overrides

    first = runs[0].recipe
    pairs = [overrides.differences(first, run.recipe) for run in runs]
    own = {key: pair[0] for each in pairs for key, pair in each.items() if key != "name"}
    return [(key, [each.get(key, (None, own[key]))[1] for each in pairs]) for key in sorted(own)]


def _time(run: facts.Run) -> str:
    seconds = facts.seconds_trained(run)
    return facts.duration(seconds) if seconds else ""


def _score(run: facts.Run) -> str:
    if not run.evaluation:
        return ""
    row = run.evaluation["row"]
    step = f" (step {run.evaluation['step']:,})"
    return f"{row['log_likelihood']:.1f} ± {row['stderr']:.1f}{step}"


def _best(run: facts.Run) -> str:
    best = facts.best_parzen(run)
    return f"{best[0]:.1f} at step {best[1]:,}" if best else ""
