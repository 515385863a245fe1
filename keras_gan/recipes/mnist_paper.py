"""MNIST, to the letter of the paper's own configuration (github goodfeli/adversarial, mnist.yaml).

    python -m keras_gan.train --recipe=mnist_paper

Goodfellow et al. 2014, Table 1: Parzen log-likelihood 225 +- 2. The configuration has no stopping
rule ("stopped by hand"); the 250 epochs are those over which its momentum rises. The moving
average is ours; it changes nothing in training, and `evaluate --live` judges without it.
"""

from keras_gan.config import MaxoutMLP, Optimizer, Recipe

GENERATOR = Optimizer(
    name="momentum",
    learning_rate=0.1,
    momentum=0.5,
    final_momentum=0.7,
    momentum_epochs=250,
    decay=1.000004,
    minimum=1e-6,
)

# The configuration minimises half of -V(D, G); ours minimises -V(D, G) at half the rate.
DISCRIMINATOR = Optimizer(
    name="momentum",
    learning_rate=0.05,
    momentum=0.5,
    final_momentum=0.7,
    momentum_epochs=250,
    decay=1.000004,
    minimum=5e-7,
)

RECIPE = Recipe(
    name="mnist_paper",
    dataset="mnist",
    validation="last:10000",
    prior="uniform",
    latent=100,
    network=MaxoutMLP(),
    loss="non_saturating",
    update="simultaneous",
    d_steps=1,
    batch_size=100,
    d_optimizer=DISCRIMINATOR,
    g_optimizer=GENERATOR,
    ema_decay=0.9995,
    epochs=250,
)
