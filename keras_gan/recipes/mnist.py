"""MNIST, the best digits in six minutes on two cores.

    python -m keras_gan.train --dataset=mnist

Expected: a Parzen log-likelihood of about 212 nats from the moving average and 120 from the live
weights, after 10,000 steps; the README has the measurements and their spread.

The paper's networks with a narrower generator, more dropout in the discriminator, Adam at a high
constant rate and a long moving average. In single trials of one to four minutes, by weight:
averaging over a generator that keeps moving is worth 90 nats (a cosine decay of the rates lost 40
of them: the average then follows one point); with the paper's milder dropout D won within ten
epochs; three times D's rate for G beat equal rates by 40. No trial with an R1 penalty of 0.1
collapsed, but it cost 15 to 35 nats in the same time.
"""

from keras_gan.config import MaxoutMLP, Optimizer, Recipe

RECIPE = Recipe(
    name="mnist",
    dataset="mnist",
    validation="last:10000",
    prior="uniform",
    latent=100,
    network=MaxoutMLP(
        generator_units=(800, 800),
        discriminator_units=(240, 240),
        input_dropout=0.4,
        hidden_dropout=0.6,
    ),
    loss="non_saturating",
    update="simultaneous",
    batch_size=100,
    d_optimizer=Optimizer("adam", 3e-4),
    g_optimizer=Optimizer("adam", 9e-4),
    ema_decay=0.9998,
    epochs=20,
)
