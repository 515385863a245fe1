"""Train and push a generator, from the images to the server's folder, each step recorded.

    python -m pipelines.run --dataset=mnist --root=pipeline/mnist --push=saved_models/mnist_best
    python -m pipelines.run --images=FOLDER --root=DIR --push=saved_models/NAME
    python -m pipelines.run --examples=data/NAME --root=DIR --push=saved_models/NAME

ExampleGen, StatisticsGen, SchemaGen, ExampleValidator, Trainer, Evaluator, InfraValidator, Pusher:
TFX's components. A step runs only if something that it depends on has changed; a chain that was
killed goes on when the same command runs again. A generator is pushed only if it has not collapsed
and beats --min and the last pushed one by more than the error. Exit code 3: it is not pushed.
"""

import copy
import dataclasses
import importlib.metadata
import pathlib
import platform
import shlex
import subprocess
import sys
from typing import Any

from absl import flags

from keras_gan import cli, train, version
from keras_gan.interfaces import UserError
from pipelines import chain, hashes, preprocess, steps

FLAGS = flags.FlagValues()
METRICS = ["log_likelihood", "fine_log_likelihood"]
OF_TRAINING = (
    "dataset", "images", "arrays", "recipe", "set", "steps", "epochs", "seed", "precision",
    "deterministic", "examples", "data_dir", "manual_dir",
)  # fmt: skip
OF_PREPROCESSING = ("labels", "schema", "allow", "max_rejected")

for _theirs, _names in ((train.FLAGS, OF_TRAINING), (preprocess.FLAGS, OF_PREPROCESSING)):
    for _name in _names:
        FLAGS[_name] = copy.deepcopy(_theirs[_name])
flags.DEFINE_string(
    "root", None, "Folder of the chain: the lineage store and all that is made.", flag_values=FLAGS
)
flags.DEFINE_string(
    "push", None, "Folder of the versions that a server looks at.", flag_values=FLAGS
)
flags.DEFINE_enum(
    "metric",
    METRICS[0],
    METRICS,
    "What decides: the Parzen log-likelihood in nats, with the published widths or one fitted "
    "finely.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "min", None, "What the metric must exceed by more than its error.", flag_values=FLAGS
)
flags.DEFINE_float(
    "min_diversity",
    0.25,
    "Share of real images' variety below which a generator has collapsed.",
    lower_bound=0.0,
    upper_bound=1.0,
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "samples", 10000, "Drawn to judge a generator.", lower_bound=10, flag_values=FLAGS
)
flags.DEFINE_float(
    "infra_timeout",
    300.0,
    "Seconds that the server's loader may take.",
    lower_bound=1.0,
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "cache", True, "Use what is there already; --nocache makes all of it anew.", flag_values=FLAGS
)


def request_from(values: flags.FlagValues) -> steps.Request:
    """Say what the flags ask for, checked."""
    for name in ("root", "push"):
        if not values[name].value:
            raise UserError(f"Expected --{name}=FOLDER; received none. Try --help.")
    from pipelines import schema

    schema.expect_known(values.allow)
    if values.schema:
        schema.load(pathlib.Path(values.schema))
    recipe = train.recipe_from(values)
    options = dataclasses.replace(
        train.options_from(values),
        dataset=recipe.dataset,
        labels=values.labels,
        validation=recipe.validation,
        size=recipe.image_size,
        channels=recipe.image_channels,
    )
    return steps.Request(
        options=options,
        examples=values.examples,
        recipe=recipe,
        push=values.push,
        schema=values.schema,
        allow=tuple(values.allow),
        max_rejected=values.max_rejected,
        deterministic=values.deterministic,
        metric=values.metric,
        min=values.min,
        min_diversity=values.min_diversity,
        samples=values.samples,
        infra_timeout=values.infra_timeout,
    )


def facts(arguments: list[str]) -> dict[str, Any]:
    """Say which command this is, and of which code."""
    return {
        "command": shlex.join(["python", "-m", "pipelines.run", *arguments]),
        "commit": _commit(),
        "versions": {
            "keras_gan": version.__version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("keras", "tensorflow")},
        },
    }


def _commit() -> str:
    """Return the checkout's commit, with + if files differ from it; empty if it is none."""
    if not (hashes.PROJECT / ".git").exists():
        return ""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(hashes.PROJECT), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = git("status", "--porcelain", "--", *hashes.OWN)
    return git("rev-parse", "HEAD") + ("+" if changed else "")


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    request = request_from(values)
    for folder in (values.root, values.push):
        cli.expect_writable(folder)
    arguments = [flag for name in values for flag in _as_given(values[name])]
    links = chain.Chain(values.root, cache=values.cache, facts=facts(arguments))
    try:
        links.run(steps.steps(request))
    finally:
        _print(links)
    ((_, seconds, last),) = links.done[-1:]
    new = seconds is not None and last["pushed_model"].properties["pushed"]
    place = pathlib.Path(values.push) / last["pushed_model"].properties["pushed_version"]
    print(f"Pushed:  {place}{'' if new else ' already: nothing new'}")  # noqa: T201
    print(f"Lineage: python -m pipelines.lineage {place}")  # noqa: T201


def _as_given(flag: flags.Flag) -> list[str]:
    """Write a flag that was given as it can be given again."""
    if not flag.present:
        return []
    if isinstance(flag, flags.MultiFlag):
        return [f"--{flag.name}={value}" for value in flag.value]
    return flag.serialize().split("\n")


def _print(links: chain.Chain) -> None:
    """Print each step that has its result: whether it ran, and where that is."""
    for name, seconds, outputs in links.done:
        state = "cached" if seconds is None else f"ran {seconds:.1f} s"
        places = [_shown(artifact.path.resolve(), links.root) for artifact in outputs.values()]
        print(f"{name:<18}{state:<14}{'  '.join(places)}")  # noqa: T201


def _shown(path: pathlib.Path, root: pathlib.Path) -> str:
    """Name a place as shortly as it can be found: from the chain's folder, or from here."""
    for above in (root.resolve(), pathlib.Path.cwd()):
        if path.is_relative_to(above):
            return str(path.relative_to(above))
    return str(path)


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())
