"""All conditionals p(x_S | x_not-S), by one model: inpainting (section 7, extension 3).

"One can approximately model all conditionals p(x_S | x_not-S) where S is a subset of the indices of
x by training a family of conditional models that share parameters."

The family is one conditional GAN, whose c is what is known of an image: its known pixels, the
others 0, beside the mask that says which they are. G gets c beside z and paints what is missing; D
gets c beside the whole image. With nothing known it is p(x), an ordinary generator.
"""

import dataclasses
import math
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_gan import masks, priors, replicas
from keras_gan.conditions import Condition
from keras_gan.gan import GAN
from keras_gan.images import grid
from keras_gan.interfaces import expect_puzzles

# How often training draws each kind of mask; see `draw_masks`.
KINDS = {"half": 0.35, "quarter": 0.15, "pixels": 0.15, "box": 0.25, "nothing": 0.1}


MISSING = 0.5  # the grey of missing pixels in pictures


def parts_shape(image_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the shape of what is known of an image, which c holds flat: pixels, and the mask."""
    height, width, channels = image_shape
    return height, width, channels + 1


def width_of(image_shape: tuple[int, ...]) -> int:
    """Count the numbers in c."""
    return math.prod(parts_shape(image_shape))


def known(images: Any, mask: Any) -> Any:
    """Say what is known of images: c, float32 [B, H * W * (C + 1)].

    Args:
        images: float32 [B, H, W, C] in [0, 1].
        mask: float32 [B, H, W, 1], 1 where a pixel is known and 0 where it is missing.
    """
    c = tf.concat([images * mask, mask], axis=-1)
    return tf.reshape(c, (-1, width_of(images.shape[1:])))


def draw_masks(n: Any, height: int, width: int, draw: tf.Tensor) -> tf.Tensor:
    """Draw masks as a function of `draw`, an int64 [2] key: float32 [n, H, W, 1].

    By `KINDS`: one half of the image is missing; one quarter is, or all but one; each pixel is
    known by itself, at a rate drawn from U(0, 1) for each image; a box of any size anywhere is
    missing; or nothing is known.
    """
    uniform = tf.random.stateless_uniform((n, 6 + height * width), draw)
    kind, which, tall, wide, top, left = tf.unstack(uniform[:, :6, None, None], axis=1)  # [n, 1, 1]

    def one_of(parts: list[np.ndarray]) -> tf.Tensor:
        index = tf.cast(which[:, 0, 0] * len(parts), tf.int32)
        return tf.gather(tf.constant(np.stack(parts)[..., 0]), index)

    def within(position: tf.Tensor, side: int, place: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        length = 1 + tf.floor(size * side)
        start = tf.floor(place * (side - length + 1))
        return (position >= start) & (position < start + length)

    rows, columns = (tf.range(float(side)) for side in (height, width))
    box = within(rows[:, None], height, top, tall) & within(columns, width, left, wide)
    parts = {
        "half": one_of(list(masks.halves((height, width)).values())),
        "quarter": one_of(masks.quarters((height, width))),
        "pixels": tf.cast(tf.reshape(uniform[:, 6:], (-1, height, width)) < which, tf.float32),
        "box": tf.cast(~box, tf.float32),
        "nothing": tf.zeros_like(uniform[:, 6:]),
    }
    ends = np.cumsum([KINDS[name] for name in parts])[:-1].astype(np.float32)
    chosen = tf.reduce_sum(tf.cast(kind[:, 0] >= ends, tf.int32), axis=1)  # [n]
    drawn = tf.stack([tf.reshape(part, (-1, height * width)) for part in parts.values()], axis=1)
    return tf.reshape(tf.gather(drawn, chosen, axis=1, batch_dims=1), (-1, height, width, 1))


def energy_score(real: tf.Tensor, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Score two draws against what they are draws of, float32 [B]; its mean is least for the truth.

    |first - x| / 2 + |second - x| / 2 - |first - second| / 2, with L2 norms. Over many x no other
    distribution than theirs has a lower mean (Gneiting and Raftery 2007, "Strictly Proper Scoring
    Rules, Prediction, and Estimation"; of networks, Bouchacourt et al. 2016, "DISCO Nets"): it
    moves the game's solution no more than R1 does, and draws that are all the same pay for it.

    Args:
        real: x, float32 [B, H, W, C].
        first: a draw given what is known of it.
        second: another one.
    """

    def norm(difference: tf.Tensor) -> tf.Tensor:
        squares = tf.reduce_sum(tf.square(difference), axis=(1, 2, 3))
        return tf.sqrt(squares + 1e-6)  # whose gradient is finite where there is no difference

    return (norm(first - real) + norm(second - real) - norm(first - second)) / 2.0


@keras.saving.register_keras_serializable("keras_gan")
class Compose(keras.layers.Layer):
    """Puts the known pixels of c into what a generator made, untouched to the last bit."""

    def call(self, inputs: Any) -> Any:
        """Compose images, float32 [B, H, W, C], from made ones and c."""
        made, c = inputs
        shape = (-1, *made.shape[1:3], made.shape[3] + 1)
        c = ops.reshape(c, shape)
        return ops.where(c[..., -1:] > 0.5, c[..., :-1], made)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the images' shape."""
        return input_shape[0]


def composing(generator: keras.Model) -> keras.Model:
    """Return a generator of [z, c] whose images have the known pixels that c tells."""
    made = Compose(name="compose", dtype="float32")([generator.output, generator.inputs[1]])
    return keras.Model(generator.inputs, made, name=generator.name)


@keras.saving.register_keras_serializable("keras_gan")
class Conditionals(GAN):
    """A `GAN` that learns to complete images from any part of them.

    What it is told of a real image is its pixels under a mask that is drawn anew in each step; a
    generated image gets the same c, as labels do. Whatever only asks for samples sees those with
    nothing known.

    Args:
        generator: [z, c] -> images, float32 [B, H, W, C] in [0, 1], of which the known pixels are
            those of c; see `composing`.
        discriminator: [images, c] -> logits [B, 1].
        prior: the distribution of z.
        energy_score: weight of the energy score in G's loss; 0 for none. It keeps draws apart.
        **kwargs: those of `GAN`; no scale, num_classes or encoder.
    """

    inpaints = True  # as an export of it says

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        prior: priors.Prior,
        *,
        energy_score: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(generator, discriminator, prior, **kwargs)
        if self.encoder is not None:
            raise ValueError("Expected no encoder of a model of all conditionals; received one.")
        if self.scale is not None or self.condition != Condition(width_of(self.image_shape)):
            raise ValueError(
                f"Expected networks that are told {width_of(self.image_shape)} numbers, an image "
                "and its mask, and neither scale nor num_classes; received networks told "
                f"{self.condition.width}, scale={self.scale}, num_classes={self.num_classes}."
            )
        self.energy_score = energy_score
        self.condition = dataclasses.replace(self.condition, optional=True)

    def _split_labels(self, data: Any) -> list[Any]:
        """Return what each of the k steps tells of its images: c, float32 [m, conditions]."""
        images = data[0] if isinstance(data, tuple) else data
        return [
            known(part, self._draw_masks(replicas.rows(part), index))
            for index, part in enumerate(tf.split(images, self.d_steps))
        ]

    def _draw_masks(self, n: Any, index: int) -> tf.Tensor:
        """Draw this replica's masks of one of the k steps: they do not depend on how many play."""
        key = self._key(priors.KNOWN_PIXELS, index, of_all=True)
        drawn = draw_masks(n * replicas.number(), *self.image_shape[:2], key)
        return replicas.own_rows(drawn, n)

    def _generator_loss(
        self, logits: tf.Tensor, fake: tf.Tensor, index: int, c: Any, real: Any
    ) -> tf.Tensor:
        """Add the energy score of two completions of each image to the adversarial loss."""
        loss = super()._generator_loss(logits, fake, index, c, real)
        if not self.energy_score:
            return loss
        z = self._draw_noise(replicas.rows(real), priors.SECOND_NOISE, index)
        second = self._generate(z, priors.SECOND_MASKS, index, c)
        return loss + self.energy_score * tf.reduce_mean(energy_score(real, fake, second))

    def live(self) -> "Conditionals":
        """Return a model that shares these networks and completes with the live weights."""
        return Conditionals(self.generator, self.discriminator, self.prior, seed=self.seed)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, networks included."""
        return {**super().get_config(), "energy_score": self.energy_score}

    def puzzles(self, images: np.ndarray, *, seed: int = 0) -> np.ndarray:
        """Say what is known of images, float32 [n, H, W, C], under masks as training draws them.

        Args:
            images: in [0, 1].
            seed: of the masks.

        Returns:
            c, float32 [n, conditions].
        """
        key = priors.key(seed, priors.KNOWN_PIXELS, 0)
        drawn = draw_masks(len(images), *self.image_shape[:2], key)
        return known(tf.constant(images), drawn).numpy()

    def inpaint(self, images: np.ndarray, masks: np.ndarray, *, seed: int) -> np.ndarray:
        """Paint what is missing of images; another seed paints it differently.

        Args:
            images: float32 [n, H, W, C] in [0, 1]; what they have where masks are 0 is not used.
            masks: float32 [n, H, W, 1], or one of [H, W, 1] for all: 1 where a pixel is known, 0
                where it is missing.
            seed: of the noise; image i gets that of the number seed * 2**32 + i.

        Returns:
            float32 [n, H, W, C] in [0, 1], the known pixels untouched to the last bit.

        Raises:
            UserError: if they have other shapes or values.
        """
        masks = expect_puzzles(images, masks, self.image_shape)
        c = known(tf.constant(images), tf.constant(masks)).numpy()
        return self.sample(len(images), seed=seed, labels=c)


class Inpainter(Protocol):
    """Anything that completes images: a `Conditionals`, or an export of one."""

    def inpaint(self, images: np.ndarray, masks: np.ndarray, *, seed: int) -> np.ndarray:
        """Paint what is missing, as `Conditionals.inpaint` does."""
        ...


def cells(
    inpainter: Inpainter, images: np.ndarray, masks: np.ndarray, *, draws: int, seed: int
) -> np.ndarray:
    """Make a row for each image: what is known of it, several draws, and the image.

    Args:
        inpainter: paints.
        images: float32 [n, H, W, C] in [0, 1].
        masks: float32 [n, H, W, 1], or one of [H, W, 1] for all: 1 where a pixel is known.
        draws: of seed, seed + 1, ...
        seed: of the first draw.

    Returns:
        float32 [n, draws + 2, H, W, C]; what is missing is grey in the first column.
    """
    hidden = images * masks + MISSING * (1.0 - masks)
    drawn = [inpainter.inpaint(images, masks, seed=(seed + i) % 2**32) for i in range(draws)]
    return np.stack([hidden, *drawn, images], axis=1)


def picture(rows: np.ndarray) -> np.ndarray:
    """Draw what `cells` made, uint8 [H', W', C]."""
    return grid(rows.reshape(-1, *rows.shape[2:]), rows.shape[1])
