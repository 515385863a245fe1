import dataclasses

import pytest

from keras_gan import recipes
from keras_gan.config import (
    DCGAN,
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
