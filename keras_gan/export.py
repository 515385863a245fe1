"""SavedModel exports of a generator, in the layout that TensorFlow Serving watches."""

import contextlib
import datetime
import hashlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from PIL import Image

from keras_gan import card as cards
from keras_gan import files, images, messages, records, servable, signatures
from keras_gan.gan import GAN
from keras_gan.inference import Inference
from keras_gan.interfaces import MAX_ROWS, Stopped, UserError, class_rows
from keras_gan.version import __version__

GRID_IMAGES = 64
CLASS_COLUMNS = 8
CHECK_SECONDS = 600.0
ROUNDED = 1.0 / images.WHITE  # what a tiny difference may become between two pixel values


def export(
    gan: GAN,
    directory: str | os.PathLike[str],
    *,
    version: int | None = None,
    card: dict[str, Any] | None = None,
    inference: Inference | None = None,
    classifier: keras.Model | None = None,
) -> pathlib.Path:
    """Write the generator (its moving average, where there is one) as `directory/version`.

    `signatures.build` says what it answers. TensorFlow's C++ loader answers the warm-up requests in
    a process of its own, where the answers must be the live model's; only then does the version
    get its name. A server that polls `directory` never sees half of it.

    Args:
        gan: the model to draw from.
        directory: folder of all versions.
        version: a whole number above those that are there; the next one when None.
        card: what the model card shall say; see `card`.
        inference: this generator's inference network, if it shall answer, too.
        classifier: of images, if it shall answer; its weights are the discriminator's.

    Returns:
        The version's folder.

    Raises:
        UserError: if there is such a version, or a newer one, already.
        Stopped: if the loader does not give the live model's answers.
    """
    endpoints = signatures.build(gan, inference, classifier)
    archive = keras.export.ExportArchive()
    for part in _parts(gan, inference):
        archive.track(part)
    for name, signature in endpoints.items():
        archive.add_endpoint(name, signature.function, list(signature.inputs.values()))
    with _new_version(directory, version) as (folder, target):
        archive.write_out(folder, verbose=False)
        (folder / cards.EXTRA).mkdir()
        _write_warm_up(folder / cards.WARM_UP, endpoints, target.resolve().parent.name)
        images.write_png(folder / cards.GRID, _grid(gan))
        _compare(gan, endpoints, folder)
        facts = _facts(gan, folder, inference)
        _warn_of_copies(target.parent, facts["weights_sha256"])
        cards.write(folder, {**(card or {}), **facts})
    return target


def push(
    model: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    card: dict[str, Any] | None = None,
    version: int | None = None,
    expect: Callable[[], None] = lambda: None,
) -> pathlib.Path:
    """Copy an exported version to another folder of versions, as the next one.

    Args:
        model: the version's folder.
        directory: folder of all versions of what is served.
        card: facts to add to its card.
        version: a whole number above those that are there; the next one when None.
        expect: raises if the versions that are there now do not allow it; nobody else adds one
            meanwhile.

    Returns:
        The new version's folder.

    Raises:
        UserError: if `model` is not as it was exported, or there is such a version, or a newer one,
            already.
    """
    model = pathlib.Path(model)
    known = cards.verify(model)
    with _new_version(directory, version) as (folder, target):
        expect()
        for name in (*known["files"], str(cards.CARD)):  # their content, not who may write them
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(model / name, folder / name)
        cards.verify(folder)
        if card:
            cards.write(folder, {**known, **card})
    return target


def expect_new_version(directory: str | os.PathLike[str], number: int | None) -> pathlib.Path:
    """Return the folder of a version that can be written; the next one's if none is given.

    Raises:
        UserError: if there is such a version, or a newer one, already.
    """
    directory = pathlib.Path(directory)
    newest = max(cards.versions(directory), default=0)
    number = newest + 1 if number is None else int(number)
    target = directory / str(number)
    if os.path.lexists(target):
        raise UserError(
            f"Expected a new version; received {target}, which exists. Versions are never written "
            "over. Try a higher --version, or none."
        )
    if number <= newest:
        raise UserError(
            f"Expected a version above the newest, {newest}, which servers take; received "
            f"{number}. Try a higher --version, or none."
        )
    return target


@contextlib.contextmanager
def _new_version(
    directory: str | os.PathLike[str], number: int | None
) -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """Yield a folder to fill and the name that it will have; one at a time for all versions."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with files.held(directory, wait=True):
        target = expect_new_version(directory, number)
        with files.new_folder(target) as folder:
            yield folder, target
            for path in (*folder.rglob("*"), folder):
                files.sync(path)
        files.sync(directory)


def _parts(gan: GAN, inference: Inference | None) -> list[Any]:
    """List what of a model an export holds."""
    encoder = None if inference is None else inference.encoder
    parts = (gan.average or gan.generator, gan.discriminator, gan.scale, encoder)
    return [part for part in parts if part is not None]


def weights_sha256(gan: GAN, inference: Inference | None = None) -> str:
    """Hash the weights that an export of a model holds."""
    digest = hashlib.sha256()
    for part in _parts(gan, inference):
        for weight in part.weights:
            digest.update(np.ascontiguousarray(weight.numpy()).tobytes())
    return digest.hexdigest()


def _warn_of_copies(directory: pathlib.Path, digest: str) -> None:
    for number in cards.versions(directory):
        path = directory / str(number)
        with contextlib.suppress(UserError):
            if cards.read(path).get("weights_sha256") == digest:
                logging.warning("%s has the same weights", path)
                return


def _grid(gan: GAN) -> np.ndarray:
    """Draw the card's samples; a row for each class."""
    if gan.num_classes:
        labels = class_rows(gan.num_classes, CLASS_COLUMNS)
        return images.grid(gan.sample(len(labels), seed=0, labels=labels), CLASS_COLUMNS)
    # Of vectors the model does not say what they may be.
    required = gan.condition.required
    zeros = np.zeros((GRID_IMAGES, gan.condition.width)) if required else None
    return images.grid(gan.sample(GRID_IMAGES, seed=0, labels=zeros))


def _facts(gan: GAN, folder: pathlib.Path, inference: Inference | None) -> dict[str, Any]:
    """Say what every card says."""
    return {
        "format": cards.FORMAT,
        "image_shape": list(gan.image_shape),
        "latent": gan.prior.dimension,
        **({"num_classes": gan.num_classes} if gan.num_classes else {}),
        **({"conditions": gan.condition.width} if gan.condition.required else {}),
        "max_rows": MAX_ROWS,
        "weights": "live" if gan.average is None else "moving average",
        "weights_sha256": weights_sha256(gan, inference),
        "signatures": {
            name: [
                ", ".join(messages.describe(key, info) for key, info in sorted(infos.items()))
                for infos in signature
            ]
            for name, signature in sorted(servable.read_signatures(folder).items())
        },
        "versions": {
            "keras_gan": __version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        },
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _write_warm_up(
    path: pathlib.Path, endpoints: dict[str, signatures.Signature], name: str
) -> None:
    """Write what a server shall answer before it says that the version is available."""
    with path.open("wb") as file:
        for signature, endpoint in endpoints.items():
            for request in endpoint.requests:
                log = messages.PredictionLog()
                log.predict_log.request.CopyFrom(
                    messages.predict_request(
                        request, messages.model_spec(name, signature=signature)
                    )
                )
                file.write(records.frame(log.SerializeToString()))


def _compare(gan: GAN, endpoints: dict[str, signatures.Signature], folder: pathlib.Path) -> None:
    """Have a fresh process answer the warm-up requests, as the live model does."""
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "answers.npz"
        # Code from where this process has it; the accelerator stays with the process that trains.
        path = os.pathsep.join(place for place in sys.path if place)
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "keras_gan.loader", str(folder), f"--out={out}"],
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": path},
                capture_output=True,
                text=True,
                timeout=CHECK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Stopped(
                f"Expected the export to answer within {CHECK_SECONDS:g} s; it did not. Nothing "
                "was kept."
            ) from error
        if done.returncode:
            said = done.stderr.strip() or f"exit code {done.returncode}"
            raise Stopped(f"Expected the export to load; received: {said}. Nothing was kept.")
        with np.load(out, allow_pickle=False) as file:
            answers = dict(file)
    half = any(layer.compute_dtype != "float32" for layer in gan.generator.layers)
    # A compiled graph rounds elsewhere: with eight bits of precision that can be seen.
    tolerance = 0.05 if half else 1e-4
    number = 0
    for signature in endpoints.values():
        for request in signature.requests:
            inputs = {name: tf.constant(array) for name, array in request.items()}
            with tf.device("CPU:0"):  # where the loader was: an accelerator may round otherwise
                live_answers = signature.function(**inputs)
            for name, live in live_answers.items():
                pair = live.numpy(), answers[f"{number}/{name}"]
                if name == "png_bytes":
                    pair = _pixels(pair[0]), _pixels(pair[1])
                difference = np.abs(pair[0] - pair[1]) / np.maximum(1.0, np.abs(pair[0]))
                if difference.max() > (tolerance + ROUNDED if name == "png_bytes" else tolerance):
                    raise Stopped(
                        f"Expected the export to equal the live model; its {name} differ by "
                        f"{difference.max()}. Nothing was kept."
                    )
            number += 1


def _pixels(strings: np.ndarray) -> np.ndarray:
    """Decode PNG files."""
    pictures = [images.to_float(np.asarray(Image.open(io.BytesIO(text)))) for text in strings]
    return np.stack(pictures)
