"""What an exported generator answers: its signatures, and what they refuse.

Every input and output has the request's images as its first dimension, so that a server may put
requests together. What is out of range is refused inside the graph, with a sentence, as
INVALID_ARGUMENT: a server needs no other code.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_gan import conditionals, images, masks
from keras_gan.gan import GAN
from keras_gan.inference import Inference
from keras_gan.interfaces import MAX_ROWS, image_seeds

WARM_UP_ROWS = (1, 16)


class Signature(NamedTuple):
    """A function of the graph: what it takes, what it does, and requests to try it with."""

    inputs: dict[str, tf.TensorSpec]
    function: Callable[..., dict[str, tf.Tensor]]
    requests: list[dict[str, np.ndarray]]


def build(
    gan: GAN, inference: Inference | None = None, classifier: keras.Model | None = None
) -> dict[str, Signature]:
    """Make the signatures of a model, which draw from its moving average where there is one.

    Returns:
        `serving_default`: latent, float32 [N, d] -> images, float32 [N, H, W, C] in [0, 1].
        `sample`: seed, int64 [N] -> the images that `gan.sample` gives for these image seeds.
        `sample_truncated`: seed and truncation, float32 [N] in (0, 1] -> the same, nearer to what
        is typical.
        `sample_png`: seed -> png_bytes, strings [N]; `_bytes` has REST answer in base64.
        `noise`: seed and truncation -> the latent vectors of these images.
        `discriminate`: images -> logits and probability, float32 [N], that they are real.
        With an inference network also `infer`: images -> latent, what they may have been made from;
        and `reconstruct`: images -> the images that the generator makes of that.
        With a classifier, images -> class logits [N, K], also `classify`: images -> label, int64
        [N], and probabilities, float32 [N, K].
        Of a model of all conditionals also `inpaint`: images, masks, float32 [N, H, W, 1] of 1
        where a pixel is known and 0 elsewhere, and seed -> images with the others painted. The
        other signatures are of p(x), with nothing known.
        All but `noise` also take what a conditional model is told: label, int64 [N] in [0, K), of a
        model of classes; condition, float32 [N, c], of one of vectors.
    """

    def told(labels: tuple[tf.Tensor, ...]) -> list[tf.Operation]:
        """Check labels, of which a conditional model has one tensor and others none."""
        return [_expect_labels(gan, each) for each in labels]

    def generate(latent: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        with _expecting(_finite(latent, "latent"), *told(labels)):
            return {"images": tf.cast(gan(latent, *labels), tf.float32)}

    def noise(seed: tf.Tensor, truncation: tf.Tensor) -> dict[str, tf.Tensor]:
        if gan.prior.has_centre:
            in_range, allowed = (truncation > 0) & (truncation <= 1), "in (0, 1]"
        else:
            in_range, allowed = truncation == 1, "of 1, as a sphere has no centre"
        sentence = f"Expected truncation {allowed}; received a range of"
        with _expecting(_expect(tf.reduce_all(in_range), sentence, _range(truncation))):
            return {"latent": gan.prior.latent(seed, truncation)}

    def sample(seed: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        return generate(gan.prior.latent(seed), *labels)

    def sample_truncated(
        seed: tf.Tensor, truncation: tf.Tensor, *labels: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return generate(noise(seed, truncation)["latent"], *labels)

    def sample_png(seed: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        pixels = images.to_uint8(sample(seed, *labels)["images"])
        return {"png_bytes": tf.map_fn(tf.io.encode_png, pixels, fn_output_signature=tf.string)}

    def discriminate(images: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        with _expecting(_pixels(images), *told(labels)):
            logits = tf.cast(gan.logits(images, *labels), tf.float32)
            return {"logits": logits, "probability": tf.sigmoid(logits)}

    def infer(images: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        assert inference is not None
        with _expecting(_pixels(images), *told(labels)):
            return {"latent": inference(gan.rescaled(images), *labels)}

    def reconstruct(images: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        return generate(infer(images, *labels)["latent"], *labels)

    def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
        assert classifier is not None
        with _expecting(_pixels(images)):
            logits = tf.cast(classifier(images, training=False), tf.float32)
            return {"label": tf.argmax(logits, axis=1), "probabilities": tf.nn.softmax(logits)}

    def inpaint(images: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        with _expecting(_pixels(images), _two_valued(mask)):
            return generate(gan.prior.latent(seed), conditionals.known(images, mask))

    latent = tf.TensorSpec((None, gan.prior.dimension), tf.float32, name="latent")
    seed = tf.TensorSpec((None,), tf.int64, name="seed")
    truncation = tf.TensorSpec((None,), tf.float32, name="truncation")
    pictures = tf.TensorSpec((None, *gan.image_shape), tf.float32, name="images")
    given = {gan.condition.spec.name: gan.condition.spec} if gan.condition.required else {}
    labels = [{name: _warm_up_labels(gan, n) for name in given} for n in WARM_UP_ROWS]
    drawn = [
        gan.sample(n, seed=0, labels=next(iter(each.values()), None))
        for n, each in zip(WARM_UP_ROWS, labels, strict=True)
    ]
    seeds = [{"seed": image_seeds(n, seed=0)} for n in WARM_UP_ROWS]
    share = np.float32(0.5 if gan.prior.has_centre else 1.0)
    shares = [{"truncation": np.full(n, share)} for n in WARM_UP_ROWS]

    def requests(*inputs: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        """Put each input's arrays for both requests together."""
        return [{k: v for each in parts for k, v in each.items()} for parts in zip(*inputs)]  # noqa: B905

    found = {
        "serving_default": Signature(
            {"latent": latent, **given},
            generate,
            requests([{"latent": gan.noise(n, seed=0)} for n in WARM_UP_ROWS], labels),
        ),
        "sample": Signature({"seed": seed, **given}, sample, requests(seeds, labels)),
        "sample_truncated": Signature(
            {"seed": seed, "truncation": truncation, **given},
            sample_truncated,
            requests(seeds, shares, labels),
        ),
        "sample_png": Signature({"seed": seed, **given}, sample_png, requests(seeds, labels)),
        "noise": Signature(
            {"seed": seed, "truncation": truncation}, noise, requests(seeds, shares)
        ),
        "discriminate": Signature(
            {"images": pictures, **given},
            discriminate,
            requests([{"images": each} for each in drawn], labels),
        ),
    }
    if inference is not None:
        for name, function in (("infer", infer), ("reconstruct", reconstruct)):
            found[name] = found["discriminate"]._replace(function=function)
    if classifier is not None:
        found["classify"] = found["discriminate"]._replace(function=classify)
    if isinstance(gan, conditionals.Conditionals):
        holes = tf.TensorSpec((None, *gan.image_shape[:2], 1), tf.float32, name="masks")
        top = masks.halves(gan.image_shape)["top"]
        asked = [{"masks": np.repeat(top[None], n, axis=0)} for n in WARM_UP_ROWS]
        found["inpaint"] = Signature(
            {"images": pictures, "masks": holes, "seed": seed},
            inpaint,
            requests([{"images": each} for each in drawn], asked, seeds),
        )
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


def _warm_up_labels(gan: GAN, n: int) -> np.ndarray:
    """Make labels to try a conditional model with: its classes in turn, or vectors of zeros."""
    width = gan.condition.width
    labels = gan.condition.labels(n, None if gan.num_classes else np.zeros((n, width)))
    assert labels is not None
    return labels


def _expect_labels(gan: GAN, labels: tf.Tensor) -> tf.Operation:
    """Check that labels are classes, or finite."""
    if not gan.num_classes:
        return _finite(labels, gan.condition.spec.name)
    known = tf.reduce_all((labels >= 0) & (labels < gan.num_classes))
    sentence = f"Expected label in [0, {gan.num_classes}); received a range of"
    return _expect(known, sentence, _range(labels))


def _pixels(images: tf.Tensor) -> tf.Operation:
    in_range = tf.reduce_all((images >= 0) & (images <= 1))
    return _expect(in_range, "Expected images in [0, 1]; received a range of", _range(images))


def _two_valued(mask: tf.Tensor) -> tf.Operation:
    others = tf.reduce_sum(tf.cast((mask != 0) & (mask != 1), tf.int32))
    return _expect(
        others == 0, "Expected masks of 0 and 1; received other values, so many:", others
    )


def _finite(tensor: tf.Tensor, name: str) -> tf.Operation:
    bad = tf.reduce_sum(tf.cast(~tf.math.is_finite(tensor), tf.int32))
    return _expect(bad == 0, f"Expected finite {name}; received NaN or infinity, so many:", bad)


def _expect(condition: tf.Tensor, sentence: str, value: tf.Tensor) -> tf.Operation:
    return tf.debugging.Assert(condition, [sentence, value])


def _range(tensor: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.reduce_min(tensor), tf.reduce_max(tensor)])


def _expecting(*checks: tf.Operation) -> Any:
    return tf.control_dependencies(checks)
