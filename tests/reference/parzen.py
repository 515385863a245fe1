"""Numpy twins of the Parzen window: one right, pair by pair, and one wrong on purpose."""

import math

import numpy as np


def log_density(samples, image, sigma):
    """log mean_i N(image; s_i, sigma^2 I), one pair at a time, in float64."""
    point = np.asarray(image, np.float64).ravel()
    terms = []
    for sample in samples:
        difference = point - np.asarray(sample, np.float64).ravel()
        log_norm = len(point) * (math.log(sigma) + 0.5 * math.log(2 * math.pi))
        terms.append(-(difference @ difference) / (2 * sigma**2) - log_norm)
    return np.logaddexp.reduce(terms) - math.log(len(terms))


def wrong_log_density(samples, image, sigma):
    """Forgets the factor d in the normalising constant: a mistake that tests must reject."""
    point = np.asarray(image, np.float64).ravel()
    right = log_density(samples, image, sigma)
    return right + (len(point) - 1) * math.log(sigma * math.sqrt(2 * math.pi))
