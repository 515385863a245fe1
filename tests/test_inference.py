"""What an encoder learns of a generator, what it leaves alone, and the commands around it."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image

from keras_gan import (
    building,
    callbacks,
    card,
    checkpoints,
    cli,
    curves,
    encoders,
    experiment,
    export,
    export_model,
    exported,
    facts,
    images,
    infer,
    priors,
    reconstruct,
    trained,
    workdir,
)
from keras_gan.config import Encoder
from keras_gan.gan import GAN
from keras_gan.inference import Inference
from keras_gan.interfaces import Preempted, UserError
from keras_gan.metrics import recovery
from keras_gan.networks.encoder import build_encoder
from keras_gan.servable import Servable, ServingError
from tests.conformance.cases import CASES
from tests.test_gan import toy_gan, toy_networks, weights

TOY = Encoder(units=(6,), batch_size=8, steps=8)


def same(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def uniform_gan(**more):
    keras.utils.set_random_seed(3)
    return GAN(*toy_networks(), priors.Uniform(3), **more)


def linear_gan():
    """Return a G of x = Wz, and W: four pixels of three latent dimensions."""
    _, discriminator = toy_networks()
    mixing = np.array([[0.5, 0, 0, 1], [0, 0.25, 0, -1], [0, 0, 2, 0.5]], np.float32)
    dense = layers.Dense(4, use_bias=False)
    generator = keras.Sequential([keras.Input((3,)), dense, layers.Reshape((2, 2, 1))])
    dense.set_weights([mixing])
    return GAN(generator, discriminator, priors.Normal(3)), mixing


def linear_inference(gan, optimizer, n=16, **more):
    dense = layers.Dense(3, use_bias=False, kernel_initializer="zeros")
    encoder = keras.Sequential([keras.Input((2, 2, 1)), layers.Flatten(), dense])
    inference = Inference(encoder, gan, batch_size=n, **more)
    inference.compile(optimizer)
    return inference


def train(inference, steps):
    return inference.fit(tf.data.Dataset.range(10**6), steps_per_epoch=steps, verbose=0)


def model_weights(inference):
    variables = [*inference.encoder.weights, *inference.optimizer.variables, inference.step]
    return [variable.numpy().copy() for variable in variables]


# What it learns -----------------------------------------------------------------------------------


def test_a_linear_encoder_finds_the_z_of_a_linear_generator():
    gan, _ = linear_gan()
    inference = linear_inference(gan, keras.optimizers.Adam(0.05))
    z = gan.noise(500, seed=5)
    before = recovery.recovery(z, inference.infer(gan.generate(z)))
    assert abs(before.mean) < 0.02
    train(inference, 400)
    after = recovery.recovery(z, inference.infer(gan.generate(z)))
    assert after.lowest > 0.99


def joint_gan(**more):
    """Return a small GAN whose encoder learns beside G, compiled."""
    gan = uniform_gan(encoder=toy_encoder(), seed=7, **more)
    gan.compile(
        d_optimizer=keras.optimizers.SGD(0.1),
        g_optimizer=keras.optimizers.SGD(0.1),
        e_optimizer=keras.optimizers.SGD(0.2),
    )
    return gan


def toy_encoder():
    keras.utils.set_random_seed(5)
    return build_encoder((6,), image_shape=(2, 2, 1), latent=3)


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_an_encoder_beside_the_game_descends_the_error_on_its_samples_and_changes_nothing(update):
    real = np.random.default_rng(0).random((8, 2, 2, 1)).astype(np.float32)
    gan, alone = joint_gan(update=update), uniform_gan(seed=7, update=update)
    alone.compile(d_optimizer=keras.optimizers.SGD(0.1), g_optimizer=keras.optimizers.SGD(0.1))
    stream = priors.GENERATOR_NOISE if update == "alternating" else priors.DISCRIMINATOR_NOISE
    for step in range(3):
        # The z and the samples that G learns from: G is where it was before its own step.
        z = gan.prior.sample(8, priors.key(7, stream, step)).numpy()
        x = gan.generator(z, training=False).numpy()
        twin = keras.models.clone_model(gan.encoder)
        twin.set_weights(gan.encoder.get_weights())
        with tf.GradientTape() as tape:
            error = tf.reduce_mean((np.sqrt(3) * tf.tanh(twin(x)) - z) ** 2)
        slopes = tape.gradient(error, twin.trainable_variables)
        expected = [w - 0.2 * g for w, g in zip(twin.get_weights(), slopes, strict=True)]
        for each in gan.means.values():
            each.reset_state()
        logs = gan.train_step(tf.constant(real))
        alone.train_step(tf.constant(real))
        np.testing.assert_allclose(float(logs["z_error"]), float(error), rtol=1e-5)
        for found, wanted in zip(gan.encoder.get_weights(), expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert same(weights(alone.generator), weights(gan.generator))
    assert same(weights(alone.discriminator), weights(gan.discriminator))


def test_an_encoder_beside_the_game_wants_its_optimizer_and_fits():
    networks = uniform_gan()
    rates = {
        "d_optimizer": keras.optimizers.SGD(0.1),
        "g_optimizer": keras.optimizers.SGD(0.1),
    }
    with pytest.raises(ValueError, match="Expected e_optimizer for a GAN with an encoder"):
        joint_gan().compile(**rates)
    with pytest.raises(ValueError, match="and for no other"):
        networks.compile(**rates, e_optimizer=keras.optimizers.SGD(0.1))
    wrong = build_encoder((6,), image_shape=(2, 2, 1), latent=4)
    with pytest.raises(ValueError, match=r"to 3 numbers, told 0; received one from .* to 4"):
        uniform_gan(encoder=wrong)
    with pytest.raises(UserError, match="encoder_units to be positive, and none with inpainting"):
        dataclasses.replace(CASES["inpainting"], encoder_units=(6,))


def test_a_step_is_the_one_of_the_book():
    gan, mixing = linear_gan()
    inference = linear_inference(gan, keras.optimizers.SGD(0.5), n=4, seed=7)
    kernel = np.zeros((4, 3))
    for step in range(2):
        z = gan.prior.sample(4, priors.key(7, priors.INFERENCE_NOISE, step)).numpy().astype(float)
        x = z @ mixing
        wrong = x @ kernel - z
        inference.error.reset_state()
        error = inference.train_step()["z_error"]
        np.testing.assert_allclose(error, np.square(wrong).mean(), rtol=1e-5)
        kernel -= 0.5 * 2 * x.T @ wrong / wrong.size
        np.testing.assert_allclose(inference.encoder.weights[0].numpy(), kernel, atol=1e-5)
    assert int(inference.step.numpy()) == 2


def test_its_noise_is_not_that_of_the_game():
    gan = toy_gan(seed=7)
    inference = linear_inference(gan, keras.optimizers.SGD(0.5), seed=7)
    own = gan.prior.sample(4, inference._key(priors.INFERENCE_NOISE))
    for stream in (priors.DISCRIMINATOR_NOISE, priors.GENERATOR_NOISE):
        assert not np.array_equal(own, gan.prior.sample(4, gan._key(stream)))


def test_it_learns_from_the_moving_average():
    gan = uniform_gan(ema_decay=0.9)
    gan.average.set_weights([weight + 1.0 for weight in gan.average.get_weights()])
    inference = linear_inference(gan, keras.optimizers.SGD(0.5), n=4)
    seen = []
    call = inference.encoder.call
    inference.encoder.call = lambda x, **more: seen.append(x) or call(x, **more)
    inference.train_step()
    z = gan.prior.sample(4, priors.key(0, priors.INFERENCE_NOISE, 0))
    np.testing.assert_allclose(seen[0], gan.average(z), atol=1e-6)
    assert not np.allclose(seen[0], gan.generator(z), atol=1e-3)


NUMBERS = np.array([[1e6, -1e6, 0.3], [0.5, -0.25, 4.0]], np.float32)


def test_predictions_lie_in_the_priors_range():
    uniform, normal, sphere = (
        each(3).contain(tf.constant(NUMBERS)).numpy()
        for each in (priors.Uniform, priors.Normal, priors.Spherical)
    )
    np.testing.assert_allclose(uniform, np.sqrt(3) * np.tanh(NUMBERS), rtol=1e-5)
    np.testing.assert_array_equal(normal, NUMBERS)
    np.testing.assert_allclose(np.linalg.norm(sphere, axis=1), np.sqrt(3), rtol=1e-5)
    gan = uniform_gan()
    inference = linear_inference(gan, keras.optimizers.SGD(0.5))
    inference.encoder.weights[0].assign(np.full((4, 3), 100.0))
    found = inference.infer(np.ones((2, 2, 2, 1), np.float32))
    np.testing.assert_allclose(found, np.sqrt(3), rtol=1e-6)


def test_the_nearest_z_of_a_prior():
    given = tf.constant(NUMBERS)
    cut = priors.Uniform(3).nearest(given).numpy()
    np.testing.assert_allclose(cut, np.clip(NUMBERS, -np.sqrt(3), np.sqrt(3)), rtol=1e-6)
    np.testing.assert_array_equal(priors.Normal(3).nearest(given), NUMBERS)
    lengths = np.linalg.norm(priors.Spherical(3).nearest(given), axis=1)
    np.testing.assert_allclose(lengths, np.sqrt(3), rtol=1e-5)


def test_generator_and_discriminator_stay_as_they_are_and_are_not_saved(tmp_path):
    gan = toy_gan(ema_decay=0.9)
    parts = (gan.generator, gan.discriminator, gan.average)
    before = [each for part in parts for each in part.get_weights()]
    inference = encoders.build(gan, TOY)
    first = weights(inference.encoder)
    train(inference, 3)
    assert not same(first, weights(inference.encoder))
    assert same(before, [each for part in parts for each in part.get_weights()])
    assert {id(v) for v in inference.trainable_variables} == {
        id(v) for v in inference.encoder.trainable_variables
    }
    path = checkpoints.Checkpoints(tmp_path, CASES["dcgan-minimax"], "hash").save(inference)
    shapes = {tuple(shape) for _, shape in tf.train.list_variables(str(path / checkpoints.STATE))}
    assert {shape for shape in shapes if len(shape) == 2} == {(4, 6), (6, 3)}  # the encoder's


@pytest.mark.parametrize(
    "name", ["maxout_conv-minimax", "encoder", "conditional_projection", "float16"]
)
def test_any_generator_can_be_learnt_from(name):
    gan = building.build(CASES[name], (8, 8, 1), train_images=240, classes=10)
    if gan.scale is not None:
        gan.scale.adapt(np.random.default_rng(0).random((20, 8, 8, 1), np.float32))
    inference = encoders.build(gan, TOY)
    assert np.isfinite(inference.train_step()["z_error"])
    labels = np.array([3, 9]) if gan.condition else None
    x = gan.sample(2, seed=1, labels=labels)
    again = inference.reconstruct(x, labels, refine=2)
    assert again.shape == x.shape
    assert 0 <= again.min() <= again.max() <= 1


def test_an_encoder_is_told_the_class():
    gan = building.build(CASES["conditional_mlp"], (8, 8, 1), train_images=240, classes=10)
    inference = encoders.build(gan, TOY)
    x = gan.sample(1, seed=1, labels=[3])
    assert not np.allclose(inference.infer(x, [3]), inference.infer(x, [4]), atol=1e-4)
    inference.step.assign(3)
    assert inference._labels(8).numpy().tolist() == [4, 5, 6, 7, 8, 9, 0, 1]
    with pytest.raises(UserError, match="labels of the images"):
        inference.infer(x)


def test_encoders_that_do_not_fit_are_refused():
    gan = toy_gan()
    for shape, width in (((2, 2, 1), 4), ((3, 2, 1), 3)):
        encoder = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(width)])
        with pytest.raises(ValueError, match=r"Expected an encoder from images \(2, 2, 1\) to 3"):
            Inference(encoder, gan)


# Refinement ---------------------------------------------------------------------------------------


def test_refinement_lowers_every_error_and_stays_in_range():
    gan = uniform_gan()
    inference = encoders.build(gan, TOY)
    x = gan.sample(6, seed=4)
    start = inference.infer(x)
    refined = inference.refine(x, start, steps=40)
    errors = [np.square(gan.generate(z) - x).sum(axis=(1, 2, 3)) for z in (start, refined)]
    assert (errors[1] < errors[0]).all()
    assert errors[1].mean() < errors[0].mean() / 10
    outside = np.ones((6, 2, 2, 1), np.float32)  # which no z of the range reaches
    far = inference.refine(outside, start, steps=200)
    assert np.abs(far).max() == pytest.approx(np.sqrt(3))
    assert np.abs(far).max() <= np.float32(np.sqrt(3))


def test_an_image_is_refined_alike_alone():
    gan = uniform_gan()
    inference = encoders.build(gan, TOY)
    x = gan.sample(5, seed=4)
    start = inference.infer(x)
    together = inference.refine(x, start, steps=10)
    alone = inference.refine(x[3:4], start[3:4], steps=10)
    np.testing.assert_allclose(alone[0], together[3], atol=1e-5)
    np.testing.assert_array_equal(inference.refine(x, start, steps=0), start)


# Measures -----------------------------------------------------------------------------------------


def test_literal_measures():
    z = np.array([[2.0, 1.0], [-2.0, -1.0]])
    predicted = np.array([[2.0, 0.0], [-1.0, -1.0]])
    assert recovery.recovery(z, predicted) == (0.6875, 0.5, 0.875)
    x = np.zeros((2, 1, 2, 1))
    made = np.array([[[[1.0], [0.0]]], [[[3.0], [1.0]]]])
    assert recovery.squared_error(x, made) == (2.75, 2.25 / np.sqrt(2))


# Runs ---------------------------------------------------------------------------------------------


def run_encoder(gan, folder, steps):
    options = dataclasses.replace(TOY, steps=steps)
    return encoders.train(gan, CASES["dcgan-minimax"], "hash", options, folder)


@pytest.fixture
def taken(monkeypatch):
    """The steps that were taken, in any run: one that begins anew comes to the same end."""
    steps = []
    monkeypatch.setattr(
        callbacks.Progress, "on_train_batch_end", lambda self, batch, logs=None: steps.append(batch)
    )
    return steps


def test_a_resumed_run_equals_the_uninterrupted_one(tmp_path, taken):
    gan = toy_gan(ema_decay=0.9)
    whole = run_encoder(gan, tmp_path / "whole", 8)
    run_encoder(gan, tmp_path / "parts", 3)
    assert len(taken) == 8 + 3
    parts = run_encoder(gan, tmp_path / "parts", 8)
    assert len(taken) == 8 + 3 + 5
    assert same(model_weights(whole), model_weights(parts))
    assert not same(model_weights(whole), model_weights(run_encoder(gan, tmp_path / "less", 7)))
    loaded = encoders.load(gan, CASES["dcgan-minimax"], "hash", tmp_path / "parts")
    assert same(model_weights(whole), model_weights(loaded))


def test_a_preempted_run_goes_on_where_it_was(tmp_path, monkeypatch, taken):
    gan = toy_gan()
    whole = run_encoder(gan, tmp_path / "whole", 8)

    def ask(self, batch, logs=None):
        if batch == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Progress, "on_train_batch_end", ask)
        with pytest.raises(Preempted, match=r"step-0000005; the same command goes on"):
            run_encoder(gan, tmp_path / "parts", 8)
    parts = run_encoder(gan, tmp_path / "parts", 8)
    assert len(taken) == 8 + 3
    assert same(model_weights(whole), model_weights(parts))


def test_ctrl_c_saves_what_there_is(tmp_path, monkeypatch, taken):
    def ask(self, batch, logs=None):
        if batch == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Progress, "on_train_batch_end", ask)
        with pytest.raises(KeyboardInterrupt):
            run_encoder(toy_gan(), tmp_path, 8)
    run_encoder(toy_gan(), tmp_path, 8)
    assert len(taken) == 3


def test_two_do_not_train_in_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(workdir, "LOOKS", 1)
    with (
        workdir.alone_in(tmp_path / "a"),
        pytest.raises(UserError, match="no other process trains in"),
    ):
        run_encoder(toy_gan(), tmp_path / "a", 8)


def test_a_folder_is_of_one_generator_and_one_encoder(tmp_path):
    gan, recipe = toy_gan(), CASES["dcgan-minimax"]
    run_encoder(gan, tmp_path / "a", 3)
    with pytest.raises(UserError, match="Expected at least the 3 steps"):
        run_encoder(gan, tmp_path / "a", 2)
    other = dataclasses.replace(TOY, units=(5,), steps=9)
    with pytest.raises(UserError, match=r"units was \[6\], now \[5\]"):
        encoders.train(gan, recipe, "hash", other, tmp_path / "a")
    gan.train_step(tf.zeros((4, 2, 2, 1)))
    for attempt in (
        lambda: run_encoder(gan, tmp_path / "a", 8),
        lambda: encoders.load(gan, recipe, "hash", tmp_path / "a"),
    ):
        with pytest.raises(UserError, match=r"of step 0; received another, of step 1"):
            attempt()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "photo.jpg").touch()
    with pytest.raises(UserError, match="holds other files"):
        run_encoder(gan, tmp_path / "b", 8)
    (tmp_path / "b" / encoders.FILE).write_text("{}")
    with pytest.raises(UserError, match="to describe an encoder"):
        run_encoder(gan, tmp_path / "b", 8)


def test_two_replicas_learn_what_one_learns(two_replicas):
    def build():
        gan = building.build(CASES["conditional_mlp"], (8, 8, 1), train_images=240, classes=10)
        inference = encoders.build(gan, TOY)
        inference.compile(keras.optimizers.SGD(0.5))
        return inference

    alone = build()
    with two_replicas.scope():
        both = build()
    endless = two_replicas.distribute_datasets_from_function(lambda _: tf.data.Dataset.range(99))
    left = train(alone, 3).history["z_error"]
    right = both.fit(endless, steps_per_epoch=3, verbose=0).history["z_error"]
    np.testing.assert_allclose(left, right, rtol=1e-5)
    for a, b in zip(alone.encoder.weights, both.encoder.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


# Exports ------------------------------------------------------------------------------------------


def test_a_server_shows_the_encoder_photographs_as_samples_are(tmp_path):
    recipe = dataclasses.replace(CASES["no_average"], scale="contrast")
    gan = building.build(recipe, (8, 8, 1), train_images=240)
    inference = encoders.build(gan, TOY)
    photographs = np.random.default_rng(0).random((5, 8, 8, 1)).astype(np.float32) / 10
    expected = inference.infer(gan.as_drawn(photographs))
    assert np.abs(expected - inference.infer(photographs)).max() > 1e-3
    folder = export.export(gan, tmp_path / "toy", inference=inference)
    with contextlib.closing(Servable(folder)) as servable:
        latent = servable.run("infer", {"images": photographs})["latent"]
    np.testing.assert_allclose(latent, expected, atol=1e-5)


@pytest.mark.whole_export
def test_an_export_infers_and_reconstructs_as_the_live_model(tmp_path):
    gan = uniform_gan(ema_decay=0.9)
    inference = encoders.build(gan, TOY)
    folder = export.export(gan, tmp_path / "toy", inference=inference)
    x = gan.sample(5, seed=2)
    servable = Servable(folder)
    latent = servable.run("infer", {"images": x})["latent"]
    np.testing.assert_allclose(latent, inference.infer(x), atol=1e-5)
    again = servable.run("reconstruct", {"images": x})["images"]
    np.testing.assert_allclose(again, inference.reconstruct(x), atol=1e-5)
    for name in ("infer", "reconstruct"):
        for value in (255, -0.1, np.nan):
            with pytest.raises(ServingError, match=r"images in \[0, 1\]"):
                servable.run(name, {"images": np.full((1, 2, 2, 1), value, np.float32)})
    servable.close()
    loaded = exported.load_sampler(folder)
    np.testing.assert_allclose(loaded.infer(x), latent, atol=1e-6)
    np.testing.assert_allclose(loaded.reconstruct(x), again, atol=1e-6)
    many = np.repeat(x, 210, axis=0)  # more than an export answers at once
    np.testing.assert_allclose(loaded.infer(many), np.repeat(latent, 210, axis=0), atol=1e-6)
    np.testing.assert_allclose(
        loaded.discriminate(many), np.repeat(loaded.discriminate(x), 210), atol=1e-5
    )
    assert card.verify(folder)["weights_sha256"] != export.weights_sha256(gan)


def test_an_export_without_an_encoder_says_so(tmp_path):
    loaded = exported.load_sampler(export.export(toy_gan(), tmp_path / "toy"))
    with pytest.raises(UserError, match="with an inference network"):
        loaded.infer(np.zeros((1, 2, 2, 1), np.float32))


# The commands -------------------------------------------------------------------------------------


def command(module, *arguments):
    return cli.run(module.main, module.FLAGS, "", [module.__name__, *arguments])


def test_from_a_run_to_numbers_a_picture_and_an_export(examples, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rates = {"steps": 2, "log_every": 1, "sample_every": 9, "checkpoint_every": 1}
    recipe = dataclasses.replace(CASES["conditional_mlp"], **rates)
    experiment.train(recipe, tmp_path / "run", examples, tmp_path / "plain")
    plain = card.read(tmp_path / "plain" / "1")
    assert "infer" not in plain["signatures"]
    assert command(reconstruct, "--workdir=run") == 2
    assert "Expected a folder of keras_gan.infer" in capsys.readouterr().err

    small = ("--set", "units=6", "--set", "batch_size=8", "--n=30")
    assert command(infer, "--workdir=run", "--steps=3", *small) == 0
    assert command(infer, "--workdir=run", "--steps=4", *small) == 0
    said = capsys.readouterr().out
    kept = json.loads((tmp_path / "run" / "inference" / "recovery.json").read_text())
    assert f"R^2 of z: {kept['r2']['mean']:.3f}" in said
    assert "100.0% of the predictions" in said
    assert (kept["step"], kept["n"]) == (4, 30)

    refined, refine = [], Inference.refine

    def spy(self, *arguments, steps):
        refined.append(steps)
        return refine(self, *arguments, steps=steps)

    monkeypatch.setattr(Inference, "refine", spy)
    assert command(reconstruct, "--workdir=run", "--n=5", "--refine=3", "--samples=20") == 0
    said = capsys.readouterr().out
    found = dict(re.findall(r"^(\S.*?) {2,}(\d\.\d{4}) \+- ", said, re.MULTILINE))
    assert list(found) == [
        "G(E(x))",
        "3 steps down the gradient from E(x)",
        "3 steps down the gradient from a random z",
        "the nearest of 20 samples",
        "the mean training image",
    ]
    assert refined == [3, 3]
    with Image.open("reconstructions.png") as picture:
        assert picture.size == (5 * 9 - 1, 3 * 9 - 1)

    images.write_png("mine/a.png", np.full((8, 8, 1), 128, np.uint8))
    mine = ("--workdir=run", "--images=mine", "--refine=0", "--samples=20", "--out=mine.png")
    assert command(reconstruct, *mine, "--labels=3") == 0
    with Image.open("mine.png") as picture:
        assert picture.size == (8, 2 * 9 - 1)
        assert picture.getpixel((3, 3)) == 128
    capsys.readouterr()
    for arguments, sentence in (
        (mine, "Expected labels of the images"),
        ((*mine, "--labels=x"), "class numbers; received x"),
        ((*mine, "--labels=10"), r"whole numbers in [0, 10)"),
        (("--workdir=run", f"--images={__file__}"), "not a PNG"),
    ):
        assert command(reconstruct, *arguments) == 2
        assert sentence in capsys.readouterr().err

    assert command(export_model, "--workdir=run", "--export_dir=o") == 0
    loaded = exported.load_sampler(tmp_path / "o")
    gan, _ = trained.load_run("run")
    live = encoders.load(gan, recipe, plain["data_hash"], tmp_path / "run" / "inference")
    x, labels = gan.sample(3, seed=1), np.arange(3)
    np.testing.assert_allclose(loaded.infer(x, labels), live.infer(x, labels), atol=1e-5)
    with pytest.raises(UserError, match="Expected labels"):
        loaded.infer(x)
    # A finished run whose encoder is exported already is not exported again.
    assert experiment.train(recipe, "run", examples, "o").model.name == "1"
    earlier, _ = trained.load_run("run", "1")
    assert encoders.of_run(earlier, recipe, plain["data_hash"], tmp_path / "run") is None


def test_a_run_whose_encoder_learnt_beside_g_needs_no_infer(
    examples, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    rates = {"steps": 2, "log_every": 1, "sample_every": 9, "checkpoint_every": 1}
    recipe = dataclasses.replace(CASES["encoder"], **rates)
    result = experiment.train(recipe, "run", examples, "o")
    assert np.isfinite(result.means["z_error"])
    x = result.gan.sample(3, seed=1)
    told = Inference(result.gan.encoder, result.gan).infer(x)
    np.testing.assert_allclose(exported.load_sampler("o").infer(x), told, atol=1e-5)
    assert command(reconstruct, "--workdir=run", "--n=5", "--refine=0", "--samples=20") == 0
    assert "G(E(x))" in capsys.readouterr().out
    assert command(infer, "--workdir=run", "--measure", "--n=30") == 0
    said = capsys.readouterr().out
    assert re.search(r"Held out: moving average, 30 samples, seed 0. R\^2 of z: -?\d\.\d{3} ", said)
    assert "Held out: live generator, 30 samples, seed 0." in said
    assert command(reconstruct, "--workdir=run", "--inference=nothing") == 2
    assert "Expected a folder of keras_gan.infer" in capsys.readouterr().err
    assert command(infer, "--workdir=run", "--measure", "--set", "units=6") == 2
    assert "Expected --measure without --set" in capsys.readouterr().err
    title = "Error of the encoder in z"
    assert title in [chart.title for chart in curves.of_run(facts.read(pathlib.Path("run")))]
    # One that keras_gan.infer trained for the finished generator is taken in its place,
    small = ("--set", "units=6", "--set", "batch_size=8", "--n=30")
    assert command(infer, "--workdir=run", "--steps=3", *small) == 0
    gan, run = trained.load_run("run")
    found = encoders.find(gan, run["recipe"], run["data_hash"], "run")
    assert found.encoder is not gan.encoder
    assert int(found.step.numpy()) == 3
    # until the generator has gone on.
    longer = dataclasses.replace(recipe, steps=4)
    gone_on = experiment.train(longer, "run", examples, "o").gan
    found = encoders.find(gone_on, longer, run["data_hash"], "run")
    assert found.encoder is gone_on.encoder
    x = gone_on.sample(3, seed=1)
    np.testing.assert_allclose(exported.load_sampler("o").infer(x), found.infer(x), atol=1e-5)
