"""What features are worth: multinomial logistic regression on them."""

from typing import NamedTuple

import numpy as np
from scipy import optimize, special

PENALTIES = tuple(10.0**power for power in range(1, -6, -1))  # each starts from the last one
MAX_ITERATIONS = 100


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


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    penalty: float,
    start: Probe | None = None,
) -> Probe:
    """Minimise the mean of -log softmax(x w + b)[label], plus penalty |w|^2 / 2.

    The penalty is on features whose mean is 0 and which, all together, have deviation 1.

    Args:
        features: float [n, F].
        labels: int [n] in [0, classes).
        classes: K.
        penalty: above 0.
        start: where to start from; zeros if not given.
    """
    # One deviation for all: a pixel that is almost always black would have next to none.
    mean = features.mean(axis=0)
    deviation = float((features - mean).std()) + 1e-6
    x = ((features - mean) / deviation).astype(np.float32)
    target = np.eye(classes)[labels]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = flat[:-classes].reshape(-1, classes), flat[-classes:]
        logs = special.log_softmax(x @ weights.astype(np.float32) + bias, axis=1)
        value = -(target * logs).sum() / len(x) + penalty / 2 * (weights**2).sum()
        rest = (np.exp(logs) - target) / len(x)
        gradient = x.T @ rest.astype(np.float32) + penalty * weights
        return value, np.concatenate([gradient.ravel(), rest.sum(axis=0)]).astype(np.float64)

    first = np.zeros((x.shape[1] + 1, classes))
    if start is not None:
        first[:-1] = start.weights * deviation
        first[-1] = start.bias + mean @ start.weights
    found = optimize.minimize(
        loss, first.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": MAX_ITERATIONS}
    ).x
    weights = found[:-classes].reshape(-1, classes) / deviation
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
    probes: list[Probe] = []
    for penalty in PENALTIES:
        last = probes[-1] if probes else None
        probes.append(fit(features, labels, classes, penalty, start=last))
    judges, right = validation
    return min(probes, key=lambda probe: np.mean(probe.classify(judges) != right))
