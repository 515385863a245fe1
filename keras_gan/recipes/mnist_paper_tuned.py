"""MNIST with the paper's networks, dropout, loss, update and optimizer, but other rates.

python -m keras_gan.train --recipe=mnist_paper_tuned
"""

import dataclasses

from keras_gan.config import Optimizer
from keras_gan.recipes import mnist_paper

DISCRIMINATOR = Optimizer(
    "momentum", 0.075, momentum=0.5, final_momentum=0.5, schedule="linear", hold=0.7
)

RECIPE = dataclasses.replace(
    mnist_paper.RECIPE,
    name="mnist_paper_tuned",
    d_optimizer=DISCRIMINATOR,
    g_optimizer=dataclasses.replace(DISCRIMINATOR, learning_rate=0.3),
    ema_decay=0.9999,
    epochs=120,
)
