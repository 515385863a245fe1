"""SavedModel exports of a generator, in the layout that TensorFlow Serving watches."""

import json
import os
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gan import files, priors
from keras_gan.gan import GAN
from keras_gan.interfaces import UserError

CARD = pathlib.Path("assets.extra") / "card.json"  # TensorFlow Serving leaves this folder alone


def export(
    gan: GAN,
    directory: str | os.PathLike[str],
    *,
    version: int | None = None,
    card: dict[str, Any] | None = None,
) -> pathlib.Path:
    """Write the generator (its moving average, where there is one) as `directory/version`.

    Signatures: `serving_default` maps latent, float32 [B, d], to images, float32 [B, H, W, C] in
    [0, 1]; `sample` maps the scalars n, int32, and seed, int64, to the images that
    `gan.sample(n, seed=seed)` gives; `noise` maps them to these images' latent vectors, for those
    who draw many in batches. The export is loaded again and compared with the live model before it
    is renamed into place.

    Args:
        gan: the model to draw from.
        directory: folder of all versions.
        version: a whole number; one above the newest when None.
        card: what to write beside the model, as JSON.

    Returns:
        The version's folder.
    """
    directory = pathlib.Path(directory)
    if version is None:
        version = max(versions(directory), default=0) + 1
    target = directory / str(version)
    if target.exists():
        raise UserError(f"Expected a new version; received {target}, which exists.")

    def noise(n: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"latent": gan.prior.sample(n, priors.key(seed, priors.SAMPLES, 0))}

    def sample(n: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        return serve(noise(n, seed)["latent"])

    def serve(latent: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"images": gan(latent)}

    archive = keras.export.ExportArchive()
    archive.track(gan.average or gan.generator)
    if gan.scale is not None:
        archive.track(gan.scale)
    latent = tf.TensorSpec((None, gan.prior.dimension), tf.float32, name="latent")
    archive.add_endpoint("serving_default", serve, [latent])
    scalars = [tf.TensorSpec((), tf.int32, name="n"), tf.TensorSpec((), tf.int64, name="seed")]
    archive.add_endpoint("sample", sample, scalars)
    archive.add_endpoint("noise", noise, scalars)
    with files.new_folder(target) as folder:
        archive.write_out(folder, verbose=False)
        (folder / CARD).parent.mkdir(exist_ok=True)
        facts = {"image_shape": list(gan.image_shape), "latent": gan.prior.dimension}
        (folder / CARD).write_text(json.dumps({**(card or {}), **facts}, indent=2) + "\n")
        _compare(gan, folder)
    return target


def versions(directory: str | os.PathLike[str]) -> list[int]:
    """List the versions below a folder of exports, oldest first."""
    directory = pathlib.Path(directory)
    if not directory.is_dir():
        return []
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdigit())


class ExportedSampler:
    """Draws from an exported generator; a `Sampler` that needs no Keras code of the model.

    Args:
        folder: one version's folder.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = pathlib.Path(folder)
        self._model = tf.saved_model.load(str(folder))
        self._noise = self._model.signatures["noise"]
        self._generate = self._model.signatures["serving_default"]
        shape = self._generate.structured_outputs["images"].shape
        self.image_shape: tuple[int, int, int] = tuple(shape[1:])
        self.card: dict[str, Any] = {}
        if (self.folder / CARD).is_file():
            self.card = json.loads((self.folder / CARD).read_text())

    def sample(self, n: int, *, seed: int, batch_size: int = 500) -> np.ndarray:
        """Draw `n` images, float32 [n, H, W, C] in [0, 1]; the same seed gives the same images."""
        z = self.noise(n, seed=seed)
        return np.concatenate(
            [self.generate(z[i : i + batch_size]) for i in range(0, n, batch_size)]
        )

    def noise(self, n: int, *, seed: int) -> np.ndarray:
        """Draw the latent vectors, float32 [n, d], of the images that `sample` gives."""
        drawn = self._noise(n=tf.constant(n, tf.int32), seed=tf.constant(seed, tf.int64))
        return drawn["latent"].numpy()

    def generate(self, z: np.ndarray) -> np.ndarray:
        """Make images, float32 [n, H, W, C] in [0, 1], from latent vectors, float32 [n, d]."""
        return self._generate(latent=tf.constant(z))["images"].numpy()


def load_sampler(path: str | os.PathLike[str]) -> ExportedSampler:
    """Load an export: one version's folder, or a folder of versions, of which the newest is taken.

    Raises:
        UserError: if there is no export at `path`.
    """
    path = pathlib.Path(path)
    folder = path
    if not (path / "saved_model.pb").is_file() and versions(path):
        folder = path / str(versions(path)[-1])
    if not (folder / "saved_model.pb").is_file():
        raise UserError(
            f"Expected an export (saved_model.pb, or numbered versions of it); received {path}. "
            "Try saved_models/NAME as python -m keras_gan.train wrote it."
        )
    try:
        return ExportedSampler(folder)
    except (OSError, ValueError, KeyError, AttributeError, tf.errors.OpError) as error:
        raise UserError(
            f"Expected an export of keras_gan; received {folder}, which does not load: {error}"
        ) from error


def _compare(gan: GAN, folder: pathlib.Path) -> None:
    live, loaded = gan.sample(16, seed=0), ExportedSampler(folder).sample(16, seed=0)
    difference = float(np.abs(live - loaded).max())
    half = any(layer.compute_dtype != "float32" for layer in gan.generator.layers)
    # A compiled graph rounds elsewhere: with eight bits of precision that can be seen.
    if difference > (0.05 if half else 1e-5):
        raise RuntimeError(f"Expected the export to equal the live model; differs by {difference}.")
