"""Every network, loss and update, declared once for `test_conformance.py`."""

import dataclasses

from keras_gan.config import DCGAN, MaxoutConv, MaxoutMLP, Optimizer, Recipe

NETWORKS = {
    "maxout_mlp": MaxoutMLP((16, 12), (8, 6), pieces=3),
    "maxout_conv": MaxoutConv(
        (16,),
        channels=4,
        kernel=3,
        stride=2,
        discriminator_channels=(4, 6),
        kernels=(3, 2),
        pads=(1, 1),
        pools=(3, 2),
        units=6,
        unit_pieces=3,
    ),
    "dcgan": DCGAN(filters=4, dropout=0.3),
}
DECAYING = Optimizer("adam", 1e-3, weight_decay=50.0)  # as much as shows in a few steps
LOSSES = ("minimax", "non_saturating")

BASE = Recipe(
    name="case",
    dataset="random",
    latent=5,
    batch_size=8,
    d_optimizer=Optimizer("adam", 1e-3),
    g_optimizer=Optimizer("momentum", 1e-2, decay=1.0001),
    ema_decay=0.9,
    steps=6,
    log_every=2,
    sample_every=4,
    checkpoint_every=2,
)


def _case(network, loss, update):
    # Half of them with R1: only without it does D judge real and generated images at once.
    r1 = 0.1 if loss == "minimax" else 0.0
    return dataclasses.replace(
        BASE, network=NETWORKS[network], loss=loss, update=update, d_steps=2, r1=r1
    )


# Every pair of a network and a loss, each with one of the updates; where the loss is the
# non-saturating one, with something of its own besides.
CASES = {
    "maxout_conv-minimax": _case("maxout_conv", "minimax", "simultaneous"),
    "maxout_mlp-minimax": _case("maxout_mlp", "minimax", "alternating"),
    "dcgan-minimax": _case("dcgan", "minimax", "simultaneous"),
    "conditional_mlp": dataclasses.replace(
        _case("maxout_mlp", "non_saturating", "simultaneous"), conditional=True
    ),
    "conditional_projection": dataclasses.replace(
        _case("dcgan", "non_saturating", "alternating"), conditional=True, g_steps=2
    ),
    "conditional_maxout_conv": dataclasses.replace(
        _case("maxout_conv", "non_saturating", "alternating"),
        conditional=True,
        scale="contrast",
        encoder_units=(6,),
    ),
    "inpainting": dataclasses.replace(
        _case("maxout_mlp", "non_saturating", "alternating"), inpainting=True, energy_score=0.5
    ),
    "coordinated": dataclasses.replace(
        _case("dcgan", "non_saturating", "simultaneous"), max_lead=0.0005, top_share=0.5
    ),
    "no_average": dataclasses.replace(
        BASE, network=NETWORKS["maxout_mlp"], ema_decay=0.0, g_steps=3, d_steps=2
    ),
    "bfloat16": dataclasses.replace(BASE, network=NETWORKS["maxout_mlp"], compute_dtype="bfloat16"),
    "float16": dataclasses.replace(
        BASE,
        network=NETWORKS["maxout_mlp"],
        compute_dtype="float16",
        update="alternating",
        g_optimizer=DECAYING,
    ),
    "encoder": dataclasses.replace(
        BASE,
        prior="spherical",
        encoder_units=(6,),
        g_steps=2,
        g_optimizer=DECAYING,
        network=dataclasses.replace(
            NETWORKS["maxout_mlp"],
            generator_activations=("relu", "sigmoid"),
            sigmoid_bias=-2.0,
            output_nonzero=3,
            max_norm=1.0,
        ),
    ),
}


def smooth(recipe: Recipe, rate: float) -> Recipe:
    """Return a recipe whose steps two ways of computing can be compared by.

    No dropout, whose masks they draw differently; momentum, as Adam's first steps turn a rounding
    error into a step of full size.
    """
    names = ("dropout", "input_dropout", "hidden_dropout")
    off = {name: 0.0 for name in names if hasattr(recipe.network, name)}
    optimizer = Optimizer("momentum", rate)
    decay = 0.1 / rate if recipe.g_optimizer.weight_decay else 0.0
    return dataclasses.replace(
        recipe,
        d_optimizer=optimizer,
        g_optimizer=dataclasses.replace(optimizer, weight_decay=decay),
        e_optimizer=optimizer,
        network=dataclasses.replace(recipe.network, **off),
    )
