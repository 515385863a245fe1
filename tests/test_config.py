import dataclasses

import pytest

from keras_gan import recipes
from keras_gan.config import (
    DCGAN,
    MaxoutConv,
    MaxoutMLP,
    Optimizer,
    Recipe,
    validation_rule,
)
from keras_gan.interfaces import UserError
from keras_gan.overrides import differences

RECIPE = Recipe(name="r", dataset="mnist")


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_recipes_survive_json_and_carry_their_name(name):
    recipe = recipes.RECIPES[name]
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.name == name


@pytest.mark.parametrize(
    ("assignment", "path", "expected"),
    [
        ("batch_size=7", "batch_size", 7),
        ("r1=0.5", "r1", 0.5),
        ("loss=minimax", "loss", "minimax"),
        ("jit_compile=true", "jit_compile", True),
        ("d_optimizer.learning_rate=1e-4", "d_optimizer.learning_rate", 1e-4),
        ("network.generator_units=64,32", "network.generator_units", (64, 32)),
        ("network.generator_units=(64, 32)", "network.generator_units", (64, 32)),
        ("network=dcgan", "network", DCGAN()),
    ],
)
def test_overrides(assignment, path, expected):
    value = RECIPE.with_overrides([assignment])
    for part in path.split("."):
        value = getattr(value, part)
    assert value == expected
    assert type(value) is type(expected)


def test_overrides_apply_in_order():
    recipe = RECIPE.with_overrides(["network=dcgan", "network.filters=5"])
    assert recipe.network == DCGAN(filters=5)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("batch_sise=7", "Did you mean 'batch_size'"),
        ("batch_size=many", "batch_size to be a whole number; received batch_size='many'"),
        ("batch_size=0", "batch_size of at least 1; received batch_size=0"),
        ("batch_size=-3", "batch_size of at least 1; received batch_size=-3"),
        ("r1=much", "r1 to be a number"),
        ("jit_compile=maybe", "jit_compile to be true or false"),
        ("loss=hinge", "loss to be one of minimax, non_saturating; received 'hinge'"),
        ("network=resnet", "network to be one of maxout_mlp, maxout_conv, dcgan"),
        ("network.filters=3", "a key of MaxoutMLP to be one of generator_units"),
        ("network.generator_units=a,b", "whole numbers with commas"),
        ("network.generator_units=0", "generator_units to be positive"),
        ("d_optimizer=adam", "Try d_optimizer.name"),
        ("seed.x=1", "'seed' to have parts"),
        ("seed", "key=value; received 'seed'"),
        ("name=../x", "Try --dataset=NAME"),
        ("dataset=mnist", "Try --dataset=NAME"),
        ("ema_decay=1", r"ema_decay in \[0, 1\)"),
        ("validation=some", "validation to be last:N"),
        ("seed=4294967296", "seed below"),
    ],
)
def test_bad_overrides_are_one_clear_sentence(assignment, message):
    with pytest.raises(UserError, match=message):
        RECIPE.with_overrides([assignment])


def test_differences_name_nested_fields():
    other = dataclasses.replace(RECIPE, seed=3, d_optimizer=Optimizer(learning_rate=1.0))
    assert differences(RECIPE, other) == {
        "d_optimizer.learning_rate": (2e-4, 1.0),
        "seed": (0, 3),
    }


def test_a_schedule_that_ends_with_the_run_fixes_its_length():
    assert {"steps", "epochs", "log_every"} <= RECIPE.resumable
    cosine = RECIPE.with_overrides(["g_optimizer.schedule=cosine"])
    assert cosine.resumable == {"log_every", "sample_every", "checkpoint_every"}


def test_total_steps():
    assert dataclasses.replace(RECIPE, epochs=3, batch_size=100).total_steps(1050) == 30
    assert dataclasses.replace(RECIPE, epochs=3, batch_size=50, d_steps=2).total_steps(1050) == 30
    assert dataclasses.replace(RECIPE, steps=7).total_steps(1050) == 7


def test_validation_rules():
    assert validation_rule("last:10000") == ("last", 10000)
    assert validation_rule("hash:0.1") == ("hash", 0.1)
    assert validation_rule("none") == ("none", 0)
    for bad in ("last:0", "last:-1", "last:x", "hash:0", "hash:1", "hash:", ""):
        with pytest.raises(UserError):
            validation_rule(bad)


def test_get_recipe():
    assert recipes.get_recipe(None, "cifar10").network == DCGAN()
    assert recipes.get_recipe("mnist_paper", None).network == MaxoutMLP()
    other = recipes.get_recipe(None, "fashion_mnist")
    assert (other.name, other.dataset) == ("fashion_mnist", "fashion_mnist")
    crossed = recipes.get_recipe("mnist_paper", "emnist/letters")
    assert (crossed.name, crossed.dataset) == ("mnist_paper_emnist_letters", "emnist/letters")
    with pytest.raises(UserError, match="Did you mean 'mnist'"):
        recipes.get_recipe("mnits", None)
    with pytest.raises(UserError, match=r"cifar10, cifar10_conv_paper, .*, tfd_paper"):
        recipes.get_recipe(None, None)


def test_paper_recipe_to_the_letter():
    paper = recipes.RECIPES["mnist_paper"]
    assert paper.network == MaxoutMLP((1200, 1200), (240, 240), 5, 0.2, 0.5, 0.05, 0.005)
    assert (paper.prior, paper.latent, paper.batch_size, paper.d_steps) == ("uniform", 100, 100, 1)
    assert (paper.update, paper.loss, paper.r1) == ("simultaneous", "non_saturating", 0.0)
    assert paper.validation == "last:10000"
    g = paper.g_optimizer
    assert (g.name, g.learning_rate, g.decay, g.minimum) == ("momentum", 0.1, 1.000004, 1e-6)
    assert (g.momentum, g.final_momentum, g.momentum_epochs) == (0.5, 0.7, 250)
    # Half the rate on -V is the full rate on half of -V.
    assert paper.d_optimizer == dataclasses.replace(g, learning_rate=0.05, minimum=5e-7)


def momentum_as_in_the_paper(optimizer, rate, minimum):
    return optimizer == Optimizer(
        "momentum",
        rate,
        momentum=0.5,
        final_momentum=0.7,
        momentum_epochs=250,
        decay=1.000004,
        minimum=minimum,
    )


@pytest.mark.parametrize(
    ("name", "batch_size", "rate"),
    [
        ("tfd_paper", 100, 0.05),
        ("tfd_paper_stage2", 100, 0.05),
        ("cifar10_fc_paper", 100, 0.025),
        ("cifar10_conv_paper", 128, 0.004),
    ],
)
def test_the_other_paper_recipes_play_the_papers_game(name, batch_size, rate):
    paper = recipes.RECIPES[name]
    assert (paper.prior, paper.latent, paper.d_steps, paper.g_steps) == ("normal", 100, 1, 1)
    assert (paper.update, paper.loss, paper.r1) == ("simultaneous", "non_saturating", 0.0)
    assert paper.batch_size == batch_size
    assert momentum_as_in_the_paper(paper.g_optimizer, rate, 1e-6)
    # D's objective is half of -V: half the rate on -V.
    assert momentum_as_in_the_paper(paper.d_optimizer, rate / 2, 5e-7)


def test_tfd_recipes_to_the_letter():
    first, second = recipes.RECIPES["tfd_paper"], recipes.RECIPES["tfd_paper_stage2"]
    network = MaxoutMLP(
        generator_units=(8000, 8000),
        discriminator_units=(1200, 1200),
        pieces=5,
        input_dropout=0.2,
        hidden_dropout=0.5,
        generator_range=0.05,
        discriminator_range=0.005,
        generator_activations=("relu", "sigmoid"),
        output_range=0.0,
        output_nonzero=100,
        sigmoid_bias=-2.0,
        max_norm=1.9365,
    )
    assert first.network == network
    assert second.network == dataclasses.replace(
        network,
        generator_units=(8000, 100, 8000, 8000),
        generator_activations=("relu", "sigmoid", "relu", "sigmoid"),
    )
    assert (first.epochs, second.epochs) == (50, 22)
    assert (first.generator_from, second.generator_from) == ("", "runs/tfd_paper")
    for recipe in (first, second):
        assert (recipe.image_size, recipe.image_channels, recipe.scale) == (48, 1, "unit")


def test_cifar10_recipes_to_the_letter():
    dense, conv = recipes.RECIPES["cifar10_fc_paper"], recipes.RECIPES["cifar10_conv_paper"]
    assert dense.network == MaxoutMLP(
        generator_units=(8000, 8000),
        discriminator_units=(1600, 1600),
        pieces=5,
        input_dropout=0.2,
        hidden_dropout=0.5,
        generator_range=0.05,
        discriminator_range=0.005,
        generator_activations=("relu", "sigmoid"),
        output_range=0.5,
        output_nonzero=0,
        sigmoid_bias=0.0,
        max_norm=0.0,
    )
    assert conv.network == MaxoutConv(
        generator_units=(8000,),
        channels=80,
        kernel=5,
        stride=3,
        discriminator_channels=(32, 32, 192),
        kernels=(8, 8, 5),
        pads=(4, 3, 3),
        pools=(4, 4, 2),
        pieces=2,
        units=500,
        unit_pieces=5,
        input_dropout=0.2,
        hidden_dropout=0.5,
        generator_range=0.05,
        discriminator_range=0.005,
    )
    for recipe in (dense, conv):
        assert (recipe.dataset, recipe.validation) == ("cifar10", "last:10000")
        assert (recipe.scale, recipe.image_size, recipe.image_channels) == ("contrast", 0, 0)


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("network.generator_activations=sigmoid,relu", ("sigmoid", "relu")),
        ("network.generator_activations=(relu, sigmoid)", ("relu", "sigmoid")),
        ("network.generator_activations=['relu', \"sigmoid\"]", ("relu", "sigmoid")),
        ("network.generator_activations=sigmoid,", ("sigmoid",)),
    ],
)
def test_overrides_of_tuples_of_words(assignment, expected):
    recipe = RECIPE.with_overrides([assignment])
    assert recipe.network.generator_activations == expected
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_overrides_of_the_new_keys():
    changed = RECIPE.with_overrides(
        [
            "g_steps=3",
            "scale=contrast",
            "image_channels=1",
            "image_size=8",
            "generator_from=runs/a",
            "d_optimizer.schedule=linear",
            "d_optimizer.hold=0.25",
            "network=maxout_conv",
            "network.pools=(2,2,2)",
        ]
    )
    assert (changed.g_steps, changed.scale, changed.image_channels) == (3, "contrast", 1)
    assert (changed.image_size, changed.generator_from) == (8, "runs/a")
    assert (changed.d_optimizer.schedule, changed.d_optimizer.hold) == ("linear", 0.25)
    assert changed.network == MaxoutConv(pools=(2, 2, 2))
    assert changed.resumable == {"log_every", "sample_every", "checkpoint_every"}


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["network.generator_activations=relu,tanh"], "one of relu, sigmoid; received 'tanh'"),
        (["network.generator_activations="], "one to all of the generator's hidden layers"),
        (["network.generator_activations=relu,relu,relu"], "one to all of the generator's hidden"),
        (["network.max_norm=-1"], "max_norm of at least 0; received max_norm=-1.0"),
        (["network.output_range=-1"], "output_range of at least 0"),
        (["network.output_nonzero=-1"], "output_nonzero of at least 0"),
        (["network.output_range=1", "network.output_nonzero=1"], "output_range or output_nonzero"),
        (["network.pieces=0"], "pieces of at least 1"),
        (["g_steps=0"], "g_steps of at least 1; received g_steps=0"),
        (["scale=log"], "scale to be one of unit, contrast; received 'log'"),
        (["image_channels=2"], "image_channels to be one of 0, 1, 3; received '2'"),
        (["image_size=7"], r"image_size of 0 \(keep\) or at least 8 pixels; received image_size=7"),
        (["d_optimizer.hold=1"], r"hold in \[0, 1\); received hold=1.0"),
        (["d_optimizer.schedule=step"], "one of constant, cosine, linear; received 'step'"),
        (["network=maxout_conv", "network.kernel=2"], "kernel of at least stride.*kernel=2"),
        (["network=maxout_conv", "network.pads=1,1"], "as many kernels, pads and pools"),
        (["network=maxout_conv", "network.pads=-1,1,1"], "pads of at least 0"),
        (["network=maxout_conv", "network.pools=0,1,1"], "pools to be positive"),
        (["network=maxout_conv", "network.kernels="], "kernels to be positive"),
        (["network=maxout_conv", "network.units=0"], "units of at least 1"),
        (["network=maxout_conv", "network.input_dropout=1"], r"input_dropout in \[0, 1\)"),
        (["network=maxout_conv", "network.generator_range=0"], "generator_range above 0"),
        (["network=maxout_conv", "network.output_range=-1"], "output_range of at least 0"),
        (
            ["d_optimizer.schedule=cosine", "d_optimizer.decay=1.1"],
            "decay=1 and minimum=0 with .*; received schedule='cosine', decay=1.1, minimum=0.0",
        ),
        (["g_optimizer.schedule=linear", "g_optimizer.minimum=1e-6"], "decay=1 and minimum=0"),
    ],
)
def test_bad_values_of_the_new_keys(assignments, message):
    with pytest.raises(UserError, match=message):
        RECIPE.with_overrides(assignments)


def test_fields_that_must_agree_can_be_set_one_after_another():
    recipe = recipes.RECIPES["cifar10_conv_paper"].with_overrides(
        [
            "network.discriminator_channels=32,64",
            "network.kernels=5,5",
            "network.pads=2,2",
            "network.pools=2,2",
        ]
    )
    assert recipe.network.kernels == (5, 5)
    with pytest.raises(UserError, match="as many kernels"):
        recipe.with_overrides(["network.kernels=5,5,5"])
