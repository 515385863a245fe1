"""Count the arithmetic of a step: what no implementation can leave out."""

import math

import keras


def forward(network: keras.Model) -> list[tuple[float, bool]]:
    """Count each layer's floating point operations for one image, in the order of the layers.

    Only matrix products and convolutions count: a multiplication and an addition for each weight
    and place.

    Returns:
        Pairs of the count and whether the layer is the first that has weights.
    """
    counts = []
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dense):
            counts.append(2.0 * math.prod(layer.kernel.shape))
        elif isinstance(layer, keras.layers.Conv2DTranspose):  # a convolution's backward pass
            places = math.prod(layer.input.shape[1:3])
            counts.append(2.0 * places * math.prod(layer.kernel.shape))
        elif isinstance(layer, keras.layers.Conv2D):
            places = math.prod(layer.output.shape[1:3])
            counts.append(2.0 * places * math.prod(layer.kernel.shape))
    return [(count, index == 0) for index, count in enumerate(counts)]


def step(
    generator: keras.Model, discriminator: keras.Model, batch_size: int, *, alternating: bool
) -> float:
    """Count a round of k = 1, in floating point operations.

    Args:
        generator: built.
        discriminator: built.
        batch_size: m of Algorithm 1.
        alternating: whether G's step has noise of its own; a simultaneous one goes on from the
            images and logits of D's.
    """
    g, d = forward(generator), forward(discriminator)

    def all_of(layers: list[tuple[float, bool]]) -> float:
        return sum(count for count, _ in layers)

    def behind_first(layers: list[tuple[float, bool]]) -> float:
        return sum(count for count, first in layers if not first)

    total = all_of(g) + 2 * all_of(d)  # G(z); D on real and on generated images
    total += 2 * (all_of(d) + behind_first(d))  # to D's weights, through all but its first layer
    if alternating:
        total += all_of(g) + all_of(d)
    total += all_of(d)  # through D to the images
    total += all_of(g) + behind_first(g)  # to G's weights
    return total * batch_size
