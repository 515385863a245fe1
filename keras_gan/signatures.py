"""What an exported generator answers: its signatures, and what they refuse.

Every input and output has the request's images as its first dimension, so that a server may put
requests together. What is out of range is refused inside the graph, with a sentence, as
INVALID_ARGUMENT: a server needs no other code.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_gan import images
from keras_gan.gan import GAN
from keras_gan.interfaces import MAX_ROWS, image_seeds

WARM_UP_ROWS = (1, 16)


class Signature(NamedTuple):
    """A function of the graph: what it takes, what it does, and requests to try it with."""

    inputs: dict[str, tf.TensorSpec]
    function: Callable[..., dict[str, tf.Tensor]]
    requests: list[dict[str, np.ndarray]]


def build(gan: GAN) -> dict[str, Signature]:
    """Make the signatures of a model, which draw from its moving average where there is one.

    Returns:
        `serving_default`: latent, float32 [N, d] -> images, float32 [N, H, W, C] in [0, 1].
        `sample`: seed, int64 [N] -> the images that `gan.sample` gives for these image seeds.
        `sample_truncated`: seed and truncation, float32 [N] in (0, 1] -> the same, nearer to what
        is typical.
        `sample_png`: seed -> png_bytes, strings [N]; `_bytes` has REST answer in base64.
        `noise`: seed and truncation -> the latent vectors of these images.
        `discriminate`: images -> logits and probability, float32 [N], that they are real.
    """

    def generate(latent: tf.Tensor) -> dict[str, tf.Tensor]:
        with _expecting(_finite(latent, "latent")):
            return {"images": tf.cast(gan(latent), tf.float32)}

    def noise(seed: tf.Tensor, truncation: tf.Tensor) -> dict[str, tf.Tensor]:
        if gan.prior.has_centre:
            in_range, allowed = (truncation > 0) & (truncation <= 1), "in (0, 1]"
        else:
            in_range, allowed = truncation == 1, "of 1, as a sphere has no centre"
        sentence = f"Expected truncation {allowed}; received a range of"
        with _expecting(_expect(tf.reduce_all(in_range), sentence, _range(truncation))):
            return {"latent": gan.prior.latent(seed, truncation)}

    def sample(seed: tf.Tensor) -> dict[str, tf.Tensor]:
        return generate(gan.prior.latent(seed))

    def sample_truncated(seed: tf.Tensor, truncation: tf.Tensor) -> dict[str, tf.Tensor]:
        return generate(noise(seed, truncation)["latent"])

    def sample_png(seed: tf.Tensor) -> dict[str, tf.Tensor]:
        pixels = images.to_uint8(sample(seed)["images"])
        return {"png_bytes": tf.map_fn(tf.io.encode_png, pixels, fn_output_signature=tf.string)}

    def discriminate(images: tf.Tensor) -> dict[str, tf.Tensor]:
        in_range = tf.reduce_all((images >= 0) & (images <= 1))
        sentence = "Expected images in [0, 1]; received a range of"
        with _expecting(_expect(in_range, sentence, _range(images))):
            logits = tf.cast(gan.logits(images), tf.float32)
            return {"logits": logits, "probability": tf.sigmoid(logits)}

    latent = tf.TensorSpec((None, gan.prior.dimension), tf.float32, name="latent")
    seed = tf.TensorSpec((None,), tf.int64, name="seed")
    truncation = tf.TensorSpec((None,), tf.float32, name="truncation")
    pictures = tf.TensorSpec((None, *gan.image_shape), tf.float32, name="images")
    seeds = [image_seeds(n, seed=0) for n in WARM_UP_ROWS]
    drawn = [gan.sample(n, seed=0) for n in WARM_UP_ROWS]
    by_seed = [{"seed": each} for each in seeds]
    share = np.float32(0.5 if gan.prior.has_centre else 1.0)
    truncated = [{"seed": s, "truncation": np.full(len(s), share)} for s in seeds]
    found = {
        "serving_default": Signature(
            {"latent": latent},
            generate,
            [{"latent": gan.noise(n, seed=0)} for n in WARM_UP_ROWS],
        ),
        "sample": Signature({"seed": seed}, sample, by_seed),
        "sample_truncated": Signature(
            {"seed": seed, "truncation": truncation}, sample_truncated, truncated
        ),
        "sample_png": Signature({"seed": seed}, sample_png, by_seed),
        "noise": Signature({"seed": seed, "truncation": truncation}, noise, truncated),
        "discriminate": Signature(
            {"images": pictures}, discriminate, [{"images": each} for each in drawn]
        ),
    }
    return {name: _expecting_rows(each) for name, each in found.items()}


def _expecting_rows(signature: Signature) -> Signature:
    """Have the graph check the inputs' shapes, and that they have as many rows, not too many.

    A loader trusts what it is fed.
    """
    names = list(signature.inputs)

    def function(*tensors: tf.Tensor, **named: tf.Tensor) -> dict[str, tf.Tensor]:
        given = dict(zip(names, tensors, strict=False)) | named
        shaped = [tf.ensure_shape(given[name], signature.inputs[name].shape) for name in names]
        rows = tf.stack([tf.shape(each)[0] for each in shaped])
        sentence = f"Expected at most {MAX_ROWS} rows, as many of each input; received"
        fit = tf.reduce_all(rows == rows[0]) & (rows[0] <= MAX_ROWS)
        with _expecting(_expect(fit, sentence, rows)):
            return signature.function(*(tf.identity(each) for each in shaped))

    return signature._replace(function=function)


def _finite(tensor: tf.Tensor, name: str) -> tf.Operation:
    bad = tf.reduce_sum(tf.cast(~tf.math.is_finite(tensor), tf.int32))
    return _expect(bad == 0, f"Expected finite {name}; received NaN or infinity, so many:", bad)


def _expect(condition: tf.Tensor, sentence: str, value: tf.Tensor) -> tf.Operation:
    return tf.debugging.Assert(condition, [sentence, value])


def _range(tensor: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.reduce_min(tensor), tf.reduce_max(tensor)])


def _expecting(*checks: tf.Operation) -> Any:
    return tf.control_dependencies(checks)
