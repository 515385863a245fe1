"""What features are worth: multinomial logistic regression on them."""

from typing import NamedTuple

import numpy as np
from scipy import optimize, special

PENALTIES = tuple(10.0**power for power in range(-5, 2))
MAX_ITERATIONS = 200


class Probe(NamedTuple):
    """A linear classifier.

    Args:
        weights: float64 [F, K].
        bias: float64 [K].
        penalty: by which it was fitted.
    """

    weights: np.ndarray
    bias: np.ndarray
    penalty: float

    def classify(self, features: np.ndarray) -> np.ndarray:
        """Return the likeliest class of each row of features, [n, F]: int64 [n]."""
        return (features @ self.weights + self.bias).argmax(axis=1)


def fit(features: np.ndarray, labels: np.ndarray, classes: int, penalty: float) -> Probe:
    """Minimise the mean of -log softmax(x w + b)[label], plus penalty |w|^2 / 2.

    The penalty is on features that have deviation 1 among the given ones.

    Args:
        features: float [n, F].
        labels: int [n] in [0, classes).
        classes: K.
        penalty: above 0.
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
    x = (features - mean) / deviation
    target = np.eye(classes)[labels]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = flat[:-classes].reshape(-1, classes), flat[-classes:]
        logs = special.log_softmax(x @ weights + bias, axis=1)
        value = -(target * logs).sum() / len(x) + penalty / 2 * (weights**2).sum()
        rest = (np.exp(logs) - target) / len(x)
        gradient = x.T @ rest + penalty * weights
        return value, np.concatenate([gradient.ravel(), rest.sum(axis=0)]).astype(np.float64)

    start = np.zeros((x.shape[1] + 1) * classes)
    found = optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": MAX_ITERATIONS}
    ).x
    weights = found[:-classes].reshape(-1, classes) / deviation[:, None]
    return Probe(weights, found[-classes:] - mean @ weights, penalty)


def fit_best(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    validation: tuple[np.ndarray, np.ndarray],
) -> Probe:
    """Fit with each of `PENALTIES`, and return the probe with the fewest errors on validation.

    Args:
        features: float [n, F].
        labels: int [n].
        classes: K.
        validation: other features and their labels.
    """
    probes = [fit(features, labels, classes, penalty) for penalty in PENALTIES]
    judges, right = validation
    return min(probes, key=lambda probe: np.mean(probe.classify(judges) != right))
