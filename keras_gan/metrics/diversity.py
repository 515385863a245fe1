"""Has the generator collapsed? Answered from samples alone, beside real images."""

from typing import NamedTuple

import numpy as np

from keras_gan.metrics import kmeans, neighbours

CLUSTERS = 20
COLLAPSED = 0.25  # of what real images have


class Diversity(NamedTuple):
    """How varied samples are, as shares of what as many real images have.

    Args:
        clusters: effective number of clusters of real images that the samples fall into,
            exp(entropy), over the real images' own. A generator that makes few kinds of image has
            few.
        spread: median distance from a sample to the nearest other one, over the real images' own.
            A generator that maps many z to one x ("the Helvetica scenario", section 6) has almost
            none, even where it has points in every cluster.
    """

    clusters: float
    spread: float

    @property
    def collapsed(self) -> bool:
        """Whether either is below a quarter."""
        return min(self) < COLLAPSED


class Reference:
    """Real images that samples are compared with.

    Args:
        images: real images, float [n, ...], at least 2.
        clusters: k-means clusters of them; at most a tenth of their number is used.
        seed: of the clusters' first centres.
    """

    def __init__(self, images: np.ndarray, *, clusters: int = CLUSTERS, seed: int = 0):
        self.size = len(images)
        count = max(1, min(clusters, len(images) // 10))
        self._centres = kmeans.centroids(images, count, seed=seed)
        self._clusters, self._spread = self._measure(images)

    def compare(self, samples: np.ndarray) -> Diversity:
        """Compare samples with the real images; as many of them make it fair."""
        clusters, spread = self._measure(samples)
        return Diversity(clusters / self._clusters, spread / max(self._spread, 1e-12))

    def _measure(self, images: np.ndarray) -> tuple[float, float]:
        """Return the effective number of clusters, and the median distance to a neighbour."""
        _, members = neighbours.nearest(images, self._centres)
        shares = np.bincount(members, minlength=len(self._centres)) / len(images)
        shares = shares[shares > 0]
        entropy = -(shares * np.log(shares)).sum()
        distances, _ = neighbours.nearest(images, images, exclude_self=True)
        return float(np.exp(entropy)), float(np.sqrt(np.median(distances)))
