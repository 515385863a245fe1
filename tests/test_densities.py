import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keras_gan import densities
from keras_gan.densities import Grid, Mixture

# Nothing or a millionth at least: a D that rounds to 1 would lose a smaller p_g's share.
WEIGHTS = arrays.arrays(np.float64, 12, elements=st.just(0.0) | st.floats(1e-6, 1))
POSITIVE = arrays.arrays(np.float64, 12, elements=st.floats(0.01, 1))


def masses(weights):
    return weights / weights.sum() if weights.any() else np.full(len(weights), 1 / len(weights))


def test_density_literal_values():
    points = np.array([[0.0], [1.0], [-2.0]])
    expected = [0.3989422804, 0.2419707245, 0.0539909665]
    np.testing.assert_allclose(densities.gaussian().density(points), expected, atol=1e-9)
    # N(1, 0.5^2) at 1: 1 / (0.5 sqrt(2 pi)).
    narrow = densities.gaussian(1.0, 0.5).density(np.array([[1.0]]))
    assert narrow[0] == pytest.approx(0.7978845608)
    # Two modes in the plane, each 1 / (2 pi 0.25) at its peak; the other one is 20 deviations off.
    pair = Mixture(np.array([[0.0, 0.0], [10.0, 0.0]]), 0.5)
    np.testing.assert_allclose(pair.density(pair.means), [0.3183098862] * 2, atol=1e-9)


def test_ring_and_square_are_where_they_should_be():
    ring = densities.ring()
    np.testing.assert_allclose(np.hypot(*ring.means.T), np.full(8, 2.0))
    np.testing.assert_allclose(ring.means[[0, 2]], [[2, 0], [0, 2]], atol=1e-12)
    square = densities.square()
    assert square.means.shape == (25, 2)
    assert sorted(set(square.means.ravel())) == [-4, -2, 0, 2, 4]
    assert len({tuple(mean) for mean in square.means}) == 25
    assert (ring.deviation, square.deviation, ring.dimension) == (0.02, 0.05, 2)


def test_samples_follow_the_density():
    mixture = Mixture(np.array([[-2.0], [1.0]]), 0.5)
    samples = mixture.sample(100_000, np.random.default_rng(0))
    assert (samples.dtype, samples.shape) == (np.float32, (100_000, 1))
    counts, edges = np.histogram(samples, bins=40, range=(-4, 4))
    middles = (edges[:-1] + edges[1:])[:, None] / 2
    np.testing.assert_allclose(counts / 1e5 / 0.2, mixture.density(middles), atol=0.015)


def test_grid_points_and_masses():
    np.testing.assert_allclose(Grid(1, 2.0, 4).points, [[-1.5], [-0.5], [0.5], [1.5]])
    np.testing.assert_allclose(
        Grid(2, 1.0, 2).points, [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]
    )
    for grid in (Grid(1, 6.0, 400), Grid(2, 6.0, 120)):
        mixture = Mixture(np.zeros((1, grid.dimension)), 0.7)
        cell = (2 * grid.half_side / grid.cells) ** grid.dimension
        assert grid.points.shape == (grid.cells**grid.dimension, grid.dimension)
        assert mixture.density(grid.points).sum() * cell == pytest.approx(1, abs=1e-9)
        assert grid.masses(mixture).sum() == pytest.approx(1)
        np.testing.assert_allclose(
            grid.masses(mixture), mixture.density(grid.points) * cell, atol=1e-12
        )


def test_optimal_discriminator_literal_values():
    data, generated = np.array([0.6, 0.2, 0.2, 0.0, 0.0]), np.array([0.2, 0.2, 0.0, 0.6, 0.0])
    best = densities.optimal_discriminator(data, generated)
    np.testing.assert_allclose(best, [0.75, 0.5, 1.0, 0.0, 0.5])


def test_value_literal():
    data, generated = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    # 1.25 log 0.4 + 0.75 log 0.6
    found = densities.value(data, generated, np.array([0.4, 0.6]))
    assert found == pytest.approx(-1.5284823, abs=1e-6)
    assert densities.value(data, generated, np.full(2, 0.5)) == pytest.approx(-math.log(4))


def test_value_where_one_side_has_no_mass():
    data, generated = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert densities.value(data, generated, np.array([1.0, 0.0])) == 0.0
    assert densities.value(data, generated, np.array([0.0, 0.0])) == -math.inf


def test_jensen_shannon_closed_cases():
    one, two = np.array([0.3, 0.7, 0.0, 0.0]), np.array([0.0, 0.0, 0.9, 0.1])
    assert densities.jensen_shannon(one, one) == 0.0
    assert densities.jensen_shannon(one, two) == pytest.approx(math.log(2))
    # [1, 0] against [1/2, 1/2]: 1/2 log(4/3) + 1/4 log(2/3) + 1/4 log 2
    half = densities.jensen_shannon(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    assert half == pytest.approx(0.2157615543)


@settings(max_examples=60, deadline=None)
@given(WEIGHTS, WEIGHTS)
def test_theorem_1_and_the_bounds_of_the_divergence(first, second):
    data, generated = masses(first), masses(second)
    best = densities.optimal_discriminator(data, generated)
    divergence = densities.jensen_shannon(data, generated)
    value = densities.value(data, generated, best)
    assert value + math.log(4) == pytest.approx(2 * divergence, abs=1e-9)
    assert -1e-12 <= divergence <= math.log(2) + 1e-12
    assert densities.jensen_shannon(generated, data) == pytest.approx(divergence, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(POSITIVE, POSITIVE, arrays.arrays(np.float64, 12, elements=st.floats(0.001, 0.999)))
def test_any_other_discriminator_gives_less(first, second, other):
    data, generated = masses(first), masses(second)
    best = densities.optimal_discriminator(data, generated)
    gap = densities.value(data, generated, best) - densities.value(data, generated, other)
    # V is concave in D: V(D*) - V(D) is at least 2 total (D - D*)^2 (Pinsker, cell by cell).
    assert gap >= 2 * ((data + generated) * (other - best) ** 2).sum() - 1e-12


def test_one_step_of_descent_by_hand():
    """Rate 1 divides p_g by its share p_g / (p_data + p_g): it lands in the middle."""
    data, generated = np.array([0.5, 0.5]), np.array([0.8, 0.2])
    start, moved = densities.descend(data, generated, 1, 1.0)
    np.testing.assert_array_equal(start, generated)
    np.testing.assert_allclose(moved, [0.65, 0.35])


@settings(max_examples=40, deadline=None)
@given(POSITIVE, POSITIVE, st.floats(0.05, 1.0))
def test_descent_lowers_the_divergence_and_the_wrong_sign_raises_it(first, second, rate):
    data, generated = masses(first), masses(second)

    def divergences(rate):
        path = densities.descend(data, generated, 8, rate)
        assert all(step.sum() == pytest.approx(1) for step in path)
        return np.array([densities.jensen_shannon(data, step) for step in path])

    falling, rising = divergences(rate), divergences(-rate)
    assert (np.diff(falling) <= 1e-12).all()
    assert (np.diff(rising) >= -1e-12).all()
    if falling[0] > 1e-6:
        assert (np.diff(falling) < 0).all()
        assert falling[-1] < falling[0] * 0.99 < rising[-1]


def test_descent_reaches_the_data():
    rng = np.random.default_rng(0)
    data, generated = masses(rng.random(20)), masses(rng.random(20))
    last = densities.descend(data, generated, 100, 0.5)[-1]
    np.testing.assert_allclose(last, data, atol=1e-6)


def test_descent_never_brings_mass_back_to_an_empty_cell():
    data, generated = np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.5, 0.5])
    last = densities.descend(data, generated, 60, 1.0)[-1]
    np.testing.assert_allclose(last, [0, 1, 0], atol=1e-6)


def test_modes_found_on_hand_made_points():
    mixture = Mixture(np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]), 1.0)
    points = np.array([[0, 0], [3, 0], [3.01, 0], [10, 1], [5, 5], [10, -2.9], [0, 13.5], [1, 1]])
    modes, share = mixture.modes_found(points)
    assert (modes, share) == (2, 5 / 8)
    assert mixture.modes_found(np.full((4, 2), 50.0)) == (0, 0.0)
    assert mixture.modes_found(mixture.means) == (3, 1.0)
    assert mixture.modes_found(np.zeros((7, 2))) == (1, 1.0)
