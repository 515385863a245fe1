import math

import numpy as np
import pytest

from keras_gan.metrics import neighbours


def test_literal_values():
    images = np.array([[0.0, 0.0], [3.0, 0.0], [9.0, 9.5]])
    among = np.array([[0.0, 1.0], [3.0, 4.0], [10.0, 10.0]])
    squares, indices = neighbours.nearest(images, among)
    np.testing.assert_allclose(squares, [1.0, 10.0, 1.25])
    np.testing.assert_array_equal(indices, [0, 0, 2])
    assert (squares.dtype, indices.dtype) == (np.float64, np.int64)


def brute_force(images, among, skip_self=False):
    """Pair by pair, in float64."""
    squares, indices = [], []
    for i, image in enumerate(images):
        pairs = [
            np.inf if skip_self and i == j else np.square(image.astype(float) - other).sum()
            for j, other in enumerate(among)
        ]
        indices.append(int(np.argmin(pairs)))
        squares.append(pairs[indices[-1]])
    return np.array(squares), np.array(indices)


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return rng.random((40, 5, 4, 3), np.float32), rng.random((60, 5, 4, 3), np.float32)


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_equals_brute_force_in_any_batch_and_order(pictures, batch, monkeypatch):
    monkeypatch.setattr(neighbours, "BATCH", batch)
    images, among = pictures
    squares, indices = neighbours.nearest(images, among)
    expected = brute_force(images, among)
    np.testing.assert_array_equal(indices, expected[1])
    np.testing.assert_allclose(squares, expected[0], rtol=1e-9)
    turned, places = neighbours.nearest(images[::-1], among[::-1])
    np.testing.assert_allclose(turned[::-1], squares, rtol=1e-12)
    np.testing.assert_array_equal(len(among) - 1 - places[::-1], indices)


@pytest.mark.parametrize("batch", [7, 1000])
def test_exclude_self(pictures, batch, monkeypatch):
    monkeypatch.setattr(neighbours, "BATCH", batch)
    images = pictures[0].copy()
    images[3] = images[30]  # a twin is a neighbour all the same
    squares, indices = neighbours.nearest(images, images, exclude_self=True)
    expected = brute_force(images, images, skip_self=True)
    np.testing.assert_array_equal(indices, expected[1])
    np.testing.assert_allclose(squares, expected[0], rtol=1e-9)
    assert (indices[3], indices[30]) == (30, 3)
    assert squares[3] == squares[30] == 0
    own, places = neighbours.nearest(images, images)
    assert not own.any()
    assert (places != indices).sum() >= 39


def test_equal_images_are_exactly_0_apart_though_float32_cancels():
    images = np.random.default_rng(0).random((50, 32, 32, 3), np.float32)
    rows = images.reshape(50, -1)
    norms = np.einsum("nd,nd->n", rows, rows)
    expanded = norms[:, None] - 2 * rows @ rows.T + norms[None]
    assert np.diag(expanded).any()  # the easy way is not exact
    squares, indices = neighbours.nearest(images[::-1], images)
    assert not squares.any()
    np.testing.assert_array_equal(indices, np.arange(50)[::-1])


def test_images_of_whole_numbers_do_not_overflow():
    squares, _ = neighbours.nearest(
        np.full((1, 9, 9), 255, np.uint8), np.zeros((1, 9, 9), np.uint8)
    )
    assert squares[0] == 81 * 255**2


@pytest.mark.parametrize(
    ("images", "among", "exclude"),
    [((2, 3), (2, 4), False), ((2, 3), (0, 3), False), ((1, 3), (1, 3), True)],
)
def test_bad_input(images, among, exclude):
    with pytest.raises(ValueError, match="Expected images of one shape, and some to search"):
        neighbours.nearest(np.zeros(images), np.zeros(among), exclude_self=exclude)


@pytest.fixture(scope="module")
def splits():
    """Images on a low-dimensional surface: training, held out, and fresh ones."""
    rng = np.random.default_rng(0)
    basis = rng.normal(0, 0.1, (4, 64))

    def draw(n):
        images = 0.5 + rng.normal(size=(n, 4)) @ basis + rng.normal(0, 0.01, (n, 64))
        return images.reshape(n, 8, 8, 1).astype(np.float32)

    return draw(800), draw(400), draw(400)


def copies(train, n=400, seed=1):
    rng = np.random.default_rng(seed)
    return train[rng.integers(len(train), size=n)] + rng.normal(0, 1e-4, (n, *train.shape[1:]))


def test_a_copying_generator_is_caught(splits):
    train, held_out, _ = splits
    found = neighbours.copying(copies(train), train, held_out)
    assert found.score < 0.02
    assert (found.nearer, found.at_most_copied) == (1.0, pytest.approx(1.0))
    assert found.samples == pytest.approx(1e-4 * 8, rel=0.1)


def test_samples_like_unseen_images_are_not(splits):
    train, held_out, fresh = splits
    found = neighbours.copying(fresh, train, held_out)
    assert found.score == pytest.approx(1, abs=0.15)
    assert found.by_chance == pytest.approx(2 / 3)
    assert found.stderr == pytest.approx(math.sqrt(2 / 9 / 400), rel=1e-6)
    assert abs(found.nearer - found.by_chance) < 3 * found.stderr
    distances = np.sqrt(brute_force(held_out[:50], train)[0])
    few = neighbours.copying(fresh, train, held_out[:50])
    assert few.held_out == pytest.approx(np.median(distances), rel=1e-6)


def test_a_generator_that_copies_half_of_the_time(splits):
    train, held_out, fresh = splits
    half = np.concatenate([copies(train, 200), fresh[:200]])
    found = neighbours.copying(half, train, held_out)
    assert abs(found.at_most_copied - 0.5) < 3 * found.stderr / (1 - found.by_chance)


def test_a_generator_of_simple_images_is_not_accused(splits):
    """They lie nearer to everything, held-out images too: the score falls, `nearer` does not."""
    train, held_out, fresh = splits
    middle = fresh.mean(axis=(0, 1, 2, 3))
    simple = (middle + 0.3 * (fresh - middle)).astype(np.float32)
    found = neighbours.copying(simple, train, held_out)
    assert found.score < 0.8
    assert abs(found.nearer - found.by_chance) < 3 * found.stderr
