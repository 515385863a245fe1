"""CIFAR-10, fully connected, to the letter of the paper's own configuration.

    python -m keras_gan.train --recipe=cifar10_fc_paper --epochs=EPOCHS

Its samples are Figure 2 c of Goodfellow et al. 2014; the configuration (github
goodfeli/adversarial) has no stopping rule and the paper no number.
"""

import dataclasses

from keras_gan.config import MaxoutMLP, Recipe
from keras_gan.recipes import mnist_paper

NETWORK = MaxoutMLP(
    generator_units=(8000, 8000),
    generator_activations=("relu", "sigmoid"),
    output_range=0.5,
    discriminator_units=(1600, 1600),
)

RECIPE = Recipe(
    name="cifar10_fc_paper",
    dataset="cifar10",
    validation="last:10000",
    scale="contrast",
    prior="normal",
    latent=100,
    network=NETWORK,
    loss="non_saturating",
    update="simultaneous",
    batch_size=100,
    d_optimizer=dataclasses.replace(mnist_paper.DISCRIMINATOR, learning_rate=0.0125),
    g_optimizer=dataclasses.replace(mnist_paper.GENERATOR, learning_rate=0.025),
    ema_decay=0.9995,
    epochs=100,
)
