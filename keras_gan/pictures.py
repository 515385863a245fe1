"""Pictures of a run for TensorBoard: what a grid of the same noise does not show."""

import numpy as np

from keras_gan import images, plots
from keras_gan.callbacks import current_step, sample_grid
from keras_gan.metrics import neighbours
from keras_gan.monitors import Monitor
from keras_gan.summaries import Summaries

ROWS = 5
COLUMNS = 8
GRID = 64  # images


class Pictures(Monitor):
    """Draw fresh samples, real images beside them, their nearest training images, and strips.

    Args:
        train: training images, float32 [n, H, W, C] in [0, 1], among which neighbours are sought.
        summaries: where the pictures go.
        every: steps between two of each.
        labels: of the images, for a conditional GAN: int [n].
        spherical: whether strips go along arcs, as suits a Gaussian prior.
    """

    def __init__(
        self,
        train: np.ndarray,
        summaries: Summaries,
        *,
        every: int,
        labels: np.ndarray | None = None,
        spherical: bool = False,
    ):
        super().__init__(summaries, every=every)
        self._train, self._labels, self._spherical = train, labels, spherical

    def act(self) -> None:
        """Draw now."""
        gan, step = self.model, current_step(self.model)
        seed = step % 2**32
        fresh = sample_grid(gan, GRID, seed=seed)
        shown = np.arange(step, step + GRID) % len(self._train)
        told = None if self._labels is None else self._labels[shown]  # what the real ones show
        made = gan.sample(GRID, seed=(seed + 2**31) % 2**32, labels=told)
        drawn = {
            "fresh_samples": (fresh, "Samples of other noise each time."),
            "real_beside_generated": (
                plots.beside(images.grid(self._train[shown]), images.grid(made)),
                "Left: training images; right: samples.",
            ),
            "nearest_training_images": (
                self._nearest(seed),
                f"Top: samples; below each, the nearest of {len(self._train):,} training images.",
            ),
            "interpolations": (
                plots.figure_3(
                    gan, seed=seed, rows=ROWS, columns=COLUMNS, spherical=self._spherical
                ),
                "Each row: from one draw of z to another.",
            ),
        }
        for name, (picture, description) in drawn.items():
            self._summaries.image(step, name, picture, description)

    def _nearest(self, seed: int) -> np.ndarray:
        samples = self.model.sample(COLUMNS, seed=seed)
        _, indices = neighbours.nearest(samples, self._train)
        return images.grid(np.concatenate([samples, self._train[indices]]), COLUMNS)
