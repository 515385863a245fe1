"""MNIST, the best digits in six minutes on two cores.

python -m keras_gan.train --dataset=mnist
"""

from keras_gan.config import MaxoutMLP, Optimizer, Recipe

RECIPE = Recipe(
    name="mnist",
    dataset="mnist",
    validation="last:10000",
    prior="uniform",
    latent=100,
    network=MaxoutMLP(
        generator_units=(512, 512),
        discriminator_units=(128, 128),
        input_dropout=0.4,
        hidden_dropout=0.6,
    ),
    update="simultaneous",
    batch_size=100,
    d_optimizer=Optimizer("adam", 4e-4),
    g_optimizer=Optimizer("adam", 6e-4),
    ema_decay=0.9995,
    epochs=40,
)
