"""Networks: a recipe's options -> the pair (generator, discriminator).

Generators map z, float32 [B, latent], to images, float32 [B, H, W, C] in [0, 1].
Discriminators map images to logits, float32 [B, 1]; never to probabilities.
"""

from collections.abc import Callable

import keras
import numpy as np

from keras_gan import config
from keras_gan.networks import dcgan, mlp

_BUILDERS: dict[type, Callable[..., tuple[keras.Model, keras.Model]]] = {
    config.MaxoutMLP: mlp.build,
    config.DCGAN: dcgan.build,
}


def build_networks(
    options: config.Network,
    *,
    latent: int,
    image_shape: tuple[int, int, int],
    pixel_mean: np.ndarray | None = None,
    seed: int = 0,
    dtype: str = "float32",
) -> tuple[keras.Model, keras.Model]:
    """Make the pair of networks that `options` describes.

    Args:
        options: one of the network dataclasses of `config`.
        latent: number of dimensions of z.
        image_shape: (H, W, C).
        pixel_mean: the training images' mean, [H, W, C] in [0, 1]; the generator starts from it.
        seed: of the initial weights.
        dtype: "float32", or "bfloat16" for the hidden layers' arithmetic; weights stay float32.

    Returns:
        (generator, discriminator), built.
    """
    policy = "mixed_bfloat16" if dtype == "bfloat16" else dtype
    generator, discriminator = _BUILDERS[type(options)](
        options, latent=latent, image_shape=image_shape, seed=seed, dtype=policy
    )
    if pixel_mean is not None:
        _start_from_mean(generator, pixel_mean)
    return generator, discriminator


def _start_from_mean(generator: keras.Model, pixel_mean: np.ndarray) -> None:
    """Set the output bias to the inverse sigmoid of the mean, as the paper's configuration does.

    A bias per pixel takes the mean image, a bias per channel the mean colour.
    """
    bias = generator.get_layer("pixels").bias
    if bias.shape[0] != pixel_mean.size:
        pixel_mean = pixel_mean.mean(axis=(0, 1))
    mean = np.clip(pixel_mean.astype(np.float64), 1e-7, 1 - 1e-7)
    bias.assign(np.log(mean / (1 - mean)).reshape(-1).astype(np.float32))
