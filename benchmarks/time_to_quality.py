"""Print how many minutes a run takes to a Parzen log-likelihood, by the published protocol.

    python -m benchmarks.time_to_quality [--examples=data/mnist-...] [--recipe=mnist] [--seed=0]
        [--goal=150 --goal=200] [--epochs=60] [--every=500] [--set ema_decay=0.9999]

Each run is the whole command, `python -m keras_gan.train`, with a checkpoint at every so many
steps; minutes count from its start, with whatever comes before the first step, on prepared data.
Afterwards the moving average of each checkpoint is judged (10,000 samples against the test images,
the width chosen by 1,000 validation images): the minutes are those of the first checkpoint that
reached the goal. Test images judge here and choose nothing: a recipe's result is that at its end,
where the live weights are judged, too. --runs=FOLDER keeps the work directories.
"""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from absl import flags

from keras_gan import cli, recipes
from keras_gan.interfaces import UserError
from pipelines import preprocess
from pipelines.options import Options

FLAGS = flags.FlagValues()
flags.DEFINE_string("examples", None, "A preprocessed folder (default: made).", flag_values=FLAGS)
flags.DEFINE_string("recipe", "mnist", "What is trained.", flag_values=FLAGS)
flags.DEFINE_multi_integer("seed", [0], "Of each run; repeat.", flag_values=FLAGS)
flags.DEFINE_multi_float("goal", [150.0, 200.0, 225.0], "In nats; repeat.", flag_values=FLAGS)
flags.DEFINE_integer("epochs", None, "Instead of the recipe's.", flag_values=FLAGS)
flags.DEFINE_integer(
    "every", 500, "Steps between two checkpoints.", lower_bound=1, flag_values=FLAGS
)
flags.DEFINE_multi_string("set", [], "As of `train`; repeat.", flag_values=FLAGS)
flags.DEFINE_bool("live", False, "Judge the live weights on the way.", flag_values=FLAGS)
flags.DEFINE_string("runs", None, "Keep the work directories here.", flag_values=FLAGS)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    with contextlib.ExitStack() as leaving:
        if not values.examples:
            recipe = recipes.get_recipe(values.recipe, None)
            folder = leaving.enter_context(tempfile.TemporaryDirectory())
            values.examples = preprocess.ensure(Options(recipe.dataset, recipe.validation), folder)
        measure_all(values)


def measure_all(values: flags.FlagValues) -> None:
    """Measure one seed after the other, and print a row of each."""
    titles = [f"minutes to {goal:g}" for goal in values.goal]
    columns = [
        "seed",
        *titles,
        "steps in all",
        "minutes in all",
        "nats at the end",
        "live weights at the end",
        "best on the way",
    ]
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for seed in values.seed:
        looks = measure(values, seed)
        last, best = looks[-1], max(looks, key=lambda look: look["nats"])
        cells = [
            f"{seed}",
            *(first(looks, goal) for goal in values.goal),
            f"{last['step']:,}",
            f"{last['minutes']:.1f}",
            f"{last['nats']:.1f} +- {last['stderr']:.1f}",
            f"{last['live']:.1f} +- {last['live_stderr']:.1f}",
            f"{best['nats']:.1f} at step {best['step']:,}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def first(looks: list[dict[str, float]], goal: float) -> str:
    """Write the minutes of the first look at or above a goal."""
    minutes = (look["minutes"] for look in looks if look["nats"] >= goal)
    return next((f"{each:.1f}" for each in minutes), "not reached")


def measure(values: flags.FlagValues, seed: int) -> list[dict[str, float]]:
    """Train once; return each checkpoint's step, minutes, nats and their standard error."""
    with tempfile.TemporaryDirectory() as folder:
        workdir = pathlib.Path(values.runs or folder) / f"seed{seed}"
        settings = [*values.set, f"checkpoint_every={values.every}"]
        command = [
            *(sys.executable, "-m", "keras_gan.train", f"--recipe={values.recipe}"),
            *(f"--examples={values.examples}", f"--workdir={workdir}", f"--seed={seed}"),
            *(f"--export_dir={workdir}/export", "--keep=100000", "--verbosity=-1"),
            *(f"--set={setting}" for setting in settings),
        ]
        if values.epochs:
            command.append(f"--epochs={values.epochs}")
        if workdir.exists():
            raise UserError(f"Expected --runs without {workdir.name}; received {workdir}.")
        start = time.time()
        if subprocess.run(command, check=False).returncode:
            raise UserError("Expected the run to end well; received an error, above.")
        looks = [
            {"step": step, "minutes": (written - start) / 60, **judge(values, workdir, step)}
            for step, written in written_at(workdir)
            if step
        ]
        live = judge(values, workdir, looks[-1]["step"], live=True)
        looks[-1] |= {"live": live["nats"], "live_stderr": live["stderr"]}
        return looks


def written_at(workdir: pathlib.Path) -> list[tuple[int, float]]:
    """List a run's checkpoints: (step, when it was whole), in turn."""
    cards = sorted((workdir / "checkpoints").glob("step-*/checkpoint.json"))
    return [(json.loads(card.read_text())["step"], card.stat().st_mtime) for card in cards]


def judge(
    values: flags.FlagValues, workdir: pathlib.Path, step: float, live: bool = False
) -> dict[str, float]:
    """Judge a checkpoint's samples by the published protocol."""
    cli.import_tensorflow()
    from keras_gan import evaluation, trained

    gan, _ = trained.load_run(workdir, f"{step:.0f}")
    sampler = gan.live() if live or values.live else gan
    row = evaluation.evaluate({"generator": sampler}, values.examples)["generator"]
    return {"nats": row["log_likelihood"], "stderr": row["stderr"]}


if __name__ == "__main__":
    sys.exit(cli.run(main, FLAGS, __doc__ or ""))
