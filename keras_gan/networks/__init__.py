"""Networks: a recipe's options -> the pair (generator, discriminator).

Generators map z, float32 [B, latent], to images, float32 [B, H, W, C], in [0, 1] if their output is
"sigmoid"; "linear" ones make what the networks see, which a `Scale` turns into pixels.
Discriminators map images to logits, float32 [B, 1]; never to probabilities. Conditional pairs map
[z, c] and [images, c], with c float32 [B, conditions].
"""

import math
from collections.abc import Callable

import keras
import numpy as np

from keras_gan import config
from keras_gan.networks import conv, dcgan, mlp

_BUILDERS: dict[type, Callable[..., tuple[keras.Model, keras.Model]]] = {
    config.MaxoutMLP: mlp.build,
    config.MaxoutConv: conv.build,
    config.DCGAN: dcgan.build,
}


def build_networks(
    options: config.Network,
    *,
    latent: int,
    image_shape: tuple[int, int, int],
    output: str = "sigmoid",
    pixel_mean: np.ndarray | None = None,
    seed: int = 0,
    dtype: str = "float32",
    conditions: int | tuple[int, int, int] = 0,
) -> tuple[keras.Model, keras.Model]:
    """Make the pair of networks that `options` describes.

    Args:
        options: one of the network dataclasses of `config`.
        latent: number of dimensions of z.
        image_shape: (H, W, C).
        output: the generator's last activation, "sigmoid" or "linear".
        pixel_mean: the training images' mean, [H, W, C] in [0, 1]; a sigmoid starts from it.
        seed: of the initial weights.
        dtype: "float32", or "bfloat16" or "float16" for the hidden layers' arithmetic; weights stay
            float32.
        conditions: numbers in c, the second input of both networks; 0 for none. Or the shape of
            maps, (H, W, channels), that c holds flat.

    Returns:
        (generator, discriminator), built.
    """
    policy = dtype if dtype == "float32" else f"mixed_{dtype}"
    generator, discriminator = _BUILDERS[type(options)](
        options,
        latent=latent,
        image_shape=image_shape,
        output=output,
        seed=seed,
        dtype=policy,
        conditions=conditions,
    )
    if pixel_mean is not None and output == "sigmoid":
        start_from_mean(generator, pixel_mean)
    return generator, discriminator


def start_from_mean(generator: keras.Model, pixel_mean: np.ndarray) -> None:
    """Set the output bias to the inverse sigmoid of the mean, as the paper's configuration does.

    A bias per pixel takes the mean image, a bias per channel the mean colour.

    Args:
        generator: whose last layer of weights is called "pixels".
        pixel_mean: [H, W, C] in [0, 1].
    """
    bias = generator.get_layer("pixels").bias
    if math.prod(bias.shape) != pixel_mean.size:
        pixel_mean = pixel_mean.mean(axis=(0, 1))
    mean = np.clip(pixel_mean.astype(np.float64), 1e-7, 1 - 1e-7)
    bias.assign(np.log(mean / (1 - mean)).reshape(bias.shape).astype(np.float32))


def continue_from(generator: keras.Model, earlier: keras.Model) -> None:
    """Copy an earlier generator's layers into the last ones of a deeper generator.

    So the paper trained its second generator of faces: new layers below the first one's.

    Args:
        generator: whose weights are set.
        earlier: whose weights are copied, layer by layer from the output down.

    Raises:
        ValueError: if a pair of layers differs in shape.
    """
    ours, theirs = (
        [layer for layer in network.layers if layer.weights] for network in (generator, earlier)
    )
    pairs = list(zip(reversed(ours), reversed(theirs), strict=False))
    for own, other in pairs:
        shapes = [[tuple(weight.shape) for weight in layer.weights] for layer in (own, other)]
        if len(ours) < len(theirs) or shapes[0] != shapes[1]:
            raise ValueError(
                f"Expected the earlier generator's {len(theirs)} layers as the last ones of "
                f"{len(ours)}; received {other.name} with weights of {shapes[1]} where {own.name} "
                f"has {shapes[0]}."
            )
    for own, other in pairs:
        own.set_weights(other.get_weights())
