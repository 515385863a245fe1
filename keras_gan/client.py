"""Ask a server for images, and about them: TensorFlow Serving's, or any that speaks its protocols.

    from keras_gan.client import SamplerClient
    images = SamplerClient("grpc://127.0.0.1:8500", "mnist").sample(64, seed=0)

Needs neither TensorFlow nor Keras; gRPC needs the extra keras_gan[serving]. With grpcs:// and
https:// it is TLS.
"""

import io
import random
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from keras_gan import images, messages
from keras_gan.interfaces import (
    MAX_ROWS,
    UserError,
    expect_pictures,
    expect_puzzles,
    expect_truncation,
    image_seeds,
)
from keras_gan.transports import (
    FIRST_WAIT,
    LONGEST_WAIT,
    Description,
    Grpc,
    Rest,
    ServerError,
    Transport,
)

PORTS = {"grpc": 8500, "grpcs": 8500, "http": 8501, "https": 8501}
# Dimensions of what a server gives.
RANKS = {"images": 4, "png_bytes": 1, "latent": 2, "logits": 1, "probabilities": 2}
RESTARTS = 3  # when the version that gave the first images is gone before the last ones


class SamplerClient:
    """Draws from a generator that a server holds, and asks what else its export answers.

    A large number of images is asked for in batches, all from one version, whatever is loaded or
    unloaded meanwhile. `UNAVAILABLE`, and nothing else, is tried again, after longer and longer
    waits.

    Args:
        url: grpc://HOST:PORT, http://HOST:PORT, or grpcs:// and https:// with TLS.
        model: the model's name there.
        version: a version's number; the newest one there if not given.
        label: a version's label, as in "stable".
        timeout: seconds that one call, of `sample` say, may take in all; over gRPC the server is
            told what is left of them.
        tries: how often to ask for the same images at most.
        batch_size: images in one request, at most 1024.
        certificates: a PEM file of who signs the server's certificate; the usual ones if not given.

    Raises:
        UserError: if the arguments are not of this form.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        version: int | None = None,
        label: str = "",
        timeout: float = 60.0,
        tries: int = 5,
        batch_size: int = 256,
        certificates: str | None = None,
    ):
        try:
            parts = urllib.parse.urlsplit(url)
            scheme, host, port = parts.scheme, parts.hostname or "", parts.port
        except ValueError:
            scheme, host, port = "", "", None
        more = not host or parts.path.strip("/") or parts.query or parts.username
        if scheme not in PORTS or more:
            raise UserError(
                f"Expected a URL of grpc://, grpcs://, http:// or https:// with a host, a port and "
                f"nothing more; received {url!r}. Try grpc://127.0.0.1:8500."
            )
        if not 1 <= batch_size <= MAX_ROWS:
            raise UserError(f"Expected batch_size of 1 to {MAX_ROWS}; received {batch_size}.")
        if tries < 1 or not timeout > 0:
            raise UserError(f"Expected tries and timeout above 0; received {tries=}, {timeout=}.")
        if version is not None and label:
            raise UserError(f"Expected a version or a label; received {version=} and {label=}.")
        self.url, self.model = url, model
        self._version, self._label = version, label
        self._timeout, self._tries, self._batch_size = timeout, tries, batch_size
        tls = scheme in ("grpcs", "https")
        make = Grpc if scheme.startswith("grpc") else Rest
        self._transport: Transport = make(host, port or PORTS[scheme], tls, certificates)

    def sample(
        self, n: int, *, seed: int = 0, truncation: float = 1.0, labels: Any = None
    ) -> np.ndarray:
        """Draw `n` images, the same for the same seed: those of `GAN.sample`, in 8 bits.

        Args:
            n: how many.
            seed: of the noise, in [0, 2**32).
            truncation: in (0, 1]: the central share of the prior to draw from.
            labels: class numbers [n], for a conditional model.

        Returns:
            uint8 [n, H, W, C].

        Raises:
            ServerError: if the server cannot be reached in time, or refuses.
        """
        expect_truncation(truncation)
        inputs = {"seed": image_seeds(n, seed)}
        png = self._transport.prefers_png and truncation == 1
        signature = "sample_png" if png else "sample"
        if truncation < 1:
            signature = "sample_truncated"
            inputs["truncation"] = np.full(n, truncation, np.float32)
        drawn = self._answer(signature, inputs | _told(labels, n), "png_bytes" if png else "images")
        return drawn if drawn.dtype == np.uint8 else images.to_uint8(drawn)

    def inpaint(self, pictures: np.ndarray, masks: np.ndarray, *, seed: int = 0) -> np.ndarray:
        """Paint what is missing of images, as `Conditionals.inpaint` does.

        Args:
            pictures: float32 [n, H, W, C] in [0, 1]; where the mask is 0 they are not looked at.
            masks: of 0 and 1, [n, H, W, 1], or one for all, [H, W, 1]: 1 where a pixel is known.
            seed: of the noise, in [0, 2**32).

        Returns:
            float32 [n, H, W, C] in [0, 1], whose known pixels are those of `pictures`.

        Raises:
            UserError: if the arguments are not of this form.
            ServerError: as `sample`, and if the model completes no images.
        """
        expect_pictures(pictures, ("H", "W", "C"))
        masks = expect_puzzles(pictures, masks, pictures.shape[1:])
        inputs = {
            "images": pictures,
            "masks": masks,
            "seed": image_seeds(len(pictures), seed),
        }
        return self._answer("inpaint", inputs, "images")

    def infer(self, pictures: np.ndarray, labels: Any = None) -> np.ndarray:
        """Say which latent vectors, float32 [n, d], images may have been made from.

        Args:
            pictures: float32 [n, H, W, C] in [0, 1].
            labels: their class numbers [n], for a conditional model.

        Raises:
            UserError: if the arguments are not of this form.
            ServerError: as `sample`, and if the model has no inference network.
        """
        return self._about("infer", pictures, labels, "latent")

    def reconstruct(self, pictures: np.ndarray, labels: Any = None) -> np.ndarray:
        """Make images, float32 [n, H, W, C] in [0, 1], of what `infer` says of images."""
        return self._about("reconstruct", pictures, labels, "images")

    def discriminate(self, pictures: np.ndarray, labels: Any = None) -> np.ndarray:
        """Return D's logits, float32 [n], on images; arguments are those of `infer`."""
        return self._about("discriminate", pictures, labels, "logits")

    def classify(self, pictures: np.ndarray) -> np.ndarray:
        """Say how likely each class is, float32 [n, K], of images, float32 [n, H, W, C] in [0, 1].

        Raises:
            UserError: if the images are not of this form.
            ServerError: as `sample`, and if the model has no classifier.
        """
        return self._about("classify", pictures, None, "probabilities")

    def describe(self) -> Description:
        """Say which version answers, and its signatures' inputs."""
        return self._describe(time.monotonic() + self._timeout)

    def close(self) -> None:
        """Let go of connections."""
        self._transport.close()

    def __enter__(self) -> "SamplerClient":
        """Use the client as a context."""
        return self

    def __exit__(self, *error: object) -> None:
        """Let go of connections."""
        self.close()

    def _about(self, signature: str, pictures: np.ndarray, labels: Any, output: str) -> np.ndarray:
        expect_pictures(pictures, ("H", "W", "C"))
        inputs = {"images": pictures} | _told(labels, len(pictures))
        return self._answer(signature, inputs, output)

    def _answer(self, signature: str, inputs: dict[str, np.ndarray], output: str) -> np.ndarray:
        """Ask in batches, all of one version."""
        n = len(next(iter(inputs.values())))
        deadline = time.monotonic() + self._timeout
        for restart in range(RESTARTS + 1):
            pinned = n > self._batch_size  # all batches from the version that gives the first
            version = self._expect(signature, inputs, deadline) if pinned else self._version
            try:
                batches = [
                    self._ask(signature, part, output, version, deadline)
                    for part in _parts(inputs, n, self._batch_size)
                ]
                return np.concatenate(batches)
            except ServerError as error:
                gone = pinned and self._version is None and error.code == "NOT_FOUND"
                if not gone or restart == RESTARTS:
                    raise
        raise AssertionError("unreachable")

    def _expect(self, signature: str, inputs: dict[str, Any], deadline: float) -> int:
        """Return the version that answers, if it can be asked this."""
        found = self._describe(deadline)
        if found.signatures.get(signature) != set(inputs):
            known = "; ".join(
                f"{name}({', '.join(sorted(takes))})" for name, takes in found.signatures.items()
            )
            raise ServerError(
                "INVALID_ARGUMENT",
                f"Expected {self.model} to have the signature {signature}"
                f"({', '.join(sorted(inputs))}); received version {found.version} with {known}. "
                "Try a model that keras_gan.export_model wrote.",
            )
        return found.version

    def _describe(self, deadline: float) -> Description:
        spec = messages.model_spec(self.model, self._version, self._label)
        return self._tried(lambda left: self._transport.describe(spec, left), deadline)

    def _ask(
        self,
        signature: str,
        inputs: dict[str, np.ndarray],
        output: str,
        version: int | None,
        deadline: float,
    ) -> np.ndarray:
        label = "" if version is not None else self._label
        spec = messages.model_spec(self.model, version, label, signature)
        made = self._tried(
            lambda left: self._transport.predict(spec, inputs, output, left), deadline
        )
        rows = len(next(iter(inputs.values())))
        wrong = made.shape[:1] != (rows,) or made.ndim != RANKS[output]
        try:
            if not wrong and output == "png_bytes":
                made = np.stack([_pixels(text) for text in made])
            wrong = wrong or not np.isfinite(made).all()
        except (ValueError, TypeError, OSError) as error:
            raise ServerError(
                "UNKNOWN", f"Expected images of {self.url}; received {error!r}."
            ) from error
        if wrong:
            raise ServerError(
                "UNKNOWN",
                f"Expected {output} for {rows} images of {self.url}; received an array of "
                f"{made.shape}, or numbers that are not finite.",
            )
        return made

    def _tried(self, ask: Callable[[float], Any], deadline: float) -> Any:
        """Ask until there is an answer, but again only when the server was not available."""
        for number in range(1, self._tries + 1):
            left = deadline - time.monotonic()
            try:
                if left <= 0:
                    raise ServerError("DEADLINE_EXCEEDED", "the time was up before it was asked")
                return ask(left)
            except ServerError as error:
                # With some jitter, so that many clients do not come back all at once.
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2**number) * random.uniform(0.5, 1.0)
                last = number == self._tries or time.monotonic() + wait >= deadline
                if error.code != "UNAVAILABLE" or last:
                    raise self._explained(error, number) from error
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _explained(self, error: ServerError, tries: int) -> ServerError:
        what = f"version {self._version} of " if self._version is not None else ""
        what = f"the version labelled {self._label} of " if self._label else what
        expected, advice = {
            "UNAVAILABLE": (
                f"a server at {self.url}",
                f"{tries} {'try was' if tries == 1 else 'tries were'} made. Try another --url, or "
                "wait until it is up.",
            ),
            "DEADLINE_EXCEEDED": (
                f"an answer of {self.url} within {self._timeout:g} s",
                "Try a longer time-out, or fewer images.",
            ),
            "NOT_FOUND": (
                f"{what}the model {self.model!r} at {self.url}",
                "Try another name, version or label.",
            ),
            "INVALID_ARGUMENT": (
                f"a request that {self.model!r} at {self.url} takes",
                "Try a model that keras_gan.export_model wrote, and fewer images at once.",
            ),
        }.get(error.code, (f"images of {self.model!r} at {self.url}", ""))
        sentence = f"Expected {expected}; received {error.code}: {error}. {advice}"
        return ServerError(error.code, " ".join(sentence.split()))


def _told(labels: Any, n: int) -> dict[str, np.ndarray]:
    """Name labels as the signatures do."""
    if labels is None:
        return {}
    labels = np.asarray(labels, np.int64)
    if labels.shape != (n,):
        raise UserError(
            f"Expected {n} labels; received shape {labels.shape}. Try one label for each image."
        )
    return {"label": labels}


def _parts(inputs: dict[str, np.ndarray], n: int, count: int) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, n, count):
        yield {name: array[start : start + count] for name, array in inputs.items()}


def _pixels(png: bytes) -> np.ndarray:
    picture = np.asarray(Image.open(io.BytesIO(png), formats=("PNG",)))
    return picture[..., None] if picture.ndim == 2 else picture  # [H, W, C]
