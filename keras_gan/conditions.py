"""What a conditional pair is told beside z and x: the c of p(x|c), a class or a vector."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gan.interfaces import UserError


@dataclasses.dataclass(frozen=True)
class Condition:
    """What c is: nothing, one of several classes (one-hot to the networks), or any vector.

    Args:
        width: numbers in c, float32 [B, width], as the networks get it; 0 for none.
        num_classes: K, if labels are class numbers in [0, K); None if they are vectors.
        optional: whether nothing may be told: the networks get zeros then.
    """

    width: int = 0
    num_classes: int | None = None
    optional: bool = False

    def __bool__(self) -> bool:
        """Say whether there is a c."""
        return self.width > 0

    @property
    def required(self) -> bool:
        """Say whether there is a c that must be told."""
        return bool(self) and not self.optional

    @property
    def spec(self) -> tf.TensorSpec:
        """Describe labels, by the name that a server's requests have for them."""
        if self.num_classes:
            return tf.TensorSpec((None,), tf.int64, name="label")
        return tf.TensorSpec((None, self.width), tf.float32, name="condition")

    def vectors(self, labels: Any) -> tf.Tensor:
        """Write labels as the networks get them: float32 [B, width].

        Args:
            labels: class numbers [B], or vectors [B, width].

        Raises:
            ValueError: if they have another shape or type; other class numbers fail in the graph.
        """
        labels = tf.convert_to_tensor(labels)
        whole = labels.dtype.is_integer
        wanted = (None,) if self.num_classes else (None, self.width)
        if not labels.shape.is_compatible_with(wanted) or (self.num_classes and not whole):
            raise ValueError(
                f"Expected {self._expected('B')}; received {labels.dtype.name} of shape "
                f"{labels.shape}."
            )
        if not self.num_classes:
            return tf.cast(labels, tf.float32)
        labels = tf.cast(labels, tf.int64)
        known = tf.reduce_all((labels >= 0) & (labels < self.num_classes))
        sentence = f"Expected labels in [0, {self.num_classes}); received"
        # A row of zeros would be no class, and nobody would notice.
        with tf.control_dependencies([tf.debugging.Assert(known, [sentence, labels])]):
            return tf.one_hot(labels, self.num_classes)  # [B, K]

    def labels(self, n: int, labels: Any = None) -> np.ndarray | None:
        """Check what somebody asks for, and choose for who does not.

        Args:
            n: images.
            labels: class numbers [n], or vectors [n, width]; None for the classes in turn, so that
                whatever only calls `sample` sees all of them.

        Returns:
            int64 [n] or float32 [n, width]; None without a c, or one that is told nothing.

        Raises:
            UserError: if they are not of this form, or vectors are missing.
        """
        if not self:
            if labels is not None:
                raise UserError(
                    "Expected no labels: this model is not conditional; received "
                    f"labels={_shown(labels)}. Try training with --set conditional=true."
                )
            return None
        if labels is None and self.optional:
            return None
        if labels is None and self.num_classes:
            return np.arange(n) % self.num_classes
        given = np.asarray(labels if labels is not None else [], dtype=None)
        shape = (n,) if self.num_classes else (n, self.width)
        fits = labels is not None and given.shape == shape and given.dtype.kind in "iuf"
        if fits and self.num_classes:
            if np.isin(given, np.arange(self.num_classes)).all():
                return given.astype(np.int64)
        elif fits and np.isfinite(given).all():
            return given.astype(np.float32)
        raise UserError(f"Expected {self._expected(str(n))}; received labels={_shown(labels)}.")

    def _expected(self, n: str) -> str:
        if self.num_classes:
            return f"labels [{n}], whole numbers in [0, {self.num_classes})"
        return f"labels [{n}, {self.width}], a vector of finite numbers for each image"


def of(generator: keras.Model, discriminator: keras.Model, num_classes: int | None) -> Condition:
    """Find out what a pair of networks is told.

    Raises:
        ValueError: if the two, or the number of classes, do not agree.
    """
    widths = [width_of(generator, "generator"), width_of(discriminator, "discriminator")]
    if widths[0] != widths[1]:
        raise ValueError(
            "Expected a generator of [z, c] and a discriminator of [x, c] with equally many "
            f"numbers in c, or neither with a c; received {widths[0]} and {widths[1]}."
        )
    if num_classes is not None and not 0 < num_classes == widths[0]:
        raise ValueError(
            "Expected networks whose second input is [num_classes] wide; received "
            f"{num_classes=} and networks with {widths[0]} numbers in c."
        )
    return Condition(widths[0], num_classes)


def joined(inputs: Any, c: Any) -> Any:
    """Put an input and its c together as a network takes them; c of None is no c."""
    return inputs if c is None else [inputs, c]


def width_of(network: keras.Model, name: str) -> int:
    """Count the numbers in a network's c, its second input; 0 if it has none."""
    inputs = getattr(network, "inputs", None) or []
    if len(inputs) < 2:
        return 0
    if len(inputs) > 2 or len(inputs[1].shape) != 2:
        raise ValueError(
            f"Expected a {name} with one input, or a second one of shape [B, numbers in c]; "
            f"received inputs of shapes {[tuple(each.shape) for each in inputs]}."
        )
    return int(inputs[1].shape[1])


def _shown(labels: Any) -> str:
    """Write labels for a message."""
    if labels is None or np.ndim(labels) == 0:
        return repr(labels)
    text = np.array2string(np.asarray(labels), threshold=8, separator=", ")
    return f"{' '.join(text.split())} of shape {np.shape(labels)}"
