"""From which images, code and command a served model came.

    python -m pipelines.lineage saved_models/mnist
    python -m pipelines.lineage saved_models/mnist/3 --json

The model's card carries it, so that this works where the lineage store is out of reach; where it is
not, the two are compared. A model that is not as it was pushed is refused: exit code 2.
"""

import json
import pathlib
import sqlite3
import sys
import time
from collections.abc import Iterator
from typing import Any

from absl import flags

from keras_gan import card, cli, recipes
from keras_gan.config import Recipe
from keras_gan.interfaces import UserError
from keras_gan.overrides import differences
from pipelines.metadata import Store
from pipelines.options import SPLITS

FLAGS = flags.FlagValues()
flags.DEFINE_bool("json", False, "Print all of it, as JSON.", flag_values=FLAGS)
flags.DEFINE_string(
    "root", None, "Where the chain's folder is now, if it moved.", flag_values=FLAGS
)


def read(model: str, root: str | None = None) -> dict[str, Any]:
    """Read the lineage of a pushed model.

    Args:
        model: a version's folder, or a folder of versions, of which the newest is taken.
        root: the chain's folder, if it is not where the card says.

    Returns:
        What the card says of it, and `found`: how the store agrees.

    Raises:
        UserError: if there is no model, it has changed, or was not pushed by the chain.
    """
    folder = card.find(model)
    facts = card.verify(folder)
    if "lineage" not in facts:
        raise UserError(
            f"Expected a model that python -m pipelines.run pushed; received {folder}, whose card "
            f"has no lineage: keras_gan.train or keras_gan.export_model wrote it.{_pushed(model)}"
        )
    lineage = facts["lineage"]
    store = (folder.resolve().parent / lineage["store"]).resolve()
    if root:
        store = pathlib.Path(root).resolve() / store.name
        if not store.is_file():
            raise UserError(
                f"Expected --root to be a chain's folder, with {store.name} in it; received "
                f"--root={root}. Try without it."
            )
    return {
        "model": str(folder),
        "metrics": facts.get("metrics", {}),
        **lineage,
        "store": str(store),
        "found": _compare(lineage, store),
    }


def _pushed(model: str) -> str:
    """Name the newest version with a lineage, if there is one."""
    folders = [pathlib.Path(model) / str(number) for number in reversed(card.versions(model))]
    known = (each for each in folders if (each / card.CARD).is_file())
    found = next((each for each in known if "lineage" in card.read(each)), None)
    return f" Try {found}." if found else ""


def _compare(lineage: dict[str, Any], path: pathlib.Path) -> str:
    """Say whether the store has what the card says."""
    if not path.is_file():
        return "is not there any more: moved (--root=FOLDER) or deleted; this is the card's copy"
    try:
        store = Store(path.parent, readonly=True)
    except UserError as error:
        return f"is not readable, this is the card's copy: {error}"
    for step in lineage["steps"]:
        try:
            known = store.describe(step["id"])
        except sqlite3.Error as error:
            return f"is not readable, this is the card's copy: {error}"
        for name, output in step["outputs"].items():
            if known.get("outputs", {}).get(name, {}).get("hash") != output["hash"]:
                number = f"{step['component']} {step['id']}"
                return f"is another one: of {number} it does not say what the card says"
    return "agrees"


def _lines(told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Write it for people: (title, text) of each line."""
    made = {step["component"]: step for step in told["steps"]}
    images = made["ExampleGen"]["outputs"]["examples"]
    facts = images["properties"]
    yield "Model", f"{told['model']}, pushed {_time(told['pushed'])}"
    shape = "x".join(map(str, facts["image_shape"]))
    splits = [split for split in SPLITS if split in facts["counts"]]
    counts = ", ".join(f"{split} {facts['counts'][split]:,}" for split in splits)
    yield "Images", f"{facts['dataset']}: {counts}; {shape}"
    yield "", ", ".join(f"{key} {value}" for key, value in facts["source"].items())
    for name, digest in facts["source_files"].items():
        yield "", f"{name} sha256 {digest}"
    if facts["read"] is not None:
        left_out = f"{facts['duplicates']:,} duplicates and {facts['rejected']:,} rejected left out"
        yield "", f"{facts['read']:,} read, {left_out}"
    yield "", f"fingerprint {facts['fingerprint']}"
    yield "Data", f"sha256 {facts['data_hash']} (of {len(facts['shards'])} shards' own: --json)"
    yield "Schema", f"sha256 {made['SchemaGen']['outputs']['schema']['hash']}"
    anomalies = made["ExampleValidator"]["outputs"]["anomalies"]["properties"]["anomalies"]
    yield "Anomalies", f"{', '.join(anomalies)}, accepted" if anomalies else "none"
    trainer = made["Trainer"]
    yield "Command", trainer["command"]
    if told["command"] != trainer["command"]:
        yield "Pushed by", told["command"]
    yield "Recipe", _recipe(trainer["parameters"]["recipe"])
    yield "Code", f"sha256 {trainer['code']}"
    yield "", f"commit {trainer['commit']}" if trainer["commit"] else "no git checkout"
    yield "Versions", ", ".join(f"{k} {v}" for k, v in trainer["versions"].items())
    for name, value in told["metrics"].items():
        if isinstance(value, dict):
            yield "Judged", f"{name}: {value['mean']:.2f} +- {value['stderr']:.2f}"
        else:
            yield "Judged", f"{name}: {value:.2f}"
    for step in told["steps"]:
        outputs = ", ".join(f"{o['uri']} {o['hash'][:12]}" for o in step["outputs"].values())
        number = f"{step['id']:>4} {step['component']:<17}"
        yield "Step", f"{number}{_time(step['started'])} {step['seconds']:>9.1f} s  {outputs}"
    store, here = pathlib.Path(told["store"]), pathlib.Path.cwd()
    shown = store.relative_to(here) if store.is_relative_to(here) else store
    yield "Store", f"{shown} {told['found']}"


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _recipe(data: dict[str, Any]) -> str:
    """Name a recipe, and what of it is not as the one of this name has it."""
    recipe = Recipe.from_json(json.dumps(data))
    known = recipes.RECIPES.get(recipe.name)
    if known is None:
        return f"{recipe.name} (--json has all of it)"
    changed = [f"{key}={new}" for key, (_, new) in differences(known, recipe).items()]
    return f"{recipe.name}{' with ' if changed else ''}{', '.join(changed)}"


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Run the command with its parsed flags."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise UserError(f"Expected one model's folder; received {' '.join(arguments) or 'none'}.")
    told = read(str(pathlib.Path(arguments[0]).expanduser()), values.root)
    if values.json:
        print(json.dumps(told, indent=2))  # noqa: T201
        return
    last = ""
    for title, text in _lines(told):
        print(f"{title if title != last else '':<11}{text}".rstrip())  # noqa: T201
        last = title or last


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "", pass_on=True)


if __name__ == "__main__":
    sys.exit(run())
