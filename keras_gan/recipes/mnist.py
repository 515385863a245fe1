"""MNIST, the best digits in a few minutes on two cores.

    python -m keras_gan.train --dataset=mnist

Expected: EXPECTED

The paper's networks and dropout, trained by Algorithm 1 with Adam and a decay of the generator's
weights, as in `mnist_paper_tuned`, but at constant rates to the end: what an export holds is the
moving average, and it is at its best over a generator that keeps moving.
"""

import dataclasses

from keras_gan.config import Optimizer
from keras_gan.recipes import mnist_paper

RECIPE = dataclasses.replace(
    mnist_paper.RECIPE,
    name="mnist",
    update="alternating",
    d_optimizer=Optimizer("adam", 2e-4),
    g_optimizer=Optimizer("adam", 6e-4, weight_decay=0.3),
    ema_decay=0.9998,
    epochs=16,
)
