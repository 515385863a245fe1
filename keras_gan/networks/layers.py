"""Layers that Keras does not have."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_gan")
class Maxout(keras.layers.Layer):
    """The largest of several linear pieces (Goodfellow et al. 2013, "Maxout Networks").

    Maps [B, pieces * units] to [B, units]; put it behind a `Dense` of `pieces * units` units.

    Args:
        pieces: linear pieces of each unit.
    """

    def __init__(self, pieces: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.pieces = pieces

    def call(self, inputs: Any) -> Any:
        """Take the maximum over the pieces."""
        # A chain of maxima costs half of a reduction over an axis of five, with its gradient.
        result, *rest = ops.split(inputs, self.pieces, axis=-1)
        for piece in rest:
            result = ops.maximum(result, piece)
        return result  # [B, units]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Divide the last dimension by the number of pieces."""
        assert input_shape[-1] is not None
        return (*input_shape[:-1], input_shape[-1] // self.pieces)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "pieces": self.pieces}
