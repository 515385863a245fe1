"""MNIST, all conditionals p(x_S | x_not-S): completing digits from any part of them.

    python -m keras_gan.train --recipe=mnist_inpainting

Expected after 4,000 steps: completions that differ where the known pixels leave it open, and still
many smudges; docs/inpainting.md has the measurements, and what was tried.

The paper's networks, narrower, as both see the known pixels and the mask, too. In single trials
of one to six minutes, by completions of validation images: the adversarial loss alone made G ignore
z, with and without an R1 penalty; without one D won, too. The energy score keeps draws apart from
the first steps on; its weight, .1 to 1, changed less than more steps did.
"""

import dataclasses

from keras_gan.config import MaxoutMLP, Optimizer
from keras_gan.recipes import mnist_paper

OPTIMIZER = Optimizer("adam", 6e-4)

RECIPE = dataclasses.replace(
    mnist_paper.RECIPE,
    name="mnist_inpainting",
    inpainting=True,
    energy_score=0.2,
    network=MaxoutMLP(generator_units=(600, 600), pieces=2, input_dropout=0.0, hidden_dropout=0.2),
    update="alternating",
    r1=0.02,
    d_optimizer=OPTIMIZER,
    g_optimizer=OPTIMIZER,
    ema_decay=0.998,
    epochs=20,
    steps=4000,
    sample_every=1000,
    checkpoint_every=1000,
)
