"""Faces, stage 2 of the paper's configuration: two new layers below the generator of `tfd_paper`.

    python -m keras_gan.train --recipe=tfd_paper --arrays=TFD_48x48.mat --workdir=runs/tfd_paper
    python -m keras_gan.train --recipe=tfd_paper_stage2 --arrays=TFD_48x48.mat

The second command goes on from runs/tfd_paper; --set generator_from=WORKDIR names another run. The
discriminator starts afresh. Goodfellow et al. 2014, Table 1: 2057 +- 26 over the folds.
"""

import dataclasses

from keras_gan.recipes import tfd_paper

RECIPE = dataclasses.replace(
    tfd_paper.RECIPE,
    name="tfd_paper_stage2",
    network=dataclasses.replace(
        tfd_paper.NETWORK,
        generator_units=(8000, 100, 8000, 8000),
        generator_activations=("relu", "sigmoid", "relu", "sigmoid"),
    ),
    generator_from="runs/tfd_paper",
    epochs=22,
)
