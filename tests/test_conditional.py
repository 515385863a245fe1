"""Conditional pairs: labels through Algorithm 1, sampling, exports, commands and judgement."""

import dataclasses
import json
import math
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gan import (
    building,
    card,
    class_evaluation,
    cli,
    evaluation,
    experiment,
    export,
    exported,
    files,
    images,
    loader,
    plots,
    priors,
    records,
    sample,
    trained,
)
from keras_gan.conditions import Condition
from keras_gan.config import DCGAN, MaxoutMLP, Recipe
from keras_gan.gan import GAN
from keras_gan.interfaces import UserError, image_seeds
from keras_gan.metrics import agreement
from keras_gan.networks import build_networks
from keras_gan.servable import Servable, ServingError
from tests.conformance.cases import BASE, CASES

CLASSES = 4


def conditional_networks(width=CLASSES, latent=3):
    z, c = keras.Input((latent,)), keras.Input((width,))
    h = layers.Dense(4, "sigmoid")(layers.Concatenate()([z, c]))
    generator = keras.Model([z, c], layers.Reshape((2, 2, 1))(h))
    x, c = keras.Input((2, 2, 1)), keras.Input((width,))
    h = layers.Concatenate()([layers.Dropout(0.5)(layers.Flatten()(x)), c])
    logits = layers.Dense(1)(layers.Dense(8, "tanh")(h))
    return generator, keras.Model([x, c], logits)


def toy(num_classes: int | None = CLASSES, **kwargs):
    keras.utils.set_random_seed(1)
    gan = GAN(*conditional_networks(), priors.Normal(3), num_classes=num_classes, **kwargs)
    gan.compile(
        d_optimizer=keras.optimizers.SGD(0.1),
        g_optimizer=keras.optimizers.SGD(0.1),
        run_eagerly=True,
    )
    return gan


def batch(n):
    rng = np.random.default_rng(0)
    return tf.constant(rng.random((n, 2, 2, 1)), tf.float32), tf.constant(np.arange(n) % CLASSES)


# The game -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_generated_images_get_the_labels_of_the_real_ones_beside_them(monkeypatch, update):
    gan = toy(update=update, d_steps=3, g_steps=2)
    told = []
    generate, judge = gan._generate, gan._judge

    def watched(name, function):
        def called(*arguments):
            told.append((name, arguments[-1].numpy().argmax(axis=1).tolist()))
            return function(*arguments)

        return called

    monkeypatch.setattr(gan, "_generate", watched("G", generate))
    monkeypatch.setattr(gan, "_judge", watched("D", judge))
    pictures, _ = batch(6)
    labels = tf.constant([0, 1, 2, 3, 0, 2])
    gan.train_step((pictures, labels))
    one, two, three = [0, 1], [2, 3], [0, 2]
    # G, then D on real and generated images: at once, but where both networks move from one point.
    steps = [one, one * 2, two, two * 2]
    steps += [three, three * 2] if update == "alternating" else [three] * 3
    generator = [three] * (4 if update == "alternating" else 2)  # G, then D on what it made
    assert [each for _, each in told] == steps + generator


def test_labels_draw_no_random_numbers():
    """The noise is that of an unconditional run: (seed, stream, step) and nothing else."""
    keys = []
    gan = toy(update="alternating", d_steps=2)
    draw = gan.prior.sample
    gan.prior.sample = lambda n, key: (keys.append(tuple(key.numpy())), draw(n, key))[1]
    gan.train_step(batch(8))
    expected = [
        tuple(priors.key(0, stream, index).numpy()) for stream, index in ((1, 0), (1, 1), (2, 0))
    ]
    np.testing.assert_array_equal(keys, expected)


def test_both_networks_learn_from_labels():
    gan = toy()
    before = [w.numpy() for w in (gan.generator.weights[0], gan.discriminator.weights[0])]
    gan.train_step(batch(4))
    after = [w.numpy() for w in (gan.generator.weights[0], gan.discriminator.weights[0])]
    for old, new in zip(before, after, strict=True):
        assert (old[-CLASSES:] != new[-CLASSES:]).any(axis=1).all()  # the rows of each class


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda x, y: x, r"pairs \(images, labels\).*received images alone"),
        (lambda x, y: (x,), r"pairs \(images, labels\)"),
        (lambda x, y: (x, tf.cast(y, tf.float32)), "whole numbers.*received float32"),
        (lambda x, y: (x, tf.one_hot(y, CLASSES)), r"whole numbers in \[0, 4\)"),
        (lambda x, y: (x, y + 1), r"labels in \[0, 4\)"),
        (lambda x, y: (x, y - 1), r"labels in \[0, 4\)"),
    ],
)
def test_training_without_the_right_labels_is_refused(data, message):
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=message):
        toy().train_step(data(*batch(4)))


def test_pairs_that_do_not_agree_are_refused():
    generator, discriminator = conditional_networks()
    plain = GAN  # the class, for lines that fit
    with pytest.raises(ValueError, match=r"equally many numbers in c.*received 4 and 5"):
        plain(generator, conditional_networks(5)[1], priors.Normal(3))
    with pytest.raises(ValueError, match="num_classes=3 and networks with 4 numbers in c"):
        plain(generator, discriminator, priors.Normal(3), num_classes=3)
    from tests.test_gan import toy_networks

    with pytest.raises(ValueError, match="received 4 and 0"):
        plain(generator, toy_networks()[1], priors.Normal(3))
    with pytest.raises(ValueError, match="num_classes=4 and networks with 0"):
        plain(*toy_networks(), priors.Normal(3), num_classes=4)


def test_an_unconditional_gan_ignores_labels_in_training_and_refuses_them_in_sampling():
    from tests.test_gan import same, toy_gan, weights

    alone, labelled = toy_gan(), toy_gan()
    pictures, labels = batch(4)
    alone.train_step(pictures)
    labelled.train_step((pictures, labels))
    assert same(weights(alone.generator), weights(labelled.generator))
    with pytest.raises(UserError, match="not conditional; received labels="):
        alone.sample(2, seed=0, labels=[0, 1])
    with pytest.raises(ValueError, match="not conditional"):
        alone(tf.zeros((1, 3)), tf.constant([0]))


def test_num_classes_and_the_average_are_saved(tmp_path):
    gan = toy(ema_decay=0.9)
    for _ in range(2):
        gan.train_step(batch(4))
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert (loaded.num_classes, loaded.condition) == (CLASSES, Condition(CLASSES, CLASSES))
    np.testing.assert_array_equal(gan.sample(5, seed=1), loaded.sample(5, seed=1))
    assert gan.live().num_classes == CLASSES
    assert not np.allclose(gan.live().sample(5, seed=1), gan.sample(5, seed=1), atol=1e-7)


# Sampling -----------------------------------------------------------------------------------------


def test_samples_are_of_the_labels_and_in_turn_without():
    gan = toy()
    z = gan.noise(9, seed=3)
    asked = np.array([3, 1, 1, 0, 2, 3, 0, 0, 2])
    expected = gan.generator([z, np.eye(CLASSES, dtype=np.float32)[asked]]).numpy()
    found = gan.sample(9, seed=3, labels=asked, batch_size=4)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(gan.sample(9, seed=3, labels=list(asked)), expected, atol=1e-6)
    in_turn = gan.sample(9, seed=3, labels=np.arange(9) % CLASSES)
    np.testing.assert_array_equal(gan.sample(9, seed=3), in_turn)
    np.testing.assert_allclose(gan.sample(5, seed=3, batch_size=2), in_turn[:5], atol=1e-6)
    np.testing.assert_array_equal(gan.generate(z), in_turn)
    assert not np.allclose(found, in_turn, atol=1e-3)


@pytest.mark.parametrize(
    "labels",
    [[0, 1], [0, 1, 4], [0, 1, -1], [0, 1, 0.5], ["a", "b", "c"], 3, np.eye(3), [0, 1, math.nan]],
)
def test_labels_that_are_no_classes_are_refused(labels):
    with pytest.raises(UserError, match=r"Expected labels \[3\], whole numbers in \[0, 4\)"):
        toy().sample(3, seed=0, labels=labels)


def test_vectors_have_no_default_and_must_be_finite():
    gan = toy(num_classes=None)
    with pytest.raises(UserError, match=r"labels \[2, 4\], a vector .*received labels=None"):
        gan.sample(2, seed=0)
    with pytest.raises(UserError, match=r"labels \[2, 4\]"):
        gan.sample(2, seed=0, labels=np.full((2, 4), np.inf))
    with pytest.raises(UserError, match=r"labels \[2, 4\]"):
        gan.sample(2, seed=0, labels=[0, 1])
    assert gan.sample(2, seed=0, labels=np.full((2, 4), 0.3)).shape == (2, 2, 2, 1)


def test_value_and_logits_by_hand():
    gan = toy(ema_decay=0.9)
    gan.train_step(batch(4))
    pictures, labels = (each.numpy() for each in batch(6))
    hot = np.eye(CLASSES, dtype=np.float32)[labels]
    real = gan.discriminator([tf.constant(pictures), tf.constant(hot)])[:, 0].numpy()
    np.testing.assert_allclose(gan.discriminate(pictures, labels), real, atol=1e-6)
    hot = tf.constant(hot)
    made = gan.generator([tf.constant(gan.noise(6, seed=2)), hot])
    fake = gan.discriminator([made, hot])[:, 0].numpy()
    expected = -np.logaddexp(0, -real).mean() - np.logaddexp(0, fake).mean()
    assert gan.value(pictures, seed=2, labels=labels) == pytest.approx(expected, abs=1e-5)
    for refused in (lambda: gan.discriminate(pictures), lambda: gan.value(pictures, seed=0)):
        with pytest.raises(ValueError, match="this GAN is conditional; received none"):
            refused()


def test_a_row_of_figure_3_stays_in_one_class():
    seen = []
    gan = toy()
    generate = gan.generate
    gan.generate = lambda z, labels: (seen.append(labels), generate(z, labels))[1]
    plots.figure_3(gan, rows=6, columns=3)
    assert seen[0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0, 0, 0, 1, 1, 1]


# A continuous c -----------------------------------------------------------------------------------


def test_brightness_follows_a_continuous_c():
    """p(x|c) of images whose left half is as bright as c[0], and whose right half as c[1]."""
    rng = np.random.default_rng(0)
    c = rng.random((4096, 2)).astype(np.float32)
    x = np.repeat(c, 4, axis=1)[:, None, :, None] * rng.uniform(0.9, 1.0, (4096, 8, 1, 1))
    network = MaxoutMLP(
        (64, 64), (48, 48), pieces=2, input_dropout=0.0, hidden_dropout=0.0,
        generator_range=0.3, discriminator_range=0.2,
    )  # fmt: skip
    pair = build_networks(network, latent=4, image_shape=(8, 8, 1), conditions=2)
    gan = GAN(*pair, priors.Normal(4), update="alternating", ema_decay=0.99)
    gan.compile(
        d_optimizer=keras.optimizers.Adam(2e-3, beta_1=0.5),
        g_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
        r1=0.1,
    )
    gan.fit(x.astype(np.float32), c, batch_size=64, epochs=16, shuffle=False, verbose=0)
    asked = rng.random((500, 2)).astype(np.float32)
    drawn = gan.sample(500, seed=1, labels=asked)
    shuffled = gan.sample(500, seed=1, labels=asked[::-1])
    for side, half in enumerate((slice(0, 4), slice(4, 8))):
        found, other = (each[:, :, half].mean(axis=(1, 2, 3)) for each in (drawn, shuffled))
        assert np.corrcoef(found, asked[:, side])[0, 1] > 0.9
        assert abs(np.corrcoef(other, asked[:, side])[0, 1]) < 0.3  # so it can fail
        assert np.abs(found - 0.95 * asked[:, side]).mean() < 0.15


# Networks -----------------------------------------------------------------------------------------


def count(network):
    return sum(math.prod(weight.shape) for weight in network.trainable_weights)


def test_what_a_label_adds_to_the_networks():
    def pair(options, conditions):
        return build_networks(options, latent=7, image_shape=(8, 8, 1), conditions=conditions)

    mlp, projection, maps = MaxoutMLP(), DCGAN(4), DCGAN(4, conditioning="maps")
    more = {
        name: [count(a) - count(b) for a, b in zip(pair(o, 5), pair(o, 0), strict=True)]
        for name, o in {"mlp": mlp, "projection": projection, "maps": maps}.items()
    }
    assert more["mlp"][1] == 5 * 240 * 5  # rows of the first layer's weights
    assert more["projection"] == [5 * 4 * 4 * 8, 5 * 4 * 4 * 4]  # a direction for each class
    assert more["maps"] == [5 * 4 * 4 * 8, 5 * 4 * 4 * 4]  # kernels of 4x4 to 4 channels


def test_a_projection_adds_the_features_times_the_classs_direction():
    _, d = build_networks(DCGAN(4), latent=3, image_shape=(8, 8, 1), conditions=3)
    x = np.random.default_rng(0).random((5, 8, 8, 1)).astype(np.float32)
    none, hot = np.zeros((5, 3), np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 2, 0]]
    features = keras.Model(d.inputs, d.get_layer("logits").input)([x, none]).numpy()
    kernel = d.get_layer("projection").kernel.numpy()
    expected = (features * (hot @ kernel)).sum(axis=1)
    np.testing.assert_allclose((d([x, hot]) - d([x, none]))[:, 0], expected, atol=1e-5)


# Exports ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_classes(tmp_path_factory):
    gan = toy(ema_decay=0.9)
    gan.train_step(batch(4))
    facts = {"name": "toy", "classes": ["cat", "dog", "2", "emu"]}
    return gan, export.export(gan, tmp_path_factory.mktemp("models") / "toy", card=facts)


@pytest.fixture(scope="module")
def of_vectors(tmp_path_factory):
    gan = toy(num_classes=None)
    return gan, export.export(gan, tmp_path_factory.mktemp("models") / "vectors")


def test_every_signature_takes_the_label_and_says_what_the_live_model_says(of_classes):
    gan, folder = of_classes
    servable = Servable(folder)
    asked = np.array([3, 1, 0, 3, 2], np.int64)
    live = gan.sample(5, seed=9, labels=asked)
    given = {"seed": image_seeds(5, seed=9), "label": asked}
    answer = servable.run("sample", given)["images"]
    np.testing.assert_allclose(answer, live, atol=1e-6)
    truncation = np.ones(5, np.float32)
    answer = servable.run("sample_truncated", given | {"truncation": truncation})["images"]
    np.testing.assert_allclose(answer, live, atol=1e-6)
    latent = {"latent": gan.noise(5, seed=9), "label": asked}
    answer = servable.run("serving_default", latent)["images"]
    np.testing.assert_allclose(answer, live, atol=1e-6)
    assert set(servable.signatures["noise"].inputs) == {"seed", "truncation"}
    assert len(servable.run("sample_png", given)["png_bytes"]) == 5
    logits = servable.run("discriminate", {"images": live, "label": asked})["logits"]
    np.testing.assert_allclose(logits, gan.discriminate(live, asked), atol=1e-5)
    for name, inputs in (("sample", given), ("serving_default", latent)):
        for label, sentence in (
            (asked + 1, r"Expected label in \[0, 4\)"),
            (asked - 1, r"Expected label in \[0, 4\)"),
            (asked[:1], "as many of each input"),
        ):
            with pytest.raises(ServingError, match=sentence):
                servable.run(name, inputs | {"label": label})
    with pytest.raises(ServingError, match=r"Expected inputs \['label', 'seed'\]"):
        servable.run("sample", {"seed": given["seed"]})
    servable.close()


def test_an_exported_sampler_draws_as_the_live_model_does(of_classes):
    gan, folder = of_classes
    loaded = exported.load_sampler(folder)
    assert loaded.num_classes == CLASSES
    np.testing.assert_allclose(loaded.sample(6, seed=1), gan.sample(6, seed=1), atol=1e-6)
    asked = [0, 0, 3, 3, 3, 1]
    live = gan.sample(6, seed=1, labels=asked)
    np.testing.assert_allclose(loaded.sample(6, seed=1, labels=asked), live, atol=1e-6)
    judged = loaded.discriminate(live, asked)
    np.testing.assert_allclose(judged, gan.discriminate(live, asked), atol=1e-5)
    with pytest.raises(UserError, match=r"whole numbers in \[0, 4\)"):
        loaded.sample(1, seed=0, labels=[4])
    with pytest.raises(UserError, match="Expected labels: this model is conditional"):
        loaded.discriminate(live)


def test_an_export_of_classes_without_its_card_is_refused(of_classes, tmp_path):
    _, folder = of_classes
    copy = shutil.copytree(folder, tmp_path / "1")
    (copy / card.CARD).unlink()
    with pytest.raises(UserError, match=r"Expected an export with its card, assets\.extra/card"):
        exported.load_sampler(copy)


@pytest.mark.whole_export
def test_warm_up_requests_and_the_card_have_labels(tmp_path):
    facts = {"classes": ["cat", "dog", "2", "emu"]}
    folder = export.export(toy(), tmp_path / "toy", card=facts)  # the loader answers all requests
    requests = {r.model_spec.signature_name: r for r in loader.warm_up_requests(folder)}
    assert set(requests["sample"].inputs) == {"seed", "label"}
    assert set(requests["noise"].inputs) == {"seed", "truncation"}
    known = card.verify(folder)
    assert (known["num_classes"], known["conditions"]) == (4, 4)
    assert known["signatures"]["sample"][0] == "label int64 [N], seed int64 [N]"
    assert "| classes | 0 cat, 1 dog, 2 2, 3 emu |" in (folder / card.README).read_text()


def test_vectors_are_a_signatures_condition(of_vectors):
    gan, folder = of_vectors
    servable = Servable(folder)
    c = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    given = {"seed": image_seeds(3, seed=1), "condition": c}
    live = gan.sample(3, seed=1, labels=c)
    np.testing.assert_allclose(servable.run("sample", given)["images"], live, atol=1e-6)
    loaded = exported.load_sampler(folder)
    np.testing.assert_allclose(loaded.sample(3, seed=1, labels=c), live, atol=1e-6)
    with pytest.raises(ServingError, match="Expected finite condition"):
        servable.run("sample", given | {"condition": c * np.nan})
    with pytest.raises(UserError, match=r"labels \[3, 4\]"):
        loaded.sample(3, seed=1)
    servable.close()


# Runs and commands --------------------------------------------------------------------------------

RECIPE = dataclasses.replace(CASES["conditional_mlp"], name="digits")


@pytest.fixture(scope="module")
def run(examples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    experiment.train(RECIPE, folder / "run", examples, folder / "export")
    return folder


def test_a_run_knows_its_classes_and_draws_a_row_for_each(run):
    assert json.loads((run / "run" / "run.json").read_text())["classes"] == list("0123456789")
    gan, _ = trained.load_run(run / "run")
    assert gan.num_classes == 10
    from PIL import Image

    for path in (run / "run" / "samples" / "step-0000004.png", run / "export" / "1" / card.GRID):
        assert Image.open(path).size == (8 * 9 - 1, 10 * 9 - 1)
    drawn = images.to_uint8(gan.sample(80, seed=0, labels=np.repeat(np.arange(10), 8)))
    newest = np.asarray(Image.open(run / "run" / "samples" / "step-0000006.png"))
    np.testing.assert_array_equal(newest, images.grid(drawn, 8)[..., 0])
    facts = card.read(run / "export" / "1")
    assert (facts["classes"], facts["num_classes"]) == (list("0123456789"), 10)


def test_held_out_loss_is_with_labels(examples, tmp_path):
    recipe = dataclasses.replace(RECIPE, log_every=1)
    experiment.train(recipe, tmp_path / "run", examples, tmp_path / "export")
    tags = set()
    for file in (tmp_path / "run" / "tensorboard").glob("events.*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            tags |= {value.tag for value in event.summary.value}
    assert "held_out/d_loss" in tags


def test_data_without_labels_are_refused(tmp_path, examples):
    from pipelines import preprocess
    from pipelines.options import Options

    pictures = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "plain.npz", train_images=pictures)
    arrays = str(tmp_path / "plain.npz")
    preprocess.preprocess(Options(arrays=arrays, validation="none"), tmp_path / "plain")
    recipe = dataclasses.replace(RECIPE, validation="none", dataset="")
    with pytest.raises(UserError, match="labelled images for conditional=true; received data with"):
        experiment.train(recipe, tmp_path / "run", tmp_path / "plain", tmp_path / "export")
    info = records.DatasetInfo.read(examples)
    statistics = {"label_counts": np.array([100, 100])}
    with pytest.raises(UserError, match=r"each of the 240 training images .* received 200"):
        building.expect_labels(RECIPE, info, statistics)


def test_recipes_from_before_there_were_labels_still_load():
    data = json.loads(dataclasses.replace(BASE, network=DCGAN()).to_json())
    del data["conditional"], data["network"]["conditioning"]
    recipe = Recipe.from_json(json.dumps(data))
    assert (recipe.conditional, recipe.network) == (False, DCGAN())


def command(*arguments):
    return cli.run(sample.main, sample.FLAGS, "", ["sample", *arguments])


def drawn_by(*arguments, folder):
    assert command(*arguments, f"--out={folder / 'x.npz'}") == 0
    with np.load(folder / "x.npz") as file:
        return file["images"]


def test_sample_draws_what_is_asked_for(run, tmp_path, capsys):
    gan, _ = trained.load_run(run / "run")

    def live(labels):
        return images.to_uint8(gan.sample(len(labels), seed=0, labels=labels))

    for source in (f"--workdir={run / 'run'}", f"--model={run / 'export'}"):
        found = drawn_by(source, "--labels=3,1,4", folder=tmp_path)
        assert np.abs(found.astype(int) - live([3, 1, 4])).max() <= 1
        found = drawn_by(source, "--labels=3,1", "--n=5", folder=tmp_path)
        assert np.abs(found.astype(int) - live([3, 1, 3, 1, 3])).max() <= 1
        assert len(drawn_by(source, folder=tmp_path)) == 64
        found = drawn_by(source, "--label_grid", folder=tmp_path)
        assert np.abs(found.astype(int) - live(np.repeat(np.arange(10), 10))).max() <= 1
    capsys.readouterr()
    model = f"--model={run / 'export'}"
    for arguments, sentence in (
        (["--labels=10"], "Expected --labels of 0 to 9 or of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9; receiv"),
        (["--labels=cat"], "received 'cat'"),
        (["--labels=1", "--label_grid"], "received both"),
        (["--label_grid", "--n=5"], "without --n; received --n=5"),
    ):
        assert command(model, f"--out={tmp_path / 'x.png'}", *arguments) == 2
        assert sentence in capsys.readouterr().err


def test_classes_go_by_their_names(of_classes, tmp_path):
    gan, folder = of_classes
    found = drawn_by(f"--model={folder}", "--labels=emu,cat,1", folder=tmp_path)
    live = images.to_uint8(gan.sample(3, seed=0, labels=[3, 0, 1]))
    assert np.abs(found.astype(int) - live).max() <= 1


def test_sample_refuses_labels_of_a_model_without(tmp_path, capsys):
    from tests.test_gan import toy_gan

    export.export(toy_gan(), tmp_path / "plain")
    for flag in ("--labels=1,2", "--label_grid"):
        assert command(f"--model={tmp_path / 'plain'}", flag) == 2
        assert f"Expected a model of classes for {flag}" in capsys.readouterr().err


# Judgement ----------------------------------------------------------------------------------------


class Squares:
    """Draws class y as a bright square at place y, or at place `places[y]`."""

    image_shape = (8, 8, 1)

    def __init__(self, places):
        self.num_classes, self._places = len(places), np.asarray(places)

    def sample(self, n, *, seed, labels=None):
        rng = np.random.default_rng(seed)
        labels = np.arange(n) % self.num_classes if labels is None else np.asarray(labels)
        drawn = rng.uniform(0, 0.3, (n, 8, 8, 1)).astype(np.float32)
        for image, place in zip(drawn, self._places[labels], strict=True):
            row, column = divmod(int(place), 2)
            image[4 * row : 4 * row + 3, 4 * column : 4 * column + 3] += 0.6
        return drawn


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    from pipelines import preprocess
    from pipelines.options import Options

    folder = tmp_path_factory.mktemp("squares")
    arrays = {}
    for seed, (split, n) in enumerate({"train": 2000, "val": 100, "test": 100}.items()):
        arrays[f"{split}_images"] = images.to_uint8(Squares(range(4)).sample(n, seed=seed + 1))
        arrays[f"{split}_labels"] = np.arange(n) % 4
    np.savez(folder / "squares.npz", **arrays)
    options = Options(arrays=str(folder / "squares.npz"), validation="none")
    preprocess.preprocess(options, folder / "data")
    return folder / "data"


def test_permuted_labels_score_nothing_and_true_ones_everything(squares):
    classifier = class_evaluation.load_classifier(squares)
    right, wrong = (
        class_evaluation.judge_classes(
            Squares(places), squares, samples=200, seed=9, classifier=classifier
        )
        for places in (range(4), [1, 2, 3, 0])
    )
    assert right["classifier"] > 0.98
    assert right["agreement"] > 0.98
    assert wrong["agreement"] < 0.02
    assert right["log_likelihood"] > wrong["log_likelihood"] + 10
    assert right["log_likelihood"] == pytest.approx(right["real_log_likelihood"], abs=3)
    row = right["classes"][2]
    assert (row["name"], row["samples"], row["test_images"]) == ("2", 50, 25)
    assert min(each["agreement"] for each in right["classes"]) > 0.9


def test_agreement_by_hand():
    found = agreement.agreement(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]), 3)
    assert (found.mean, found.stderr) == (0.75, math.sqrt(0.75 * 0.25 / 4))
    assert found.classes.tolist() == [1.0, 1.0, 0.5]
    assert found.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


def test_the_classifier_is_kept_for_these_data_only(squares, tmp_path, monkeypatch):
    link = tmp_path / "data"
    link.symlink_to(squares)
    trained = []
    train = agreement.train_classifier
    monkeypatch.setattr(
        agreement,
        "train_classifier",
        lambda *a, **k: (trained.append(1), train(*a, epochs=1, **k))[1],
    )
    first = class_evaluation.load_classifier(link)
    again = class_evaluation.load_classifier(link)
    assert len(trained) == 1
    pictures = Squares(range(4)).sample(5, seed=0)
    np.testing.assert_array_equal(first.predict(pictures), again.predict(pictures))
    kept = tmp_path / "data.classifier-0.keras"
    with files.replacing(kept) as temporary:
        temporary.write_bytes(b"changed")
    class_evaluation.load_classifier(link)
    assert len(trained) == 2


def test_other_classes_are_refused(squares):
    with pytest.raises(UserError, match=r"the model's 3 classes; received .* with 4"):
        class_evaluation.judge_classes(Squares(range(3)), squares)
    with pytest.raises(UserError, match=r"a sample of each of the 4 classes; received 3"):
        class_evaluation.judge_classes(Squares(range(4)), squares, samples=3)


def test_evaluate_prints_and_keeps_the_agreement(run, examples, tmp_path, capsys, monkeypatch):
    from keras_gan import evaluate

    link = tmp_path / "data"
    link.symlink_to(examples)
    arguments = [f"--workdir={run / 'run'}", f"--examples={link}", "--n=100", "--noruler"]
    arguments.append(f"--out={tmp_path / 'out.json'}")
    assert cli.run(evaluate.main, evaluate.FLAGS, "", ["evaluate", *arguments]) == 0
    assert "Shows the class asked for: " in capsys.readouterr().out
    found = json.loads((tmp_path / "out.json").read_text())["by class"]
    assert 0 <= found["agreement"] < 0.5  # random images have nothing to agree on
    assert [row["name"] for row in found["classes"]] == list("0123456789")
    kept = evaluation.kept(run / "run", 6, records.DatasetInfo.read(examples).data_hash)
    shown = kept["Shows the class asked for, to a classifier, %"]
    assert shown["mean"] == pytest.approx(100 * found["agreement"])
