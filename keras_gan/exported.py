"""Drawing from an export, without the code of the model that it was made of."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gan import card as cards
from keras_gan import servable
from keras_gan.conditions import Condition
from keras_gan.interfaces import (
    MAX_ROWS,
    UserError,
    expect_puzzles,
    expect_truncation,
    generate_in_batches,
    image_seeds,
)


class ExportedSampler:
    """Draws from an exported generator; a `Sampler` that needs no Keras code of the model.

    Args:
        folder: one version's folder.

    Raises:
        UserError: if it does more than compute, or lacks the card that a conditional one needs.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = pathlib.Path(folder)
        servable.expect_harmless(self.folder)
        self._model = tf.saved_model.load(str(folder))
        self._noise = self._model.signatures["noise"]
        self._generate = self._model.signatures["serving_default"]
        self._discriminate = self._model.signatures["discriminate"]
        shape = self._generate.structured_outputs["images"].shape
        self.image_shape: tuple[int, int, int] = tuple(shape[1:])
        self.card: dict[str, Any] = {}
        told = set(self._generate.structured_input_signature[1]) - {"latent"}
        if told or (self.folder / cards.CARD).is_file():  # which says what it is told
            self.card = cards.read(self.folder)
        self.num_classes: int | None = self.card.get("num_classes")
        self._condition = Condition(self.card.get("conditions", 0), self.num_classes)

    def sample(
        self,
        n: int,
        *,
        seed: int,
        labels: Any = None,
        truncation: float = 1.0,
        batch_size: int = 500,
    ) -> np.ndarray:
        """Draw `n` images, float32 [n, H, W, C] in [0, 1]; the same seed gives the same images.

        Labels are those of `GAN.sample`, with the same default.
        """
        labels = self._condition.labels(n, labels)
        z = self.noise(n, seed=seed, truncation=truncation)
        return generate_in_batches(self, z, labels, batch_size)

    def noise(self, n: int, *, seed: int, truncation: float = 1.0) -> np.ndarray:
        """Draw the latent vectors, float32 [n, d], of the images that `sample` gives."""
        expect_truncation(truncation)
        seeds = image_seeds(n, seed)
        shares = np.full(n, truncation, np.float32)
        return _in_parts(self._noise, "latent", seed=seeds, truncation=shares)

    def generate(self, z: np.ndarray, labels: Any = None) -> np.ndarray:
        """Make images, float32 [n, H, W, C] in [0, 1], from latent vectors, float32 [n, d]."""
        told = self._told(self._condition.labels(len(z), labels))
        return _in_parts(self._generate, "images", latent=z, **told)

    def discriminate(self, images: np.ndarray, labels: Any = None) -> np.ndarray:
        """Return D's logits, float32 [n], on images, float32 [n, H, W, C] in [0, 1].

        A conditional D needs their labels.
        """
        if self._condition and labels is None:
            raise UserError("Expected labels: this model is conditional; received none.")
        told = self._told(self._condition.labels(len(images), labels))
        return _in_parts(self._discriminate, "logits", images=images, **told)

    def classify(self, images: np.ndarray) -> np.ndarray:
        """Say how likely each class is, float32 [n, K], of images, float32 [n, H, W, C] in [0, 1].

        Raises:
            UserError: if the export has no classifier.
        """
        if "classify" not in self._model.signatures:
            raise UserError(
                f"Expected an export with a classifier; received {self.folder} without. Try "
                "python -m keras_gan.classify with --export_dir."
            )
        return _in_parts(self._model.signatures["classify"], "probabilities", images=images)

    def infer(self, images: np.ndarray, labels: Any = None) -> np.ndarray:
        """Say which latent vectors, float32 [n, d], images [n, H, W, C] may have been made from.

        A conditional model needs their labels.

        Raises:
            UserError: if the export has no inference network.
        """
        return self._answer_images("infer", "latent", images, labels)

    def reconstruct(self, images: np.ndarray, labels: Any = None) -> np.ndarray:
        """Make images, float32 [n, H, W, C] in [0, 1], of what `infer` says of images."""
        return self._answer_images("reconstruct", "images", images, labels)

    @property
    def inpaints(self) -> bool:
        """Whether it completes images."""
        return "inpaint" in self._model.signatures

    def inpaint(self, images: np.ndarray, masks: np.ndarray, *, seed: int) -> np.ndarray:
        """Paint what is missing of images, as `Conditionals.inpaint` does.

        Raises:
            UserError: if the export is no such model's, or images or masks are not as it says.
        """
        if not self.inpaints:
            raise UserError(
                f"Expected an export of a model that completes images; received {self.folder}. "
                "Try one of python -m keras_gan.train --recipe=mnist_inpainting."
            )
        masks = expect_puzzles(images, masks, self.image_shape)
        seeds = image_seeds(len(images), seed)
        answer = self._model.signatures["inpaint"]
        return _in_parts(answer, "images", images=images, masks=masks, seed=seeds)

    def _answer_images(
        self, signature: str, name: str, images: np.ndarray, labels: Any
    ) -> np.ndarray:
        if signature not in self._model.signatures:
            raise UserError(
                f"Expected an export with an inference network; received {self.folder} without. "
                "Try python -m keras_gan.infer on its run, and python -m keras_gan.export_model."
            )
        if self._condition and labels is None:
            raise UserError("Expected labels: this model is conditional; received none.")
        told = self._told(self._condition.labels(len(images), labels))
        return _in_parts(self._model.signatures[signature], name, images=images, **told)

    def _told(self, labels: np.ndarray | None) -> dict[str, np.ndarray]:
        """Name labels as the signatures do."""
        return {} if labels is None else {self._condition.spec.name: labels}


def _in_parts(answer: Callable[..., Any], output: str, **inputs: np.ndarray) -> np.ndarray:
    """Ask a signature about as many rows at once as an export answers."""
    n = len(next(iter(inputs.values())))
    parts = [slice(start, start + MAX_ROWS) for start in range(0, max(n, 1), MAX_ROWS)]
    given = ({name: tf.constant(array[part]) for name, array in inputs.items()} for part in parts)
    return np.concatenate([answer(**each)[output].numpy() for each in given])


def load_sampler(path: str | os.PathLike[str]) -> ExportedSampler:
    """Load an export: one version's folder, or a folder of versions, of which the newest is taken.

    Args:
        path: the folder.

    Returns:
        What draws from it, as `GAN.sample` does.

    Raises:
        UserError: if there is no export at `path`, or one of an earlier format.
    """
    folder = cards.find(path)
    if (folder / cards.CARD).is_file() and cards.read(folder).get("format") != cards.FORMAT:
        raise UserError(
            f"Expected an export of this version's format, {cards.FORMAT}; received {folder}. Try "
            "exporting its run again."
        )
    try:
        return ExportedSampler(folder)
    except UserError:
        raise
    except (OSError, ValueError, KeyError, AttributeError, tf.errors.OpError) as error:
        raise UserError(
            f"Expected an export of keras_gan; received {folder}, which does not load: {error}"
        ) from error
