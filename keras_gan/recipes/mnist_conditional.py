"""MNIST by class, p(x|c): a convolutional pair with a projection discriminator.

python -m keras_gan.train --recipe=mnist_conditional

"""

from keras_gan.config import DCGAN, Optimizer, Recipe

RECIPE = Recipe(
    name="mnist_conditional",
    dataset="mnist",
    validation="last:10000",
    prior="normal",
    latent=100,
    network=DCGAN(filters=16, conditioning="projection"),
    conditional=True,
    update="alternating",
    batch_size=64,
    r1=0.03,
    d_optimizer=Optimizer("adam", 4e-4),
    g_optimizer=Optimizer("adam", 2e-4),
    ema_decay=0.999,
    steps=6000,
    sample_every=1000,
    checkpoint_every=1000,
)
