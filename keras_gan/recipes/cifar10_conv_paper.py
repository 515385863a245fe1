"""CIFAR-10, convolutional, to the letter of the paper's own configuration.

    python -m keras_gan.train --recipe=cifar10_conv_paper --epochs=EPOCHS

Its samples are Figure 2 d of Goodfellow et al. 2014; the configuration (github
goodfeli/adversarial) has no stopping rule and the paper no number.
"""

import dataclasses

from keras_gan.config import MaxoutConv
from keras_gan.recipes import cifar10_fc_paper, mnist_paper

RECIPE = dataclasses.replace(
    cifar10_fc_paper.RECIPE,
    name="cifar10_conv_paper",
    network=MaxoutConv(),
    batch_size=128,
    d_optimizer=dataclasses.replace(mnist_paper.DISCRIMINATOR, learning_rate=0.002),
    g_optimizer=dataclasses.replace(mnist_paper.GENERATOR, learning_rate=0.004),
)
