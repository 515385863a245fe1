"""Faces, to the letter of the paper's own configuration (github goodfeli/adversarial), stage 1.

    python -m keras_gan.train --recipe=tfd_paper --arrays=TFD_48x48.mat

Goodfellow et al. 2014, Table 1: Parzen log-likelihood 2057 +- 26 over the folds, after stage 2. The
Toronto Face Database is not public: who has it names its file. A stand-in, which says nothing about
these numbers, is any folder of faces:

    python -m keras_gan.train --recipe=tfd_paper --images=FOLDER
"""

import dataclasses

from keras_gan.config import DEFAULT_VALIDATION, MaxoutMLP, Recipe
from keras_gan.recipes import mnist_paper

NETWORK = MaxoutMLP(
    generator_units=(8000, 8000),
    generator_activations=("relu", "sigmoid"),
    sigmoid_bias=-2.0,
    output_nonzero=100,
    discriminator_units=(1200, 1200),
    max_norm=1.9365,
)

RECIPE = Recipe(
    name="tfd_paper",
    dataset="",
    validation=DEFAULT_VALIDATION,
    image_size=48,
    image_channels=1,
    made_for="TFD_48x48.mat",
    prior="normal",
    latent=100,
    network=NETWORK,
    loss="non_saturating",
    update="simultaneous",
    batch_size=100,
    d_optimizer=dataclasses.replace(mnist_paper.DISCRIMINATOR, learning_rate=0.025),
    g_optimizer=dataclasses.replace(mnist_paper.GENERATOR, learning_rate=0.05),
    ema_decay=0.9995,
    epochs=50,
)
