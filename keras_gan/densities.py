"""Distributions of points whose density is known, and what theory says of them, on a grid."""

import dataclasses
import math

import numpy as np

LOG_4 = math.log(4.0)


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Equally likely Gaussians, alike in every direction, in one or two dimensions.

    Args:
        means: float [modes, d].
        deviation: of each Gaussian, above 0.
    """

    means: np.ndarray
    deviation: float

    @property
    def dimension(self) -> int:
        """Dimensions of a point."""
        return self.means.shape[1]

    def density(self, points: np.ndarray) -> np.ndarray:
        """Return the density at points [n, d]: float64 [n]."""
        squares = self._squares(points)  # [n, modes]
        norm = (2 * math.pi * self.deviation**2) ** (self.dimension / 2)
        return np.exp(-squares / (2 * self.deviation**2)).mean(axis=1) / norm

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw `n` points: float32 [n, d]."""
        chosen = self.means[rng.integers(len(self.means), size=n)]
        return (chosen + self.deviation * rng.standard_normal(chosen.shape)).astype(np.float32)

    def modes_found(self, points: np.ndarray) -> tuple[int, float]:
        """Count the modes that some points lie at, as later work does (Srivastava et al. 2017).

        Args:
            points: float [n, d].

        Returns:
            (modes with a point within three deviations, share of the points within three
            deviations of any mode).
        """
        squares = self._squares(points)
        near = squares.min(axis=1) <= (3 * self.deviation) ** 2
        return len(np.unique(squares.argmin(axis=1)[near])), float(near.mean())

    def _squares(self, points: np.ndarray) -> np.ndarray:
        difference = np.asarray(points, np.float64)[:, None] - self.means[None]
        return np.square(difference).sum(axis=2)  # [n, modes]


def gaussian(mean: float = 0.0, deviation: float = 1.0) -> Mixture:
    """Make a Gaussian in one dimension."""
    return Mixture(np.array([[mean]]), deviation)


def ring(modes: int = 8, radius: float = 2.0, deviation: float = 0.02) -> Mixture:
    """Make Gaussians on a circle (Metz et al. 2016, "Unrolled GANs", has these)."""
    angles = np.arange(modes) * 2 * math.pi / modes
    return Mixture(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), deviation)


def square(side: int = 5, spacing: float = 2.0, deviation: float = 0.05) -> Mixture:
    """Make `side` x `side` Gaussians on a square grid around 0."""
    line = spacing * (np.arange(side) - (side - 1) / 2)
    return Mixture(np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2), deviation)


@dataclasses.dataclass(frozen=True)
class Grid:
    """Equal cells that cover a square (or, in one dimension, an interval) around 0.

    Args:
        dimension: 1 or 2.
        half_side: half of the side.
        cells: along each axis.
    """

    dimension: int
    half_side: float
    cells: int

    @property
    def points(self) -> np.ndarray:
        """The cells' centres, float64 [cells ** dimension, dimension]."""
        width = 2 * self.half_side / self.cells
        line = -self.half_side + width * (np.arange(self.cells) + 0.5)
        axes = np.meshgrid(*[line] * self.dimension, indexing="ij")
        return np.stack(axes, axis=-1).reshape(-1, self.dimension)

    def masses(self, mixture: Mixture) -> np.ndarray:
        """Return the probability of each cell, float64, by its centre's density; they sum to 1."""
        densities = mixture.density(self.points)
        return densities / densities.sum()


def optimal_discriminator(data: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Return D* = p_data / (p_data + p_g) (Proposition 1); 1/2 where both are 0.

    Args:
        data: densities or masses at some points.
        generated: likewise.
    """
    total = data + generated
    return np.divide(data, total, out=np.full_like(total, 0.5), where=total > 0)


def value(data: np.ndarray, generated: np.ndarray, discriminator: np.ndarray) -> float:
    """Integrate V(D, G) = E_data[log D] + E_g[log(1 - D)] over cells (equation 1), in nats.

    Args:
        data: mass of each cell.
        generated: likewise.
        discriminator: D in each cell.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        real = np.where(data > 0, data * np.log(discriminator), 0.0)
        fake = np.where(generated > 0, generated * np.log1p(-discriminator), 0.0)
    return float(real.sum() + fake.sum())


def jensen_shannon(data: np.ndarray, generated: np.ndarray) -> float:
    """Integrate the Jensen-Shannon divergence over cells, in nats, from its definition."""
    middle = (data + generated) / 2

    def kullback_leibler(p: np.ndarray) -> float:
        kept = p > 0
        return float((p[kept] * np.log(p[kept] / middle[kept])).sum())

    return (kullback_leibler(data) + kullback_leibler(generated)) / 2


def descend(data: np.ndarray, generated: np.ndarray, steps: int, rate: float) -> list[np.ndarray]:
    """Improve p_g step by step while D stays at its optimum (Proposition 2).

    The criterion's gradient by p_g is log(1 - D*); a step of gradient descent that keeps p_g a
    distribution multiplies each cell by exp(-rate * gradient) (exponentiated gradient).

    Args:
        data: mass of each cell.
        generated: likewise, at the start; above 0 wherever `data` is.
        steps: how many.
        rate: of the descent; a step lowers the criterion for any rate up to 1.

    Returns:
        p_g before the first step and after each.
    """
    path = [generated]
    for _ in range(steps):
        fake = 1.0 - optimal_discriminator(data, path[-1])
        moved = np.where(path[-1] > 0, path[-1] * np.maximum(fake, 1e-300) ** -rate, 0.0)
        path.append(moved / moved.sum())
    return path
