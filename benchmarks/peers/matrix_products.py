"""The ceiling: float32 matrix products of TensorFlow and nothing else, large enough to be fast.

    python matrix_products.py

A step is one product of two matrices of SIDE x SIDE.
"""

import tensorflow as tf
import turns

SIDE = 1500


def main() -> None:
    """Race."""
    matrix = tf.random.stateless_uniform((SIDE, SIDE), (0, 0))
    product = tf.function(lambda a: tf.matmul(a, a))

    def play(steps: int) -> None:
        for _ in range(steps):
            product(matrix).numpy()

    play(5)
    for steps in turns.turns():
        play(steps)


if __name__ == "__main__":
    main()
