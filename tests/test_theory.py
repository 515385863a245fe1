import itertools
import math
import re

import numpy as np
import pytest

from keras_gan import cli, densities, theory, toy
from keras_gan.metrics.diversity import Diversity
from tests.commands import run_module
from tests.conftest import ROOT

LOG_4 = math.log(4)
WIDE = densities.Mixture(np.array([[-1.0], [1.0]]), 0.7)


def run(*arguments):
    return cli.run(theory.main, theory.FLAGS, theory.__doc__, ["theory", *arguments])


# The game on points ------------------------------------------------------------------------------


def test_affine_generator_is_the_gaussian_that_it_says():
    generator = toy.affine_generator(2.0, 0.5, 2)
    z = np.array([[1.0, -2.0], [0.0, 4.0]], np.float32)
    np.testing.assert_allclose(generator(z), [[2.5, 1.0], [2.0, 4.0]])


def test_network_depends_on_its_seed_alone():
    def weights(seed):
        network = toy.network(2, 3, units=5, depth=2, seed=seed)
        assert [w.shape for w in network.weights[::2]] == [(2, 5), (5, 5), (5, 3)]
        return [w.numpy() for w in network.weights]

    first, again, other = weights(0), weights(0), weights(1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0][0], first[2][0])


@pytest.fixture(scope="module")
def game():
    return toy.Game(
        densities.gaussian(),
        toy.network(1, 1, units=4, depth=1, seed=0),
        toy.network(1, 1, units=4, depth=1, seed=1),
        d_steps=2,
        g_steps=2,
        batch_size=5,
    )


@pytest.mark.parametrize(
    ("move", "d_updates", "g_updates"),
    [("both", 6, 6), ("discriminator", 3, 0), ("generator", 0, 3)],
)
def test_moves(game, move, d_updates, g_updates):
    def counts():
        gan = game.gan
        numbers = (gan.d_optimizer.iterations, gan.g_optimizer.iterations, gan.step)
        return np.array([int(number.numpy()) for number in numbers])

    def weights():
        return [
            np.concatenate([w.numpy().ravel() for w in network.weights])
            for network in (game.gan.discriminator, game.gan.generator)
        ]

    before, old = counts(), weights()
    game.play(3, move)
    np.testing.assert_array_equal(counts() - before, [d_updates, g_updates, 3])
    moved = [not np.array_equal(a, b) for a, b in zip(old, weights(), strict=True)]
    assert moved == [d_updates > 0, g_updates > 0]


def test_play_splits_rounds_into_chunks_of_fresh_points(game, monkeypatch):
    monkeypatch.setattr(toy, "CHUNK", 4)
    seen = []
    monkeypatch.setitem(game._moves, "both", seen.append)
    game.play(10)
    assert [points.shape for points in seen] == [(4, 10, 1), (4, 10, 1), (2, 10, 1)]
    values = np.concatenate([points.ravel() for points in seen])
    assert len(np.unique(values)) == 100


def test_slow_down(game):
    rates = (game.gan.d_optimizer.learning_rate, game.gan.g_optimizer.learning_rate)
    before = [float(rate.numpy()) for rate in rates]
    game.slow_down(0.25)
    after = (game.gan.d_optimizer.learning_rate, game.gan.g_optimizer.learning_rate)
    assert [float(rate.numpy()) for rate in after] == pytest.approx([r / 4 for r in before])


# Proposition 1 and Theorem 1 ---------------------------------------------------------------------


def test_a_trained_discriminator_approaches_d_star_and_an_untrained_one_does_not():
    short = theory.train_discriminator(WIDE, densities.gaussian(), steps=4)
    long = theory.train_discriminator(WIDE, densities.gaussian(), steps=200)
    assert long.divergence == short.divergence == pytest.approx(0.0240, abs=1e-4)
    for found in (short, long):
        assert found.best + LOG_4 == pytest.approx(2 * found.divergence, abs=1e-9)
        assert found.value < found.best  # D* is the best there is
    assert long.deviation < 0.13 < short.deviation
    assert abs(long.value + LOG_4 - 2 * long.divergence) < 0.003
    assert abs(short.value + LOG_4 - 2 * short.divergence) > 0.015


def test_where_the_two_are_equal_d_is_one_half():
    found = theory.train_discriminator(densities.gaussian(), densities.gaussian(), steps=100)
    assert found.divergence == 0
    assert found.best == pytest.approx(-LOG_4)
    assert found.deviation < 0.05
    assert found.value == pytest.approx(-LOG_4, abs=2e-3)


# Section 6 ---------------------------------------------------------------------------------------


def test_g_that_keeps_step_with_d_finds_the_modes_and_the_alarm_is_silent():
    found = theory.play_modes(densities.ring(), g_steps=1, steps=1500)
    assert found.modes == 8
    assert not found.diversity.collapsed
    assert found.diversity.clusters > 0.8
    assert found.diversity.spread > 0.5


def test_g_that_runs_ahead_collapses_and_the_alarm_rings():
    found = theory.play_modes(densities.ring(), g_steps=20, steps=50)
    assert found.modes <= 2
    assert found.diversity.collapsed
    assert found.diversity.clusters < 0.25
    assert int(found.gan.g_optimizer.iterations.numpy()) == 1000
    assert int(found.gan.d_optimizer.iterations.numpy()) == 50


# The command -------------------------------------------------------------------------------------


def test_descent_prints_a_divergence_that_falls():
    done = run_module("keras_gan.theory", "--check=descent", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[1]
    numbers = [float(number) for number in re.findall(r"0\.\d{4}", line)]
    assert len(numbers) == 7
    assert all(b < a for a, b in itertools.pairwise(numbers))
    assert numbers[0] > 0.5 > 0.1 > numbers[-1]
    assert line.endswith("falls every time: True")
    assert "Helvetica" not in done.stdout


def test_the_flags_reach_the_checks(monkeypatch, capsys):
    calls = []

    def play_modes(data, **arguments):
        calls.append((len(data.means), arguments))
        spread = 0.1 if arguments["g_steps"] > 1 else 0.9
        return theory.Outcome(3, 0.5, Diversity(1.0, spread), None)

    monkeypatch.setattr(theory, "play_modes", play_modes)
    assert run("--check=helvetica", "--data=square", "--steps=90", "--seed=4") == 0
    assert calls == [
        (25, {"g_steps": 1, "steps": 90, "seed": 4}),
        (25, {"g_steps": 1, "steps": 5, "seed": 4}),
        (25, {"g_steps": 20, "steps": 5, "seed": 4}),
    ]
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-5].endswith("silent")
    assert lines[-4].endswith("rings")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [(8, 1, 4000), (8, 1, 200), (8, 20, 200)]),
        (["--g_steps=7"], [(8, 1, 4000), (8, 1, 572), (8, 7, 572)]),
        (["--data=square"], [(25, 1, 12000), (25, 1, 600), (25, 20, 600)]),
    ],
)
def test_as_many_steps_as_the_data_need(monkeypatch, arguments, expected):
    calls = []

    def play_modes(data, *, g_steps, steps, seed):
        calls.append((len(data.means), g_steps, steps))
        return theory.Outcome(3, 0.5, Diversity(1.0, 1.0), None)

    monkeypatch.setattr(theory, "play_modes", play_modes)
    assert run("--check=helvetica", *arguments) == 0
    assert calls == expected


def test_the_discriminator_table(monkeypatch, capsys):
    calls = []

    def train_discriminator(data, generated, *, seed):
        calls.append((data.dimension, generated.dimension, seed))
        return theory.Discriminator(0.0125, -1.2, -1.1, 0.14)

    monkeypatch.setattr(theory, "train_discriminator", train_discriminator)
    assert run("--check=discriminator", "--seed=3") == 0
    assert calls == [(1, 1, 3), (2, 2, 3), (1, 1, 3)]
    row = capsys.readouterr().out.splitlines()[2]
    # V + log 4 = 0.1863, 2 JSD = 0.28, V(D*) + log 4 = 0.2863
    assert row.split()[-4:] == ["0.0125", "0.1863", "0.2800", "0.2863"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--check=all", "value should be one of"),
        ("--chekc=descent", "Did you mean: check"),
        ("--seed=-1", "flag --seed=-1"),
        ("--data=moons", "value should be one of"),
        ("--g_steps=-1", "flag --g_steps=-1"),
        ("descent", "received 'descent'"),
    ],
)
def test_bad_flags(argument, message, capsys):
    assert run(argument) == 2
    assert message in capsys.readouterr().err
