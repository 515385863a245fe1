"""Which curves of a run are drawn, and how."""

import dataclasses
import math

import numpy as np

from keras_gan import charts, facts
from keras_gan.history import Histogram

LOGITS = ("logits/real", "logits/generated")
AT_REST = {"non_saturating", "minimax"}  # losses whose D loses 2 log 2 where it cannot tell


@dataclasses.dataclass(frozen=True)
class Plan:
    """One chart of the page.

    Args:
        title: of the chart.
        lines: (tag, label, colour); those that were not logged are left out.
        rule: the value of a level line.
        note: what it means.
        log: whether the axis of values is logarithmic.
        limits: of that axis.
    """

    title: str
    lines: tuple[tuple[str, str, int], ...]
    rule: float | None = None
    note: str = ""
    log: bool = False
    limits: tuple[float, float | None] | None = None


HALF = "Dashed: 1/2, where D cannot tell."
PLANS = (
    Plan(
        "Losses",
        (("d_loss", "discriminator", 0), ("g_loss", "generator", 1)),
        2 * math.log(2),
        "Dashed: 2 log 2, D's loss where it cannot tell.",
    ),
    Plan(
        "What D says",
        (("D(x)", "D(x), real", 0), ("D(G(z))", "D(G(z)), generated", 1)),
        0.5,
        HALF,
        limits=(0, 1),
    ),
    Plan("Steps of D in a round", (("d_steps", "discriminator", 0),), limits=(0, None)),
    Plan(
        "Error of the encoder in z",
        (("(E(x)-z)^2", "(E(G(z)) - z)^2", 2),),
        1.0,
        "Dashed: 1, knowing nothing.",
        limits=(0, None),
    ),
    Plan(
        "Loss of D without dropout",
        (
            ("held_out/d_loss", "held-out images", 2),
            ("held_out/d_loss_of_train", "training images", 0),
        ),
        note="Where it rises above that of training images, D knows those by heart.",
    ),
    Plan(
        "Share that D gets right",
        (
            ("accuracy/real", "real images", 0),
            ("accuracy/generated", "samples", 1),
        ),
        0.5,
        "Dashed: 1/2, guessing.",
        limits=(0, 1),
    ),
    Plan(
        "Gradient norms",
        (
            ("gradients/discriminator", "discriminator", 0),
            ("gradients/generator", "generator", 1),
        ),
        note="L2 norm of all gradients, logarithmic.",
        log=True,
    ),
    Plan(
        "Parzen log-likelihood while training",
        (
            ("parzen/validation", "validation images, nats", 2),
            ("parzen/train", "training images, nats", 2),
        ),
        note="Of few samples: it compares checkpoints, not with the published numbers.",
    ),
    Plan(
        "Variety of the samples",
        (
            ("diversity/clusters", "clusters reached", 2),
            ("diversity/spread", "distance between samples", 3),
        ),
        0.25,  # as metrics/diversity.py has it, which needs TensorFlow
        "1: as much as real images have. Dashed: below 1/4 of either, the alarm is raised.",
        limits=(0, None),
    ),
    Plan(
        "Learning rates",
        (
            ("optimizers/d_learning_rate", "discriminator", 0),
            ("optimizers/g_learning_rate", "generator", 1),
        ),
    ),
    Plan(
        "Momentum",
        (
            ("optimizers/d_momentum", "discriminator", 0),
            ("optimizers/g_momentum", "generator", 1),
        ),
    ),
    Plan(
        "Speed",
        (
            ("speed/steps_per_second", "steps per second", 3),
            ("steps_per_second", "steps per second", 3),
        ),
    ),
)
COMPARED = (
    ("d_loss", "Loss of the discriminator"),
    ("g_loss", "Loss of the generator"),
    ("D(x)", "D(x), of real images"),
    ("D(G(z))", "D(G(z)), of generated ones"),
    ("held_out/d_loss", "Loss of D on held-out images"),
    ("parzen/validation", "Parzen log-likelihood while training, nats"),
    ("parzen/train", "Parzen log-likelihood of training images, nats"),
    ("diversity/clusters", "Variety: clusters reached"),
    ("gradients/generator", "Gradient norm of the generator"),
)


def of_run(run: facts.Run) -> list[charts.Chart]:
    """Draw every chart of which something was logged."""
    drawn = []
    for number, plan in enumerate(PLANS):
        lines = [
            charts.Line(label, curve.steps, curve.values, colour)
            for tag, label, colour in plan.lines
            if (curve := run.curve(tag)) is not None
        ]
        if not lines:
            continue
        ruled = plan.title != "Losses" or run.recipe.loss in AT_REST
        drawn.append(
            charts.draw_lines(
                f"chart-{number}",
                plan.title,
                lines,
                last_step=run.logged.last_step,
                rule=plan.rule if ruled else None,
                note=plan.note if ruled else "",
                log=plan.log,
                limits=plan.limits,
            )
        )
    bands = _bands(run)
    return [*drawn[:2], bands, *drawn[2:]] if bands else drawn


def of_runs(runs: list[facts.Run], names: list[str]) -> list[charts.Chart]:
    """Draw the runs over each other, one colour a run."""
    last_step = max(run.logged.last_step for run in runs)
    drawn = []
    for number, (tag, title) in enumerate(COMPARED):
        lines = [
            charts.Line(name, curve.steps, curve.values, colour)
            for colour, (run, name) in enumerate(zip(runs, names, strict=True))
            if (curve := run.curve(tag)) is not None
        ]
        if lines:
            log = tag.startswith("gradients")
            name = f"chart-{number}"
            drawn.append(charts.draw_lines(name, title, lines, last_step=last_step, log=log))
    return drawn


def logits(run: facts.Run) -> list[tuple[int, list[Histogram]]]:
    """Pair the histograms of D's logits: (step, [real, generated])."""
    real, generated = (dict(run.logged.histograms.get(tag, [])) for tag in LOGITS)
    return [
        (step, [real[step], generated[step]]) for step in sorted(real.keys() & generated.keys())
    ]


def draw_logits(moments: list[list[Histogram]]) -> tuple[charts.Chart, list[list[str]]]:
    """Draw D's logits moment by moment."""
    return charts.draw_histograms("logits", "D's logits", ("real", "generated"), moments)


def said_at(run: facts.Run, step: int) -> str:
    """Say what was logged last up to a step."""
    said = []
    for tag in ("d_loss", "g_loss", "D(x)", "D(G(z))"):
        curve = run.curve(tag)
        if curve is not None and step >= curve.steps[0]:
            value = curve.values[np.searchsorted(curve.steps, step, side="right") - 1]
            said.append(f"{tag} {value:.2f}")
    return " · ".join(said)


def _bands(run: facts.Run) -> charts.Chart | None:
    """Draw how D's logits spread over time."""
    pairs = logits(run)
    if len(pairs) < 2:
        return None
    steps = np.array([step for step, _ in pairs])
    lines = []
    for colour, label in enumerate(("real", "generated")):
        rows = [charts.quantiles(each[colour], charts.MIDDLE) for _, each in pairs]
        low, middle, high = np.array(rows).T
        lines.append(charts.Line(label, steps, middle, colour, (low, high)))
    return charts.draw_lines(
        "chart-logits",
        "D's logits over time",
        lines,
        last_step=run.logged.last_step,
        rule=0.0,
        note="Lines: medians. Areas: the middle 80%. Where they overlap, D cannot tell.",
    )
