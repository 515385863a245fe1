"""What coordinating G and D, and choosing G's samples, is worth in time: section 7, extension 5.

    python -m benchmarks.efficiency --examples=data/mnist-... --seed=0 --seed=1
    python -m benchmarks.efficiency --examples=data/mnist-... --seed=2 --steps=3000 \\
        --variant="" --variant="max_lead=0.1 d_steps=2"

A variant is what `train` would take as --set, with spaces between; "" is the recipe as it is. All
variants of a seed train side by side, a leg of steps each in turn, so that what else the machine
does meets all alike, and seconds are of the processor, all cores together: other processes take
none of them. A leg's are the median of the five around it. After each leg the moving average's
samples are judged by a Parzen window on held-out images (10,000 samples, 500 images, the best of
the published widths): steps and seconds to --goal are those at the end of the first leg where it
was reached. --judge=test judges the end on the first 2,000 test images, by the published width that
1,000 validation images choose; leave it out while settings are chosen.
"""

import dataclasses
import json
import pathlib
import statistics
import sys
import time
from typing import Any

from absl import flags

from keras_gan import cli, files, recipes
from keras_gan.config import Recipe
from keras_gan.interfaces import UserError

VARIANTS = (
    "",
    "max_lead=0.4",
    "d_steps=2 max_lead=0.4",
    "top_share=0.75",
    "g_optimizer.learning_rate=2e-4",
    "update=simultaneous",
)

FLAGS = flags.FlagValues()
flags.DEFINE_string("examples", None, "A preprocessed data folder.", flag_values=FLAGS)
flags.DEFINE_string("recipe", "mnist", "What is varied.", flag_values=FLAGS)
flags.DEFINE_multi_string("variant", list(VARIANTS), "What is set; repeat.", flag_values=FLAGS)
flags.DEFINE_multi_integer("seed", [0], "Of each run; repeat.", flag_values=FLAGS)
flags.DEFINE_integer("steps", 5000, "Rounds of each run.", lower_bound=20, flag_values=FLAGS)
flags.DEFINE_integer("leg", 500, "Rounds between two looks.", lower_bound=20, flag_values=FLAGS)
flags.DEFINE_float("goal", 150.0, "Nats whose time is asked for.", flag_values=FLAGS)
flags.DEFINE_enum(
    "judge", "validation", ["validation", "test"], "Images of the end.", flag_values=FLAGS
)
flags.DEFINE_string("out", None, "Keep the runs as JSON; seeds there stay.", flag_values=FLAGS)
flags.DEFINE_string("picture", None, "Draw Parzen against seconds, a PNG.", flag_values=FLAGS)

PER_CALL = 10  # rounds
SAMPLES, IMAGES = 10000, 500  # of a look
TEST_IMAGES = 2000
WINDOW = 5  # legs


@dataclasses.dataclass
class Run:
    """One run, a number for each leg; the end is judged by the images that were asked for."""

    variant: str
    seed: int
    steps: list[int] = dataclasses.field(default_factory=list)
    d_steps: list[int] = dataclasses.field(default_factory=list)
    leg_seconds: list[float] = dataclasses.field(default_factory=list)
    parzen: list[float] = dataclasses.field(default_factory=list)
    end: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def seconds(self) -> list[float]:
        """Seconds of training up to each look."""
        passed, total = [], 0.0
        for index in range(len(self.leg_seconds)):
            first = min(max(0, index - WINDOW // 2), max(0, len(self.leg_seconds) - WINDOW))
            total += statistics.median(self.leg_seconds[first : first + WINDOW])
            passed.append(total)
        return passed

    def reached(self, goal: float) -> tuple[int, float] | None:
        """Return the steps and seconds at which the goal was reached, if it was."""
        for step, seconds, value in zip(self.steps, self.seconds, self.parzen, strict=True):
            if value >= goal:
                return step, seconds
        return None


def train(run: Run, recipe: Recipe, examples: str, leg: int, held_out: Any) -> Any:
    """Train a variant leg by leg; yield its model after each."""
    from keras_gan import building, data, records
    from keras_gan.metrics import parzen

    info = records.DatasetInfo.read(examples)
    statistics_ = records.read_statistics(examples)
    gan = building.build(
        recipe,
        info.image_shape,
        train_images=info.counts["train"],
        pixel_mean=statistics_["pixel_mean"],
        classes=len(info.classes),
    )
    gan.steps_per_execution = PER_CALL

    def fit(first: int, steps: int) -> None:
        batches = data.train_dataset(
            examples,
            batch_size=recipe.batch_size,
            d_steps=recipe.d_steps,
            first_step=first,
            seed=recipe.seed,
            labels=recipe.conditional,
        )
        gan.fit(batches, epochs=1, steps_per_epoch=steps, verbose=0, shuffle=False)

    fit(0, PER_CALL)  # traces
    for done in range(0, recipe.steps, leg):
        first = done or PER_CALL
        steps = min(leg, recipe.steps - done) - (first - done)
        start = time.process_time()
        fit(first, steps)
        seconds = time.process_time() - start
        run.leg_seconds.append(seconds / steps * (first - done + steps))
        run.steps.append(first + steps)
        run.d_steps.append(int(gan.d_optimizer.iterations.numpy()))
        values = parzen.log_densities(
            gan.sample(SAMPLES, seed=0), held_out, parzen.PUBLISHED_SIGMAS
        )
        run.parzen.append(float(values.mean(axis=1).max()))
        yield gan


def side_by_side(values: flags.FlagValues, recipe: Recipe, seed: int) -> list[Run]:
    """Train all variants of a seed in turns, and judge them."""
    from keras_gan import data
    from keras_gan.metrics import parzen

    choosing = data.load_split(values.examples, "validation", parzen.PUBLISHED_VALIDATION)
    test = data.load_split(values.examples, "test", TEST_IMAGES)

    def judge(sampler: Any) -> float:
        samples = sampler.sample(SAMPLES, seed=0)
        sigma = parzen.fit_sigma(samples, choosing)
        return parzen.log_likelihood(samples, test, sigma).mean

    held_out = data.load_split(values.examples, "validation", IMAGES)
    runs, turns = [], []
    for variant in values.variant:
        run = Run(variant, seed)
        own = dataclasses.replace(recipe, seed=seed, steps=values.steps)
        own = own.with_overrides(variant.split())
        runs.append(run)
        turns.append(train(run, own, values.examples, values.leg, held_out))
    gans: tuple[Any, ...] = ()
    for gans in zip(*turns, strict=True):  # noqa: B007
        for run in runs:
            print(
                f"  {run.variant or values.recipe:<44}{run.steps[-1]:>7}{run.parzen[-1]:8.1f}"
                f"{run.leg_seconds[-1]:7.1f} s{run.d_steps[-1]:>7}",
                flush=True,
            )
    if values.judge == "test":
        for run, gan in zip(runs, gans, strict=True):
            run.end = {"live": judge(gan.live()), "average": judge(gan)}
    else:
        for run in runs:
            run.end = {"average": run.parzen[-1]}
    return runs


def spread(numbers: list[float], form: str = ".1f") -> str:
    """Write a mean, the lowest and the highest."""
    text = f"{statistics.mean(numbers):{form}}"
    low, high = f"{min(numbers):{form}}", f"{max(numbers):{form}}"
    return text if len(numbers) == 1 else f"{text} ({low} to {high})"


def print_table(runs: list[Run], name: str, goal: float) -> None:
    """Print a row for each variant."""
    seeds = ", ".join(str(seed) for seed in sorted({run.seed for run in runs}))
    print(
        f"\nSeeds {seeds}: mean, lowest and highest; seconds are the processor's, of training alone"
    )
    words = (
        "average",
        "live",
        f"steps to {goal:g}",
        f"seconds to {goal:g}",
        "steps/second",
        "D steps",
    )
    print(f"| {name} | {' | '.join(words)} |\n|{' --- |' * (len(words) + 1)}")
    for variant in dict.fromkeys(run.variant for run in runs):
        own = [run for run in runs if run.variant == variant]
        there = [found for run in own if (found := run.reached(goal))]
        missing = f", {len(own) - len(there)} not reached" if len(there) < len(own) else ""
        cells = [
            spread([run.end["average"] for run in own]),
            spread([run.end["live"] for run in own]) if "live" in own[0].end else "",
            spread([steps for steps, _ in there], ",.0f") + missing if there else "not reached",
            spread([seconds for _, seconds in there], ".0f") + missing if there else "",
            spread([run.steps[-1] / run.seconds[-1] for run in own]),
            spread([run.d_steps[-1] for run in own], ",.0f"),
        ]
        print(f"| {f'`{variant}`' if variant else 'as it is'} | {' | '.join(cells)} |")


def draw(runs: list[Run], name: str, path: pathlib.Path) -> None:
    """Draw the mean over seeds against seconds, with the lowest and the highest."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for variant in dict.fromkeys(run.variant for run in runs):
        own = [run for run in runs if run.variant == variant]
        seconds = np.mean([run.seconds for run in own], axis=0)
        values = np.array([run.parzen for run in own])
        (line,) = axes.plot(seconds, values.mean(axis=0), label=variant or f"{name} as it is")
        axes.fill_between(
            seconds, values.min(axis=0), values.max(axis=0), color=line.get_color(), alpha=0.15
        )
    axes.set_xlabel("processor seconds of training")
    axes.set_ylabel("Parzen log-likelihood, held-out images, nats")
    axes.legend()
    axes.grid(alpha=0.3)
    with files.replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary))


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    for name in ("steps", "leg"):
        if values[name].value % PER_CALL:
            raise UserError(
                f"Expected --{name} to be a multiple of {PER_CALL}, which are compiled into one "
                f"call; received {values[name].value}."
            )
    if not values.examples:
        raise UserError("Expected --examples; received none. Try data/mnist-... .")
    recipe = recipes.get_recipe(values.recipe, None)
    for variant in values.variant:
        recipe.with_overrides(variant.split())  # refused before anything is trained
    cli.import_tensorflow()
    out = pathlib.Path(values.out) if values.out else None
    runs = [Run(**run) for run in json.loads(out.read_text())] if out and out.exists() else []
    for seed in values.seed:
        if any(run.seed == seed for run in runs):
            continue
        print(f"Seed {seed}: variant, steps, Parzen, seconds of the leg, D's steps")
        runs += side_by_side(values, recipe, seed)
        if out:
            with files.replacing(out) as temporary:
                text = json.dumps([dataclasses.asdict(run) for run in runs], indent=1)
                temporary.write_text(text + "\n")
    print_table(runs, values.recipe, values.goal)
    if values.picture:
        draw(runs, values.recipe, pathlib.Path(values.picture))


def run_command() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run_command())
