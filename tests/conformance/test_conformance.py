"""What every model must do: save, load, resume, export, serialise."""

import contextlib
import dataclasses
import shutil
import typing

import keras
import numpy as np
import pytest

from keras_gan import data, export, exported
from keras_gan.building import build
from keras_gan.config import Recipe
from keras_gan.experiment import train
from keras_gan.gan import GAN
from keras_gan.interfaces import image_seeds
from keras_gan.servable import Servable
from tests.conformance.cases import CASES, LOSSES, NETWORKS, smooth


@pytest.fixture(params=CASES, scope="module")
def recipe(request):
    return CASES[request.param]


@pytest.fixture(scope="module")
def gan(recipe, examples):
    """One model of each case, after some steps; a test may go on with it."""
    gan = build(recipe, (8, 8, 1), train_images=240, classes=10)
    fit(gan, recipe, examples, 3)
    return gan


def fit(gan, recipe, examples, steps):
    dataset = data.train_dataset(
        examples,
        batch_size=recipe.batch_size,
        d_steps=recipe.d_steps,
        first_step=int(gan.step.numpy()),
        labels=recipe.conditional,
    )
    gan.fit(dataset, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)


def state(gan):
    optimizers = [gan.d_optimizer, gan.g_optimizer, *([gan.e_optimizer] if gan.encoder else [])]
    variables = [*gan.variables, *(v for each in optimizers for v in each.variables)]
    metrics = {id(v) for metric in gan.metrics for v in metric.variables}
    return [v.numpy().copy() for v in variables if id(v) not in metrics and "seed" not in v.path]


def assert_equal_states(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_loss_and_network_is_a_case():
    from keras_gan import config, losses

    assert set(LOSSES) == set(losses.LOSSES)
    kinds = set(typing.get_args(config.Network))
    assert {type(network) for network in NETWORKS.values()} == kinds
    for network in NETWORKS.values():
        for loss in LOSSES:
            assert any(c.network == network and c.loss == loss for c in CASES.values())


def test_recipe_serialises(recipe):
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_load_model_restores_everything_and_goes_on_alike(gan, recipe, examples, tmp_path):
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert isinstance(loaded, GAN)
    assert_equal_states(state(gan), state(loaded))
    np.testing.assert_array_equal(gan.sample(3, seed=1), loaded.sample(3, seed=1))
    for model in (gan, loaded):
        fit(model, recipe, examples, 2)
    assert_equal_states(state(gan), state(loaded))


def test_save_weights_holds_both_optimizers(gan, recipe, tmp_path):
    gan.save_weights(tmp_path / "gan.weights.h5")
    fresh = build(recipe, (8, 8, 1), train_images=240, classes=10)
    fresh.load_weights(tmp_path / "gan.weights.h5")
    assert_equal_states(state(gan), state(fresh))


@pytest.mark.usefixtures("without_exports")
def test_resumed_run_equals_the_uninterrupted_one(recipe, examples, tmp_path):
    whole = train(recipe, tmp_path / "whole", examples, tmp_path / "export")
    killed = shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    for step in (4, 6):
        shutil.rmtree(killed / "checkpoints" / f"step-{step:07d}")
    resumed = train(recipe, killed, examples, tmp_path / "export_resumed")
    assert resumed.steps == whole.steps == 6
    assert resumed.trained == 4  # and not all of them anew, which would end alike
    assert_equal_states(state(whole.gan), state(resumed.gan))


@pytest.mark.usefixtures("without_exports")
def test_a_run_made_longer_equals_one_that_was_so_long_from_the_start(examples, tmp_path):
    recipe = CASES["conditional_mlp"]
    whole = train(recipe, tmp_path / "whole", examples, tmp_path / "export")
    half = dataclasses.replace(recipe, steps=3)  # where no interval of curves ends
    train(half, tmp_path / "parts", examples, tmp_path / "export")
    longer = train(recipe, tmp_path / "parts", examples, tmp_path / "export")
    assert (longer.steps, longer.trained) == (6, 3)
    assert_equal_states(state(whole.gan), state(longer.gan))


def test_two_replicas_play_the_same_game(recipe, examples, two_replicas):
    recipe = smooth(recipe, 0.5)
    if recipe.compute_dtype == "bfloat16":  # replicas round the sums of half the batch
        recipe = dataclasses.replace(recipe, compute_dtype="float32")
    alone = build(recipe, (8, 8, 1), train_images=240, classes=10)
    with two_replicas.scope():
        both = build(recipe, (8, 8, 1), train_images=240, classes=10)

    def feed(context):
        return data.train_dataset(
            examples,
            batch_size=recipe.batch_size,
            d_steps=recipe.d_steps,
            labels=recipe.conditional,
            context=context,
        )

    alone_logs = fit_on(alone, feed(None))
    both_logs = fit_on(both, two_replicas.distribute_datasets_from_function(feed))
    tolerance = 1e-3 if recipe.compute_dtype == "float16" else 1e-5
    for a, b in zip(state(alone), state(both), strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance)
    for name, values in alone_logs.items():
        np.testing.assert_allclose(values, both_logs[name], rtol=tolerance)


def fit_on(gan, dataset):
    return gan.fit(dataset, epochs=1, steps_per_epoch=4, shuffle=False, verbose=0).history


def test_export_equals_live(gan, recipe, tmp_path):
    folder = export.export(gan, tmp_path / "model")
    with contextlib.closing(Servable(folder)) as servable:  # TensorFlow's C++ loader
        inputs = {"seed": image_seeds(7, seed=3)}
        if recipe.conditional:
            inputs["label"] = np.arange(7)
        served = servable.run("sample", inputs)["images"]
        np.testing.assert_allclose(served, gan.sample(7, seed=3), atol=1e-6)
    loaded = exported.load_sampler(tmp_path / "model")
    assert folder == tmp_path / "model" / "1"
    assert loaded.image_shape == gan.image_shape == (8, 8, 1)
    np.testing.assert_allclose(loaded.sample(7, seed=3), gan.sample(7, seed=3), atol=1e-6)
    if recipe.conditional:
        asked = {"labels": [9, 0, 3, 3, 1, 2, 9]}
        expected = gan.sample(7, seed=3, **asked)
        np.testing.assert_allclose(loaded.sample(7, seed=3, **asked), expected, atol=1e-6)
        # After three steps a label is worth little, but something.
        assert np.abs(expected - gan.sample(7, seed=3)).max() > 1e-6


def test_keras_export_serves_the_generator(gan, recipe, tmp_path):
    import tensorflow as tf

    gan.export(tmp_path / "keras_export", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "keras_export"))
    z = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    inputs = (z, np.array([3, 1, 4])) if recipe.conditional else (z,)
    np.testing.assert_allclose(served.serve(*inputs), gan(*inputs), atol=1e-6)
