"""The model card of an export: what it is, how good, from what; and its files' hashes."""

import hashlib
import json
import os
import pathlib
import re
from typing import Any

from keras_gan import records
from keras_gan.interfaces import UserError

FORMAT = 2  # of the card and of the signatures
EXTRA = pathlib.Path("assets.extra")  # TensorFlow Serving leaves this folder alone
CARD = EXTRA / "card.json"
README = EXTRA / "README.md"
WARM_UP = EXTRA / "tf_serving_warmup_requests"  # TensorFlow Serving's own name for it
GRID = EXTRA / "samples.png"

# What is said where the data came from; TensorFlow Datasets mostly does not say it.
LICENCES = {
    "mnist": "CC BY-SA 3.0, Yann LeCun, Corinna Cortes and Christopher J. C. Burges",
    "fashion_mnist": "MIT, Zalando SE",
    "cifar10": "none stated by its authors (Krizhevsky 2009)",
}


def versions(directory: str | os.PathLike[str]) -> list[int]:
    """List the versions below a folder of exports, oldest first."""
    directory = pathlib.Path(directory)
    if not directory.is_dir():
        return []
    # As TensorFlow Serving counts: folders named by a plain number.
    names = [path.name for path in directory.iterdir() if path.is_dir()]
    return sorted(int(name) for name in names if re.fullmatch("0|[1-9][0-9]*", name))


def find(path: str | os.PathLike[str]) -> pathlib.Path:
    """Find an export: one version's folder, or the newest of a folder of versions.

    Raises:
        UserError: if there is none at `path`.
    """
    path = pathlib.Path(path)
    candidates = [path, *(path / str(number) for number in reversed(versions(path)))]
    folder = next((each for each in candidates if (each / "saved_model.pb").is_file()), None)
    if folder is None:
        raise UserError(
            f"Expected an export (saved_model.pb, or numbered versions of it); received {path}. "
            "Try saved_models/NAME as python -m keras_gan.train wrote it."
        )
    return folder


def data_facts(info: records.DatasetInfo) -> dict[str, Any]:
    """Say which images a model was trained on, and under which licence they are."""
    name = info.dataset.partition("/")[0]
    kind = info.source.get("kind")
    unknown = "not stated" if kind == "tensorflow_datasets" else "yours to know: your own images"
    return {
        "dataset": info.dataset,
        "data_hash": info.data_hash,
        "images": dict(info.counts),
        "source": info.source,
        "licence": LICENCES.get(name, unknown) if kind == "tensorflow_datasets" else unknown,
    }


def write(folder: pathlib.Path, facts: dict[str, Any]) -> None:
    """Write the card and its page for people into a version's folder, with all files' hashes.

    Args:
        folder: the version's folder; everything else in it is written already.
        facts: the card's content.
    """
    facts = {key: value for key, value in facts.items() if key not in ("files", "sha256")}
    (folder / README).write_text(_page(facts), encoding="utf-8")
    facts["files"] = {
        str(path.relative_to(folder)): {
            "size": path.stat().st_size,
            "sha256": records.file_sha256(path),
        }
        for path in _files(folder)
    }
    facts["sha256"] = hashlib.sha256(_text(facts).encode()).hexdigest()
    (folder / CARD).write_text(_text(facts), encoding="utf-8")


def read(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a version's card.

    Raises:
        UserError: if there is none, or it cannot be read.
    """
    path = pathlib.Path(folder) / CARD
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"Expected an export with its card, {CARD}; received {folder}: {error}. Try one "
            "version's folder, as keras_gan.export_model writes it."
        ) from error


def verify(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Check that a version is byte for byte what was exported.

    Returns:
        The card.

    Raises:
        UserError: naming the first file that is missing, changed, or was not exported.
    """
    folder = pathlib.Path(folder)
    card = read(folder)
    text = (folder / CARD).read_text(encoding="utf-8")
    expected = card.pop("sha256", None)
    if hashlib.sha256(_text(card).encode()).hexdigest() != expected or text != _text(
        card | {"sha256": expected}
    ):
        raise _changed(folder / CARD)
    present = {str(path.relative_to(folder)): path for path in _files(folder)}
    links = [path for path in folder.rglob("*") if path.is_symlink()]
    if links:
        raise UserError(f"Expected files in {folder}; received a link, {links[0]}. {_ADVICE}")
    files = card.get("files")
    if not isinstance(files, dict) or not all(isinstance(each, dict) for each in files.values()):
        raise UserError(f"Expected {folder / CARD} to list the files; it does not. {_ADVICE}")
    for name, facts in files.items():
        path = present.pop(name, None)
        if path is None:
            raise UserError(f"Expected {folder / name}; received no such file. {_ADVICE}")
        if (path.stat().st_size, records.file_sha256(path)) != (
            facts.get("size"),
            facts.get("sha256"),
        ):
            raise _changed(path)
    if present:
        raise UserError(
            f"Expected only what was exported in {folder}; received {min(present)}. {_ADVICE}"
        )
    return {**card, "sha256": expected}


_ADVICE = "Try exporting again; do not serve this."


def _changed(path: pathlib.Path) -> UserError:
    return UserError(f"Expected {path} as it was exported; received other content. {_ADVICE}")


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    """List what a card has hashes of: everything but itself."""
    return sorted(path for path in folder.rglob("*") if not path.is_dir() and path != folder / CARD)


def _text(facts: dict[str, Any]) -> str:
    return json.dumps(facts, indent=2, sort_keys=True) + "\n"


def _page(facts: dict[str, Any]) -> str:
    """Write the card for people."""
    data = facts.get("data", {})
    height, width, channels = facts["image_shape"]
    lines = [
        f"# {facts.get('name', 'A generator')}",
        "",
        f"A generator of {height}x{width} images with {channels} channel(s) from {facts['latent']} "
        f"latent numbers, trained for {facts.get('step', '?')} steps on "
        f"{facts.get('dataset', 'unknown images')}.",
        "",
        f"![Samples of seed 0, not picked]({GRID.name})",
        "",
        "| | |",
        "| --- | --- |",
    ]
    rows = {
        "recipe": facts.get("recipe", {}).get("name"),
        "classes": _classes(facts),
        "labels it tells": ", ".join(facts.get("label_names", ())) or None,
        "data hash": facts.get("data_hash"),
        "training images": data.get("images", {}).get("train"),
        "licence of the data": data.get("licence"),
        "versions": ", ".join(f"{k} {v}" for k, v in facts.get("versions", {}).items()),
        "exported": facts.get("created"),
    }
    lines += [f"| {name} | {value} |" for name, value in rows.items() if value is not None]
    lines += ["", "## How good", ""]
    lines += _metrics(facts.get("metrics") or {}) or [
        "Not measured. `python -m keras_gan.evaluate` does it."
    ]
    lines += ["", "## Signatures", "", "| signature | takes | gives |", "| --- | --- | --- |"]
    for name, (takes, gives) in facts.get("signatures", {}).items():
        lines.append(f"| `{name}` | {takes} | {gives} |")
    lines += [
        "",
        f"A request has at most {facts['max_rows']} rows. Images are float32 in [0, 1]; a seed "
        "gives the same image in any batch. The graph holds no Python and no custom operation.",
        "",
        "Images are made up: they resemble the training images, and what is wrong with those, and "
        "prove nothing about the world.",
    ]
    return "\n".join(lines) + "\n"


def _classes(facts: dict[str, Any]) -> str | None:
    """Say which classes a conditional generator draws, by the number that `label` takes."""
    count = facts.get("num_classes", 0)
    names = facts.get("classes") or [str(number) for number in range(count)]
    if not count:
        return None
    if names == [str(number) for number in range(count)]:
        return f"{count}, label 0 to {count - 1}"
    return ", ".join(f"{number} {name}" for number, name in enumerate(names))


def _metrics(metrics: dict[str, Any]) -> list[str]:
    rows = []
    for name, value in metrics.items():
        if isinstance(value, dict) and "mean" in value:
            more = ", ".join(f"{k} {v}" for k, v in value.items() if k not in ("mean", "stderr"))
            rows.append(
                f"- {name}: {value['mean']:.2f} +- {value['stderr']:.2f}"
                + f" ({more})" * bool(more)
            )
        elif isinstance(value, int | float):
            rows.append(f"- {name}: {value:.2f}")
        else:
            rows.append(f"- {name}: {value}")
    return rows
