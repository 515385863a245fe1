"""Which networks look at each image of a batch alone, so that batches may be put together."""

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

    Batch statistics do not allow that, and a layer that is not known may have some; one of your own
    says that it has none by an attribute `looks_at_each_alone = True`.
    """
    return all(
        looks_at_each_alone(layer)
        if isinstance(layer, keras.Model)
        else type(layer) in _KNOWN or getattr(layer, "looks_at_each_alone", False)
        for layer in network.layers
    )
