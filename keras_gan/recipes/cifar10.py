"""CIFAR-10 with a convolutional pair small enough to train on a CPU.

    python -m keras_gan.train --dataset=cifar10

Expected: 6,250 steps in about nine minutes on two cores; blobs in its colours, not yet
objects. It is a start that runs anywhere, not a result.
"""

from keras_gan.config import DCGAN, Optimizer, Recipe

RECIPE = Recipe(
    name="cifar10",
    dataset="cifar10",
    validation="last:10000",
    prior="normal",
    latent=100,
    network=DCGAN(filters=16),
    update="alternating",
    batch_size=64,
    r1=0.01,
    d_optimizer=Optimizer("adam", 5e-4),
    g_optimizer=Optimizer("adam", 2e-4),
    ema_decay=0.999,
    epochs=10,
    log_every=50,
    sample_every=500,
    checkpoint_every=500,
)
