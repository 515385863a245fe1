"""Learning from few labels: a run's options as checked, frozen data, and which images have labels.

No TensorFlow here: options are read and refused before anything heavy is imported.
"""

import dataclasses
import json
import typing
from typing import Literal

import numpy as np

from keras_gan import overrides
from keras_gan.config import Optimizer
from keras_gan.interfaces import UserError


@dataclasses.dataclass(frozen=True)
class FewLabels:
    """One semi-supervised run, whole; the defaults are the networks of Salimans et al. 2016.

    Args:
        labels: images whose label is known, as many of each class; 0 for all.
        unlabelled_weight: of the game on images without labels, beside the labelled images'
            cross-entropy; 0 trains the same network on the labels alone.
        generator_loss: what G minimises: the distance of the means of D's features
            ("feature_matching"), or a loss of `losses.LOSSES`.
        latent: the number of dimensions of z, which is uniform.
        generator_units: width of each hidden layer of the generator.
        discriminator_units: width of each hidden layer of the discriminator; the last are the
            features.
        input_noise: standard deviation of the noise added to the images that D sees.
        hidden_noise: of the noise added to each hidden layer of D.
        batch_size: labelled, unlabelled and generated images of a step, so many of each.
        d_optimizer: the discriminator's optimizer.
        g_optimizer: the generator's optimizer.
        ema_decay: decay per step of a moving average of both networks, which then classifies and
            draws; 0 for none.
        steps: of D and of G.
        seed: of weights, noise, order, and of which images have labels.
        log_every: steps between two points of a curve.
        checkpoint_every: steps between two checkpoints.
    """

    labels: int = 100
    unlabelled_weight: float = 0.5
    generator_loss: Literal["feature_matching", "minimax", "non_saturating"] = "feature_matching"
    latent: int = 100
    generator_units: tuple[int, ...] = (500, 500)
    discriminator_units: tuple[int, ...] = (1000, 500, 250, 250, 250)
    input_noise: float = 0.3
    hidden_noise: float = 0.5
    batch_size: int = 100
    d_optimizer: Optimizer = dataclasses.field(
        default_factory=lambda: Optimizer("adam", 3e-3, beta_1=0.5, schedule="linear", hold=0.5)
    )
    g_optimizer: Optimizer = dataclasses.field(
        default_factory=lambda: Optimizer("adam", 3e-3, beta_1=0.5, schedule="linear", hold=0.5)
    )
    ema_decay: float = 0.999
    steps: int = 30_000
    seed: int = 0
    log_every: int = 100
    checkpoint_every: int = 1000

    def __post_init__(self) -> None:
        for name in ("latent", "batch_size", "steps", "log_every", "checkpoint_every"):
            self._expect(name, getattr(self, name) > 0, "at least 1")
        for name in ("labels", "seed", "unlabelled_weight", "input_noise", "hidden_noise"):
            self._expect(name, getattr(self, name) >= 0, "at least 0")
        for name in ("generator_units", "discriminator_units"):
            units = getattr(self, name)
            self._expect(name, bool(units) and min(units) > 0, "at least 1 each")
        self._expect("ema_decay", 0 <= self.ema_decay < 1, "at least 0, less than 1")
        self._expect("seed", self.seed < 2**32, "less than 2**32")

    def _expect(self, name: str, condition: bool, expected: str) -> None:
        if not condition:
            received = f"{name}={getattr(self, name)!r}"
            raise UserError(f"Expected {name} of {expected}; received {received}.")

    @property
    def resumable(self) -> set[str]:
        """What may change when a run is resumed: how often it reports, and its length.

        A schedule that ends with the run fixes the length from the start.
        """
        reports = {"log_every", "checkpoint_every"}
        if {self.d_optimizer.schedule, self.g_optimizer.schedule} != {"constant"}:
            return reports
        return reports | {"steps"}

    def to_json(self) -> str:
        """Write the options as JSON; `from_json` reads them back equal."""
        return json.dumps(overrides.to_data(self), indent=2, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: str) -> "FewLabels":
        """Read what `to_json` wrote."""
        return typing.cast(FewLabels, overrides.from_data(FewLabels, json.loads(text)))


def choose_labelled(labels: np.ndarray, count: int, classes: int, seed: int) -> np.ndarray:
    """Choose the images whose labels are known: as many of each class.

    Args:
        labels: of all images, int [n].
        count: how many to choose; 0 for all.
        classes: K.
        seed: of the choice.

    Returns:
        Their places among all images, int64 [count], rising.

    Raises:
        UserError: if a class has too few images, or `count` is no multiple of the classes.
    """
    if not count:
        return np.arange(len(labels))
    each, rest = divmod(count, classes)
    if rest:
        near = max(1, round(count / classes)) * classes
        raise UserError(
            f"Expected --labels that {classes} classes can share equally; received {count}. Try "
            f"{near}, or all."
        )
    rng = np.random.default_rng(seed)
    chosen = []
    for number in range(classes):
        (places,) = np.nonzero(labels == number)
        if len(places) < each:
            raise UserError(
                f"Expected --labels of at most {len(places)} for each class, as class {number} "
                f"has so many images; received {count}, {each} each. Try fewer, or all."
            )
        chosen.append(rng.choice(places, each, replace=False))
    return np.sort(np.concatenate(chosen))
