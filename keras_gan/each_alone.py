"""Which networks look at each image of a batch alone, so that batches may be put together."""

from typing import Any

import keras

_KNOWN = (
    *(keras.layers.InputLayer, keras.layers.Dense, keras.layers.Conv2D, keras.layers.Dropout),
    *(keras.layers.GaussianNoise, keras.layers.Activation, keras.layers.LeakyReLU),
    *(keras.layers.ReLU, keras.layers.Rescaling, keras.layers.Flatten, keras.layers.Reshape),
    *(keras.layers.Concatenate, keras.layers.UpSampling2D, keras.layers.ZeroPadding2D),
    *(keras.layers.AveragePooling2D, keras.layers.MaxPooling2D, keras.layers.Add),
    keras.layers.Dot,
)


def looks_at_each_alone(network: keras.Model) -> bool:
    """Say whether a network's answer on an image surely depends on no other image of its batch.

    Batch statistics do not allow that. A layer that is not known, an operation between layers and a
    model with a `call` of its own may have some; one of your own says that it has none by an
    attribute `looks_at_each_alone = True`.
    """
    return all(_alone(part) for part in _parts(network))


def _parts(network: keras.Model) -> list[Any]:
    kind = type(network)
    if kind is keras.Sequential:
        return list(network.layers)
    if kind.__name__ == "Functional" and kind.__module__.startswith("keras."):  # has no public name
        return list(network.operations)
    return [network]


def _alone(part: Any) -> bool:
    if getattr(part, "looks_at_each_alone", False):
        return True
    if isinstance(part, keras.Model):
        return _parts(part) != [part] and looks_at_each_alone(part)
    return type(part) in _KNOWN and getattr(part, "axis", -1) != 0  # nor stacks batches
