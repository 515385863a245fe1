import math

import numpy as np
import pytest

from keras_gan.metrics import parzen
from tests.reference import parzen as reference


def test_literal_values():
    """One sample at 0, an image at distance 1 in one dimension: the normal density itself."""
    samples, images = np.zeros((1, 1)), np.array([[1.0], [0.0]])
    result = parzen.log_densities(samples, images, [1.0, 0.5])
    # -1/2 - log sqrt(2 pi); -log sqrt(2 pi); -2 - log(0.5 sqrt(2 pi)); -log(0.5 sqrt(2 pi))
    expected = [[-1.418939, -0.918939], [-2.225791, -0.225791]]
    np.testing.assert_allclose(result, expected, atol=1e-6)


def _random_images(seed=0, samples=40, images=13, shape=(5, 4, 1)):
    rng = np.random.default_rng(seed)
    return rng.random((samples, *shape)), rng.random((images, *shape))


@pytest.mark.parametrize("sigma", [0.1, 0.1668, 1.0])
def test_equals_the_numpy_twin_and_rejects_the_wrong_one(sigma):
    samples, images = _random_images()
    result = parzen.log_densities(samples, images, [sigma])[0]
    right = [reference.log_density(samples, image, sigma) for image in images]
    wrong = [reference.wrong_log_density(samples, image, sigma) for image in images]
    np.testing.assert_allclose(result, right, rtol=1e-4, atol=1e-3)
    assert np.abs(result - wrong).min() > 1


def test_does_not_depend_on_batch_size_or_order():
    samples, images = _random_images(images=29)
    whole = parzen.log_densities(samples, images, [0.2], batch_size=29)
    pieces = parzen.log_densities(samples[::-1], images[::-1], [0.2], batch_size=4)
    np.testing.assert_allclose(whole, pieces[:, ::-1], atol=1e-3)


def test_far_images_do_not_underflow():
    value = parzen.log_densities(np.zeros((3, 784)), np.ones((1, 784)), [0.1])[0, 0]
    expected = -784 / 0.02 - 784 * math.log(0.1 * math.sqrt(2 * math.pi))
    assert value == pytest.approx(expected, rel=1e-6)


def test_gaussian_in_closed_form():
    """Samples of N(0, s^2) smoothed by sigma are N(0, s^2 + sigma^2): its expected log is known."""
    rng = np.random.default_rng(0)
    spread, sigma = 0.3, 0.2
    samples = rng.normal(0, spread, (20000, 2))
    test = rng.normal(0, spread, (4000, 2))
    estimate = parzen.log_likelihood(samples, test, sigma)
    variance = spread**2 + sigma**2
    expected = -math.log(2 * math.pi * variance) - spread**2 / variance
    assert abs(estimate.mean - expected) < 4 * estimate.stderr


def test_standard_error_is_the_population_deviation_over_root_n():
    samples, images = _random_images()
    values = parzen.log_densities(samples, images, [0.3])[0]
    estimate = parzen.log_likelihood(samples, images, 0.3)
    assert estimate.stderr == pytest.approx(np.std(values, ddof=0) / math.sqrt(len(images)))


def test_fit_sigma_finds_the_width_that_made_the_data():
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 0.01, (200, 8))
    validation = rng.normal(0, 0.2, (500, 8))
    sigma = parzen.fit_sigma(samples, validation)
    nearest = min(parzen.PUBLISHED_SIGMAS, key=lambda s: abs(s - 0.2))
    assert sigma == nearest


def test_published_protocol():
    np.testing.assert_allclose(
        parzen.PUBLISHED_SIGMAS[:4], [0.1, 0.12915497, 0.16681005, 0.21544347], rtol=1e-6
    )
    assert len(parzen.PUBLISHED_SIGMAS) == 10
    assert (parzen.PUBLISHED_VALIDATION, parzen.PUBLISHED_SAMPLES) == (1000, 10000)


@pytest.mark.parametrize(
    ("samples", "images", "sigma"),
    [(np.zeros((2, 3)), np.zeros((2, 4)), 1.0), (np.zeros((0, 3)), np.zeros((2, 3)), 1.0),
     (np.zeros((2, 3)), np.zeros((2, 3)), 0.0)],
)  # fmt: skip
def test_bad_input(samples, images, sigma):
    with pytest.raises(ValueError, match="Expected"):
        parzen.log_densities(samples, images, [sigma])


def test_refine_sigma_finds_a_width_between_the_published_ones():
    """The published widths are 29 % apart; the truth here lies between two of them."""
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 0.001, (200, 8))
    validation = rng.normal(0, 0.19, (3000, 8))
    coarse = parzen.fit_sigma(samples, validation)
    fine = parzen.refine_sigma(samples, validation, coarse)
    assert fine == pytest.approx(0.19, rel=0.03)
    assert abs(coarse - 0.19) > 0.02
    scores = parzen.log_densities(samples, validation, [coarse, fine]).mean(axis=1)
    assert scores[1] > scores[0]
