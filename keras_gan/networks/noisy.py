"""The pair of Salimans et al. 2016 for few labels: weight normalisation, noise in every layer."""

import math
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from keras_gan import priors
from keras_gan.few_labels import FewLabels
from keras_gan.networks.layers import WeightNormalizedDense

FEATURES = "features"  # the layer whose mean G matches, and on which a probe is trained


def build(
    options: FewLabels, *, image_shape: tuple[int, int, int], classes: int
) -> tuple[keras.Model, keras.Model]:
    """Make the pair: z -> images in [0, 1], and images -> logits, float32 [B, classes]."""
    seeds = iter(range(options.seed * 1000, options.seed * 1000 + 1000))

    def glorot() -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=next(seeds))

    # One batch, whoever shares it.
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    z = h = keras.Input((options.latent,), name="z")
    for units in options.generator_units:
        h = layers.Dense(units, use_bias=False, kernel_initializer=glorot())(h)
        h = layers.BatchNormalization(scale=False, momentum=0.9, synchronized=several)(h)
        h = layers.Activation("softplus")(h)
    pixels = math.prod(image_shape)
    # Weights that only have a direction grow as Adam turns them, and so are turned ever less: plain
    # ones left the features of samples ten times as far from those of images (MNIST, 100 labels).
    h = WeightNormalizedDense(pixels, "sigmoid", seed=next(seeds), name="pixels")(h)
    generator = keras.Model(z, layers.Reshape(image_shape)(h), name="generator")

    x = keras.Input(image_shape, name="x")
    h = layers.Flatten()(x)
    noise = options.input_noise
    for index, units in enumerate(options.discriminator_units):
        h = layers.GaussianNoise(noise, seed=next(seeds))(h)
        last = index == len(options.discriminator_units) - 1
        name = FEATURES if last else f"hidden_{index}"
        # Lengths that D could learn would let it grow as steep as it likes, and outrun G.
        h = WeightNormalizedDense(units, "relu", learn_scale=False, seed=next(seeds), name=name)(h)
        noise = options.hidden_noise
    h = layers.GaussianNoise(noise, seed=next(seeds))(h)
    logits = WeightNormalizedDense(classes, seed=next(seeds), name="logits")(h)
    return generator, keras.Model(x, logits, name="discriminator")


def start_from(discriminator: keras.Model, images: Any, seed: int) -> None:
    """Give each unit of a new discriminator mean 0 and deviation 1 on some images, with its noise.

    Args:
        discriminator: of `build`.
        images: float32 [B, H, W, C] in [0, 1].
        seed: of the noise.
    """
    h = images
    for index, layer in enumerate(discriminator.layers[1:]):
        if isinstance(layer, layers.GaussianNoise):
            draw = priors.key(seed, priors.REAL_MASKS, index)
            h += layer.stddev * tf.random.stateless_normal(h.shape, draw)
            continue
        if isinstance(layer, WeightNormalizedDense):
            layer.start_from(h)
        h = layer(h)
