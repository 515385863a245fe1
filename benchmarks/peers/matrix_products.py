"""The ceiling: float32 matrix products of TensorFlow and nothing else, large enough to be fast.

    python matrix_products.py SIDE

A step is one product of two matrices of SIDE x SIDE.
"""

import sys

import tensorflow as tf
import turns


def main() -> None:
    """Race."""
    side = int(sys.argv[1])
    matrix = tf.random.stateless_uniform((side, side), (0, 0))
    product = tf.function(lambda a: tf.matmul(a, a))

    def play(steps: int) -> None:
        for _ in range(steps):
            product(matrix).numpy()

    play(5)
    for steps in turns.turns():
        play(steps)


if __name__ == "__main__":
    main()
