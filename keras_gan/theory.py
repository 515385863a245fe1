"""Check the paper's theory on known densities, by training against integration on a grid.

    python -m keras_gan.theory
    python -m keras_gan.theory --check=helvetica --data=square --g_steps=20

Checks: "discriminator" (Proposition 1 and Theorem 1: a trained D beside D*, and V beside the
Jensen-Shannon divergence), "descent" (Proposition 2), "helvetica" (section 6: G trained too much
against a stale D collapses, and the collapse alarm sees it from samples alone).
"""

import itertools
import math
import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from absl import flags

from keras_gan import cli, densities

if TYPE_CHECKING:
    from keras_gan.gan import GAN
    from keras_gan.metrics import diversity

FLAGS = flags.FlagValues()
flags.DEFINE_multi_enum(
    "check",
    [],
    ["discriminator", "descent", "helvetica"],
    "Which check; repeat it for more (default: all).",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "seed",
    0,
    "Of weights, noise and data.",
    lower_bound=0,
    upper_bound=2**32 - 1,
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "data", "ring", ["ring", "square"], "For helvetica: 8 or 25 modes.", flag_values=FLAGS
)
flags.DEFINE_integer(
    "g_steps",
    0,
    "For helvetica: generator steps per discriminator step, beside 1 (default: 20).",
    lower_bound=0,
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "steps",
    0,
    "For helvetica: generator steps in all (default: enough for the data).",
    lower_bound=0,
    flag_values=FLAGS,
)

TWO_MODES = densities.Mixture(np.array([[-1.5], [1.5]]), 0.5)
THREE_MODES = densities.Mixture(np.array([[-1.5, 0.0], [1.5, 0.0], [0.0, 2.0]]), 0.6)


class Discriminator(NamedTuple):
    """What a discriminator says after it was trained against a generator that stands still.

    Args:
        deviation: largest |D - D*| over the cells that hold a hundredth of the fullest one's mass.
        value: V(D, G), integrated, in nats.
        best: V(D*, G), integrated.
        divergence: Jensen-Shannon divergence between p_data and p_g, integrated, in nats.
    """

    deviation: float
    value: float
    best: float
    divergence: float


def train_discriminator(
    data: densities.Mixture,
    generated: densities.Mixture,
    *,
    steps: int = 3000,
    seed: int = 0,
) -> Discriminator:
    """Train D alone, and compare it with D* on a grid (Proposition 1).

    Args:
        data: p_data.
        generated: p_g: one Gaussian.
        steps: of training, at a rate that falls.
        seed: of weights, noise and data.
    """
    from keras_gan import toy

    mean, deviation = float(generated.means[0, 0]), generated.deviation
    dimension = data.dimension
    game = toy.Game(
        data,
        toy.affine_generator(mean, deviation, dimension),
        toy.network(dimension, 1, units=64, depth=2, seed=seed, activation="gelu"),
        d_rate=1e-2,
        batch_size=2000,
        seed=seed,
    )
    for _ in range(4):
        game.play(steps // 4, "discriminator")
        game.slow_down(0.2)
    grid = densities.Grid(dimension, 6.0, 400 if dimension == 1 else 120)
    real, fake = grid.masses(data), grid.masses(generated)
    logits = game.gan.discriminate(grid.points.astype(np.float32)).astype(np.float64)
    learned = 1.0 / (1.0 + np.exp(-logits))
    best = densities.optimal_discriminator(real, fake)
    seen = real + fake > 0.01 * (real + fake).max()
    return Discriminator(
        float(np.abs(learned - best)[seen].max()),
        densities.value(real, fake, learned),
        densities.value(real, fake, best),
        densities.jensen_shannon(real, fake),
    )


class Outcome(NamedTuple):
    """What became of a generator of points.

    Args:
        modes: modes of the data that some samples lie at.
        quality: share of the samples within three deviations of a mode.
        diversity: the samples beside as many real points; it says whether the alarm rings.
        gan: the model.
    """

    modes: int
    quality: float
    diversity: "diversity.Diversity"
    gan: "GAN"


def play_modes(
    data: densities.Mixture, *, g_steps: int = 1, steps: int = 5000, seed: int = 0
) -> Outcome:
    """Train a GAN on a two-dimensional mixture and look at 2,500 of its samples.

    Args:
        data: the mixture.
        g_steps: generator steps per discriminator step.
        steps: discriminator steps.
        seed: of weights, noise and data.
    """
    from keras_gan import toy
    from keras_gan.metrics import diversity

    game = toy.Game(
        data,
        toy.network(8, 2, units=128, depth=2, seed=seed),
        toy.network(2, 1, units=128, depth=2, seed=seed + 1),
        g_steps=g_steps,
        seed=seed,
    )
    game.play(steps)
    samples = game.gan.sample(2500, seed=seed)
    real = data.sample(2500, np.random.default_rng(seed))
    reference = diversity.Reference(real, clusters=len(data.means), seed=seed)
    return Outcome(*data.modes_found(samples), reference.compare(samples), game.gan)


def main(values: flags.FlagValues) -> None:
    """Run the command with its parsed flags."""
    checks = values.check or ["discriminator", "descent", "helvetica"]
    cli.import_tensorflow()
    if "discriminator" in checks:
        print_discriminator(values.seed)
    if "descent" in checks:
        print_descent()
    if "helvetica" in checks:
        print_helvetica(values)


def print_discriminator(seed: int) -> None:
    """Print Proposition 1 and Theorem 1 on three games."""
    print("Proposition 1 and Theorem 1: D trained against a generator that stands still")  # noqa: T201
    print(f"{'':<34}{'max |D - D*|':>13}{'V + log 4':>12}{'2 JSD':>9}{'V(D*) + log 4':>16}")  # noqa: T201
    games = {
        "1-D, two modes against N(0, 1)": (TWO_MODES, densities.gaussian()),
        "2-D, three modes against N(0, 1)": (
            THREE_MODES,
            densities.Mixture(np.zeros((1, 2)), 1.0),
        ),
        "1-D, p_g = p_data": (densities.gaussian(), densities.gaussian()),
    }
    for name, (data, generated) in games.items():
        found = train_discriminator(data, generated, seed=seed)
        values = (
            found.deviation,
            found.value + densities.LOG_4,
            2 * found.divergence,
            found.best + densities.LOG_4,
        )
        print(f"{name:<34}{values[0]:13.4f}{values[1]:12.4f}{values[2]:9.4f}{values[3]:16.4f}")  # noqa: T201
    print(  # noqa: T201
        "max: over cells with at least a hundredth of the fullest one's mass; where p_g = p_data,\n"
        "D* = 1/2 and V = -log 4\n"
    )


def print_descent() -> None:
    """Print Proposition 2 on a grid."""
    grid = densities.Grid(2, 4.0, 80)
    data = grid.masses(THREE_MODES)
    start = grid.masses(densities.Mixture(np.array([[2.5, -2.5]]), 1.0))
    path = densities.descend(data, start, 30, 0.5)
    divergences = [densities.jensen_shannon(data, step) for step in path]
    falls = all(b < a for a, b in itertools.pairwise(divergences))
    shown = ", ".join(f"{divergences[step]:.4f}" for step in (0, 1, 2, 5, 10, 20, 30))
    print("Proposition 2: p_g improved on a grid while D stays at its optimum")  # noqa: T201
    print(f"JSD in nats after 0, 1, 2, 5, 10, 20, 30 steps: {shown}; falls every time: {falls}\n")  # noqa: T201


def print_helvetica(values: flags.FlagValues) -> None:
    """Print what becomes of G when it runs ahead of D."""
    data = densities.ring() if values.data == "ring" else densities.square()
    steps = values.steps or (4000 if values.data == "ring" else 12000)
    print(f"Section 6, the Helvetica scenario: {len(data.means)} Gaussians, seed {values.seed}")  # noqa: T201
    head = f"{'modes':>8}{'quality':>9}{'clusters':>10}{'spread':>8}  alarm"
    print(f"{'G steps per D step':<20}{'D steps':>9}{head}")  # noqa: T201
    many = values.g_steps or 20
    fewer = max(1, math.ceil(steps / many))
    # The second has as few D steps as the third: what differs then is that D is stale.
    for g_steps, count in ((1, steps), (1, fewer), (many, fewer)):
        found = play_modes(data, g_steps=g_steps, steps=count, seed=values.seed)
        alarm = "rings" if found.diversity.collapsed else "silent"
        print(  # noqa: T201
            f"{g_steps:<20}{count:>9}{found.modes:>8}{found.quality:9.2f}"
            f"{found.diversity.clusters:10.2f}{found.diversity.spread:8.2f}  {alarm}"
        )
    print(  # noqa: T201
        "The second row has as few D steps as the third: what differs there is that D is stale.\n"
        "modes: with a sample within three deviations; quality: share of such samples;\n"
        "clusters and spread: beside as many real points; the alarm rings below 0.25 of either"
    )


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "")


if __name__ == "__main__":
    sys.exit(run())
