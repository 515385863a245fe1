"""The encoder of learned inference: an image -> numbers for each dimension of z."""

import keras
from keras import layers

from keras_gan.conditions import joined
from keras_gan.networks.layers import condition_input, with_condition


def build_encoder(
    units: tuple[int, ...],
    *,
    image_shape: tuple[int, int, int],
    latent: int,
    conditions: int = 0,
    seed: int = 0,
) -> keras.Model:
    """Make a fully connected encoder, built.

    Args:
        units: width of each hidden ReLU layer.
        image_shape: (H, W, C).
        latent: number of dimensions of z.
        conditions: numbers in c, the second input; 0 for none.
        seed: of the initial weights.
    """
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))

    def initializer() -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=next(seeds))

    x = keras.Input(image_shape, name="x")
    c = condition_input(conditions)
    h = with_condition(layers.Flatten()(x), c, "float32")
    for index, width in enumerate(units):
        h = layers.Dense(width, "relu", kernel_initializer=initializer(), name=f"hidden_{index}")(h)
    z = layers.Dense(latent, kernel_initializer=initializer(), name="z")(h)
    return keras.Model(joined(x, c), z, name="encoder")
