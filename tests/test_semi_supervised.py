"""Learning from few labels: the losses, whose labels are seen, resume, and what it is worth."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gan import (
    card,
    checkpoints,
    classification,
    classify,
    cli,
    data,
    encoders,
    experiment,
    exported,
    priors,
    semi_supervised,
    servable,
    trained,
)
from keras_gan.config import Encoder, Optimizer
from keras_gan.few_labels import FewLabels, choose_labelled
from keras_gan.interfaces import UserError
from keras_gan.labelled import labelled_batches
from keras_gan.metrics import linear_probe
from keras_gan.networks import noisy
from keras_gan.networks.layers import WeightNormalizedDense
from tests.conformance.cases import CASES

TINY = FewLabels(
    labels=20,
    latent=4,
    generator_units=(8,),
    discriminator_units=(8, 6),
    batch_size=16,
    d_optimizer=Optimizer("adam", 1e-2),
    g_optimizer=Optimizer("adam", 1e-2),
    ema_decay=0.9,
    steps=6,
    log_every=2,
    checkpoint_every=100,
)


# The losses ----------------------------------------------------------------------------------


def twin(logits):
    """log Z and log D(x), log(1 - D(x)) in Python's own way: with the free logit 0 beside."""
    wide = np.concatenate([np.asarray(logits, np.float64), np.zeros((len(logits), 1))], axis=1)
    largest = wide.max(axis=1, keepdims=True)
    whole = largest[:, 0] + np.log(np.exp(wide - largest).sum(axis=1))  # log(Z + 1)
    top = wide[:, :-1].max(axis=1, keepdims=True)
    log_z = top[:, 0] + np.log(np.exp(wide[:, :-1] - top).sum(axis=1))
    return log_z, log_z - whole, -whole


def test_literal_losses():
    even = tf.zeros((1, 2))  # Z = 2: D = 2/3
    assert float(tf.sigmoid(semi_supervised.real_logit(even))[0]) == pytest.approx(2 / 3)
    found = semi_supervised.supervised_loss(even, tf.constant([1]))
    assert found.numpy() == pytest.approx([np.log(2)])
    found = semi_supervised.unsupervised_loss(even, even)
    assert found.numpy() == pytest.approx([np.log(3 / 2) + np.log(3)])
    distance = semi_supervised.feature_distance(
        tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.zeros((5, 2))
    )
    assert float(distance) == 6.5  # means (2, 3): (4 + 9) / 2


@pytest.mark.parametrize("size", [1.0, 30.0, 1000.0])
def test_losses_equal_a_numpy_twin(size):
    rng = np.random.default_rng(0)
    real, fake = (size * rng.uniform(-1, 1, (50, 10)).astype(np.float32) for _ in range(2))
    labels = rng.integers(0, 10, 50)
    log_z, log_d, _ = twin(real)
    _, _, log_not_d = twin(fake)
    expected = log_z - real[np.arange(50), labels]
    found = semi_supervised.supervised_loss(tf.constant(real), labels)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    found = semi_supervised.unsupervised_loss(tf.constant(real), tf.constant(fake))
    np.testing.assert_allclose(found, -log_d - log_not_d, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("value", [-1000.0, 1000.0])
def test_losses_and_gradients_are_finite_at_the_largest_logits(value):
    logits = tf.fill((3, 10), value)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = semi_supervised.unsupervised_loss(logits, logits)
    right = 1000.0 + (np.log(10) if value > 0 else -np.log(10))
    assert found.numpy() == pytest.approx([right] * 3, rel=1e-5)
    assert np.isfinite(tape.gradient(found, logits)).all()


def test_gradient_of_the_unsupervised_part():
    """It raises the class logits of real images by (1 - D) p(class), and lowers generated ones'."""
    rng = np.random.default_rng(1)
    real, fake = (tf.constant(rng.normal(size=(7, 4)), tf.float32) for _ in range(2))
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        loss = semi_supervised.unsupervised_loss(real, fake)
    for_real, for_fake = tape.gradient(loss, [real, fake])
    z_real, z_fake = (np.exp(x.numpy()).sum(axis=1, keepdims=True) for x in (real, fake))
    np.testing.assert_allclose(for_real, -np.exp(real) / z_real / (z_real + 1), rtol=1e-4)
    np.testing.assert_allclose(for_fake, np.exp(fake) / (z_fake + 1), rtol=1e-4)


# Labels ----------------------------------------------------------------------------------------


def test_labelled_images_are_balanced_and_chosen_by_seed():
    labels = np.random.default_rng(0).integers(0, 10, 1000)
    rows = choose_labelled(labels, 50, 10, seed=3)
    np.testing.assert_array_equal(np.bincount(labels[rows]), [5] * 10)
    assert len(set(rows)) == 50
    np.testing.assert_array_equal(rows, choose_labelled(labels, 50, 10, seed=3))
    assert set(rows) != set(choose_labelled(labels, 50, 10, seed=4))
    np.testing.assert_array_equal(choose_labelled(labels, 0, 10, seed=3), np.arange(1000))


@pytest.mark.parametrize(("count", "message"), [(55, "received 55. Try 60"), (20, "at most 1 for")])
def test_a_choice_that_is_not_possible(count, message):
    with pytest.raises(UserError, match=message):
        choose_labelled(np.array([0] + [1] * 50), count, 10 if count == 55 else 2, seed=0)


def test_labelled_batches_go_on_from_any_step():
    images, labels = np.arange(70, dtype=np.float32).reshape(7, 1, 1, 10), np.arange(7)

    def draw(first, count):
        batches = labelled_batches((images, labels), batch_size=2, first_step=first, seed=5)
        return [(x.numpy()[:, 0, 0, 0], y.numpy()) for x, y in batches.take(count)]

    whole = draw(0, 7)
    for (x, y), (x_on, y_on) in zip(whole[4:], draw(4, 3), strict=True):
        np.testing.assert_array_equal(y, y_on)
        np.testing.assert_array_equal(x, x_on)
    for x, y in whole:
        np.testing.assert_array_equal(x, 10 * y)
    passes = [np.concatenate([y for _, y in whole[start : start + 3]]) for start in (0, 3)]
    assert all(len(set(one)) == 6 for one in passes)  # nothing twice in a pass
    assert list(passes[0]) != list(passes[1])


# Training --------------------------------------------------------------------------------------


def state(gan):
    variables = [*gan.variables, *gan.d_optimizer.variables, *gan.g_optimizer.variables]
    metrics = {id(v) for metric in gan.metrics for v in metric.variables}
    return [v.numpy() for v in variables if id(v) not in metrics and "seed" not in v.path]


def differing(left, right):
    assert len(left) == len(right)
    return sum(not np.array_equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.fixture(scope="module")
def labelled(examples):
    return classification.load_labelled(TINY, examples)


@pytest.fixture(scope="module")
def whole(examples, labelled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return state(classification.train(TINY, folder, examples, labelled, labelled))


def test_a_resumed_run_equals_the_uninterrupted_one(examples, labelled, whole, tmp_path):
    half = dataclasses.replace(TINY, steps=3)
    classification.train(half, tmp_path, examples, labelled, labelled)
    gan = classification.train(TINY, tmp_path, examples, labelled, labelled)
    assert int(gan.step.numpy()) == 6
    assert differing(whole, state(gan)) == 0


def test_labels_of_the_unlabelled_are_never_used(examples, labelled, whole, tmp_path, monkeypatch):
    """The same bits come out where the folder's labels cannot be read at all."""
    parse = data.records.parse

    def parse_without_labels(serialized, info, *, labels):
        assert not labels
        return parse(serialized, info, labels=False)

    monkeypatch.setattr(data.records, "parse", parse_without_labels)
    gan = classification.train(TINY, tmp_path, examples, labelled, labelled)
    assert differing(whole, state(gan)) == 0
    permuted = (labelled[0], labelled[1][::-1].copy())  # the labelled ones' are
    other = classification.train(TINY, tmp_path / "other", examples, permuted, labelled)
    assert differing(whole, state(other)) > 0


def test_labels_alone_move_no_generator_and_see_no_other_image(examples, labelled, tmp_path):
    alone = dataclasses.replace(TINY, unlabelled_weight=0.0)
    mean = data.records.read_statistics(examples)["pixel_mean"]
    before = classification.build(alone, (8, 8, 1), 10, mean)
    after = classification.train(alone, tmp_path, examples, labelled, labelled)
    assert differing(before.generator.get_weights(), after.generator.get_weights()) == 0
    assert differing(before.discriminator.get_weights(), after.discriminator.get_weights()) > 0
    (batch,) = classification.feed(alone, labelled, examples, 0).take(1)
    assert len(batch) == 2


@pytest.mark.parametrize("loss", semi_supervised.GENERATOR_LOSSES)
def test_the_step_descends_the_formula(loss):
    """One step of plain gradient descent equals that of the loss written out, without noise."""
    options = dataclasses.replace(TINY, input_noise=0.0, hidden_noise=0.0, generator_loss=loss)

    def made():
        gan = classification.build(options, (2, 2, 1), 3)
        gan.compile(d_optimizer=keras.optimizers.SGD(0.1), g_optimizer=keras.optimizers.SGD(0.2))
        return gan

    rng = np.random.default_rng(0)
    x, real = (rng.uniform(size=(n, 2, 2, 1)).astype(np.float32) for n in (5, 9))
    labels = np.array([0, 1, 2, 1, 0])
    gan, other = made(), made()
    gan.train_step((tf.constant(x), tf.constant(labels), tf.constant(real)))

    z = other.prior.sample(9, priors.key(0, priors.DISCRIMINATOR_NOISE, 0))
    with tf.GradientTape(persistent=True) as tape:
        fake = other.generator(z, training=True)
        l_x, l_real, l_fake = (other.discriminator(of, training=False) for of in (x, real, fake))
        f_real, f_fake = (other.judge(of)[1] for of in (real, fake))
        p = tf.nn.softmax(l_x)
        sums = {"real": tf.reduce_sum(tf.exp(l_real), 1), "fake": tf.reduce_sum(tf.exp(l_fake), 1)}
        d = {name: total / (total + 1) for name, total in sums.items()}
        log_likelihood = tf.reduce_mean(tf.math.log(tf.gather(p, labels, batch_dims=1)))
        value = tf.reduce_mean(tf.math.log(d["real"])) + tf.reduce_mean(tf.math.log(1 - d["fake"]))
        d_loss = -log_likelihood - 0.5 * value
        g_loss = {
            "feature_matching": tf.reduce_mean((tf.reduce_mean(f_real - f_fake, 0)) ** 2),
            "minimax": tf.reduce_mean(tf.math.log(1 - d["fake"])),
            "non_saturating": -tf.reduce_mean(tf.math.log(d["fake"])),
        }[loss]
    for network, other_network, rate, of in (
        (gan.discriminator, other.discriminator, 0.1, d_loss),
        (gan.generator, other.generator, 0.2, g_loss),
    ):
        weights = other_network.trainable_variables
        for weight, gradient, moved in zip(
            weights, tape.gradient(of, weights), network.trainable_variables, strict=True
        ):
            np.testing.assert_allclose(moved, weight - rate * gradient, atol=1e-5)


def test_averages_are_of_the_weights_after_each_step_and_change_no_game():
    """Those of step t count 0.9**(now - t), those before the first step nothing."""
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(size=(16, 2, 2, 1)), tf.float32)
    batch = (images[:6], tf.constant([0, 1, 2, 0, 1, 2]), images)
    gan, other = (
        classification.build(dataclasses.replace(TINY, ema_decay=decay), (2, 2, 1), 3)
        for decay in (0.9, 0.0)
    )
    noisy.start_from(gan.discriminator, images, 0)
    noisy.start_from(other.discriminator, images, 0)
    sums, shares = {}, 0.0
    for _ in range(4):
        gan.train_step(batch)
        other.train_step(batch)
        shares = 0.9 * shares + 1
        for network in (gan.generator, gan.discriminator):
            before = sums.get(network, [0.0] * len(network.weights))
            weights = [weight.numpy().astype(float) for weight in network.weights]
            sums[network] = [0.9 * old + new for old, new in zip(before, weights, strict=True)]
    for average, network in (
        (gan.average, gan.generator),
        (gan.average_discriminator, gan.discriminator),
    ):
        for found, total in zip(average.weights, sums[network], strict=True):
            np.testing.assert_allclose(found, total / shares, rtol=1e-5, atol=1e-6)
        assert differing(average.get_weights(), network.get_weights()) >= 4
    assert other.average is other.average_discriminator is None
    for network in ("generator", "discriminator"):
        left, right = (getattr(of, network).get_weights() for of in (gan, other))
        assert differing(left, right) == 0
    np.testing.assert_array_equal(gan(images), gan.average_discriminator(images))
    np.testing.assert_array_equal(gan(images, training=False), gan.classifier(images))
    np.testing.assert_array_equal(other(images), other.discriminator(images))


@pytest.mark.parametrize("weight", [0.5, 0.0])
def test_two_replicas_learn_what_one_learns(weight, examples, labelled, tmp_path, two_replicas):
    """Without noise of their own: z, batch normalisation and matched means are of all replicas."""
    options = dataclasses.replace(
        TINY,
        input_noise=0.0,
        hidden_noise=0.0,
        unlabelled_weight=weight,
        d_optimizer=Optimizer("momentum", 0.1),
        g_optimizer=Optimizer("momentum", 1.0),
    )
    one, two = (
        classification.train(options, tmp_path / name, examples, labelled, labelled, strategy)
        for name, strategy in (("one", None), ("two", two_replicas))
    )
    assert int(two.step.numpy()) == 6
    fresh = classification.build(options, (8, 8, 1), 10)
    for network in ("discriminator", "generator", "average_discriminator", "average"):
        left, right = (getattr(gan, network).weights for gan in (one, two))
        for a, b in zip(left, right, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), atol=2e-5)
    moved = differing(one.generator.get_weights(), fresh.generator.get_weights())
    assert moved >= 4 * bool(weight)


def test_replicas_draw_noise_of_their_own(examples, labelled, two_replicas):
    with two_replicas.scope():
        gan = classification.build(TINY, (8, 8, 1), 10)
    images = tf.zeros((3, 8, 8, 1))

    @tf.function
    def judged():
        return two_replicas.run(lambda: gan._judge(images, priors.REAL_MASKS)[0])

    first, second = (part.numpy() for part in judged().values)
    assert np.abs(first - second).max() > 1e-3


def test_any_networks_will_do():
    layers = keras.layers
    generator = keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.Reshape((2, 2, 1))])
    discriminator = keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(5, "relu", name="features"),
            layers.Dense(3),
        ]
    )
    gan = semi_supervised.SemiSupervisedGAN(generator, discriminator, priors.Normal(3))
    gan.compile(d_optimizer=keras.optimizers.Adam(), g_optimizer=keras.optimizers.Adam())
    before = [network.get_weights() for network in (generator, discriminator)]
    images = np.random.default_rng(0).uniform(size=(6, 2, 2, 1)).astype(np.float32)
    batches = tf.data.Dataset.from_tensors((images, np.arange(6) % 3, images)).repeat()
    gan.fit(batches, steps_per_epoch=2, shuffle=False, verbose=0)
    for network, weights in zip((generator, discriminator), before, strict=True):
        assert differing(network.get_weights(), weights) == len(weights)
    assert gan(images).shape == (6, 3)


def test_a_saved_pair_holds_everything_and_goes_on_alike(labelled, tmp_path):
    options = dataclasses.replace(TINY, ema_decay=0.5)
    images, labels = labelled[0][:8], labelled[1][:8]
    batches = tf.data.Dataset.from_tensors((images, labels, images)).repeat()

    def fit(gan, steps):
        gan.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0)

    def state(gan):
        kept = [*gan.variables, *gan.d_optimizer.variables, *gan.g_optimizer.variables]
        metrics = {id(v) for metric in gan.metrics for v in metric.variables}
        return [v.numpy() for v in kept if id(v) not in metrics and "seed" not in v.path]

    gan = classification.build(options, (8, 8, 1), 10)
    fit(gan, 3)
    gan.save(tmp_path / "pair.keras")
    loaded = keras.models.load_model(tmp_path / "pair.keras")
    assert isinstance(loaded, semi_supervised.SemiSupervisedGAN)
    assert int(loaded.step.numpy()) == 3
    np.testing.assert_array_equal(loaded(images), gan(images))
    for pair in (gan, loaded):
        fit(pair, 2)
    for a, b in zip(state(gan), state(loaded), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_work_directory_of_other_options_is_refused(examples, labelled, tmp_path):
    gan = classification.build(TINY, (8, 8, 1), 10)
    info = data.records.DatasetInfo.read(examples)
    checkpoints.Checkpoints(tmp_path / "checkpoints", TINY, info.data_hash).save(gan)
    other = dataclasses.replace(TINY, hidden_noise=0.1)
    with pytest.raises(UserError, match=r"hidden_noise is 0\.5 there, 0\.1 here"):
        classification.train(other, tmp_path, examples, labelled, labelled)


def test_a_run_is_never_judged_as_a_shorter_one(examples, labelled, tmp_path):
    constant = dataclasses.replace(TINY.d_optimizer, schedule="constant")
    options = dataclasses.replace(TINY, d_optimizer=constant, g_optimizer=constant)
    gan = classification.build(options, (8, 8, 1), 10)
    gan.step.assign(options.steps)
    info = data.records.DatasetInfo.read(examples)
    checkpoints.Checkpoints(tmp_path / "checkpoints", options, info.data_hash).save(gan)
    shorter = dataclasses.replace(options, steps=options.steps - 1)
    with pytest.raises(UserError, match=r"at least the \d+ steps that .* has; received \d+"):
        classification.train(shorter, tmp_path, examples, labelled, labelled)


def clusters(n, rng):
    """Two flat Gaussian clusters, one above the other: points in the unit square, as images."""
    labels = rng.integers(0, 2, n)
    x = rng.normal(0.5, 0.15, n)
    y = np.where(labels, 0.7, 0.3) + rng.normal(0, 0.04, n)
    return np.stack([x, y], axis=1).reshape(n, 1, 1, 2).astype(np.float32), labels


def test_unlabelled_points_beat_one_label_each():
    """The labelled points lie aslant; only the points without labels show how the clusters lie."""
    rng = np.random.default_rng(0)
    points, truth = clusters(2000, rng)
    known = np.array([[0.25, 0.3], [0.75, 0.7]], np.float32).reshape(2, 1, 1, 2)
    options = FewLabels(
        latent=8,
        generator_units=(32,),
        discriminator_units=(64, 32),
        input_noise=0.02,
        hidden_noise=0.1,
        batch_size=64,
        d_optimizer=Optimizer("adam", 5e-3),
        g_optimizer=Optimizer("adam", 2e-2),
        steps=1200,
    )
    errors = {}
    for weight in (0.5, 0.0):
        chosen = dataclasses.replace(options, unlabelled_weight=weight)
        gan = classification.build(chosen, (1, 1, 2), 2)
        noisy.start_from(gan.discriminator, tf.constant(points[:200]), 0)
        batches = tf.data.Dataset.from_tensor_slices(points).repeat().batch(64)
        batches = batches.map(lambda real: (known, tf.constant([0, 1], tf.int64), real))
        gan.steps_per_execution = 20
        gan.fit(batches, steps_per_epoch=options.steps, epochs=1, shuffle=False, verbose=0)
        logits = gan.discriminator.predict(points, batch_size=500, verbose=0)
        errors[weight] = float(np.mean(logits.argmax(axis=1) != truth))
    assert errors[0.5] < 0.02
    assert errors[0.0] > 0.05


# Layers, probes --------------------------------------------------------------------------------


def test_weight_normalisation_is_that_of_numpy():
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, (400, 5)).astype(np.float32)
    layer = WeightNormalizedDense(4, "relu", seed=1)
    layer.build((None, 5))
    v = layer.direction.numpy()
    layer.scale.assign([1.0, 2.0, 3.0, 4.0])
    layer.bias.assign([0.0, 1.0, -1.0, 0.5])
    expected = x @ (v / np.linalg.norm(v, axis=0)) * [1, 2, 3, 4] + [0, 1, -1, 0.5]
    np.testing.assert_allclose(layer(x), np.maximum(expected, 0), atol=1e-4)
    layer.start_from(x)
    layer.activation = "linear"
    y = np.asarray(layer(x))
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(y.std(axis=0), 1, atol=5e-3)
    copy = WeightNormalizedDense.from_config(layer.get_config())
    copy.build((None, 5))
    np.testing.assert_array_equal(copy.direction, v)


def test_only_the_direction_of_the_weights_of_an_image_counts():
    options = FewLabels(generator_units=(8,), discriminator_units=(4,), latent=3)
    generator, _ = noisy.build(options, image_shape=(2, 2, 1), classes=2)
    z = np.random.default_rng(0).random((5, 3)).astype(np.float32)
    images = generator(z).numpy()
    last = generator.get_layer("pixels")
    weights = last.trainable_variables[0]
    assert weights.shape == (8, 4)
    weights.assign(7 * weights)
    np.testing.assert_allclose(generator(z).numpy(), images, rtol=1e-5)
    weights.assign(-weights)
    assert np.abs(generator(z).numpy() - images).max() > 0.05


def test_probe_is_at_the_minimum_and_the_penalty_is_chosen_on_validation():
    rng = np.random.default_rng(0)
    x = rng.normal(1.0, 2.0, (300, 4))
    labels = (x @ rng.normal(size=(4, 3)) + rng.normal(size=(300, 3))).argmax(axis=1)
    found = linear_probe.fit(x, labels, 3, penalty=0.1)
    deviation = (x - x.mean(axis=0)).std()
    logits = x @ found.weights + found.bias
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rest = (p - np.eye(3)[labels]) / 300
    scaled = found.weights * deviation
    gradient = ((x - x.mean(axis=0)) / deviation).T @ rest + 0.1 * scaled
    np.testing.assert_allclose(gradient, 0, atol=1e-4)
    np.testing.assert_allclose(rest.sum(axis=0), 0, atol=1e-4)
    judges = rng.normal(1.0, 2.0, (200, 4))
    for penalty in linear_probe.PENALTIES[::3]:
        right = linear_probe.fit(x, labels, 3, penalty).classify(judges)
        best = linear_probe.fit_best(x, labels, 3, (judges, right))
        assert np.array_equal(best.classify(judges), right)


# The command -----------------------------------------------------------------------------------

SETTINGS = [
    "--set=latent=4",
    "--set=generator_units=8",
    "--set=discriminator_units=8,6",
    "--set=batch_size=16",
]


def run(*argv):
    return cli.run(classify.main, classify.FLAGS, "", ["classify", *argv])


def test_the_command_trains_judges_and_goes_on(examples, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    argv = [f"--examples={examples}", "--labels=20", "--steps=4", *SETTINGS, "--out=a/b.json"]
    assert run(*argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("20 labels, seed 0, 4 steps, ")
    found = json.loads((tmp_path / "a" / "b.json").read_text())
    assert FewLabels.from_json(json.dumps(found["options"])).labels == 20
    names = [
        "semi-supervised",
        "semi-supervised, average",
        "labels alone",
        "labels alone, average",
        "linear probe, D's features",
        "linear probe, pixels",
    ]
    assert list(found["classifiers"]) == names
    for line, (name, row) in zip(lines[2:], found["classifiers"].items(), strict=True):
        error = row["error"]
        assert line.startswith(name)
        assert f"{error:.2%} +- {row['stderr']:.2%}" in line
        assert row["stderr"] == pytest.approx(np.sqrt(error * (1 - error) / 40))
    # Random images: what a run learns, its test images do not show.
    assert 0.5 < found["classifiers"]["labels alone"]["error"] <= 1

    monkeypatch.setattr(classification.loop, "train", None)  # all is trained
    assert run(*argv[:-1], "--out=again.json") == 0
    assert json.loads((tmp_path / "again.json").read_text()) == found


def test_an_export_draws_and_classifies_as_the_live_pair(examples, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    argv = [f"--examples={examples}", "--labels=20", "--steps=4", *SETTINGS, "--export_dir=out"]
    assert run(*argv, "--out=errors.json", "--workdir=work") == 0
    assert run(*argv, "--workdir=work") == 0  # which has nothing to add
    assert card.versions("out") == [1]
    facts = card.verify("out/1")
    assert facts["label_names"] == [str(number) for number in range(10)]
    row = json.loads((tmp_path / "errors.json").read_text())["classifiers"][
        "semi-supervised, average"
    ]
    page = (tmp_path / "out" / "1" / card.README).read_text()
    of = "wrong on the test images, semi-supervised, average (%)"
    assert facts["weights"] == "moving average"
    assert f"- {of}: {100 * row['error']:.2f} +- {100 * row['stderr']:.2f}\n" in page

    images, labels = (load(examples, "test") for load in (data.load_split, data.load_labels))
    sampler = exported.load_sampler("out")
    probabilities = sampler.classify(images)
    assert probabilities.shape == (40, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert np.mean(probabilities.argmax(axis=1) != labels) == pytest.approx(row["error"])
    answer = servable.Servable(tmp_path / "out" / "1").run("classify", {"images": images})
    np.testing.assert_array_equal(answer["label"], probabilities.argmax(axis=1))

    options = FewLabels.from_json(json.dumps(facts["recipe"]))
    gan = classification.build(options, (8, 8, 1), 10)
    assert checkpoints.Checkpoints(
        tmp_path / "work" / "semi_supervised" / "checkpoints", options, facts["data_hash"]
    ).restore(gan)
    assert differing(gan.average.get_weights(), gan.generator.get_weights()) >= 4
    logits = gan.average_discriminator.predict(images, verbose=0).astype(float)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, shares, atol=1e-5)
    real_logits = np.log(np.exp(logits).sum(axis=1))
    np.testing.assert_allclose(sampler.discriminate(images), real_logits, atol=1e-4)
    z = sampler.noise(3, seed=5)
    np.testing.assert_allclose(sampler.generate(z), gan.average(z), atol=1e-5)


@pytest.mark.usefixtures("without_exports")
def test_features_of_an_inference_network_are_judged(examples, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rates = {"steps": 1, "log_every": 1, "sample_every": 9, "checkpoint_every": 1}
    for name, case in (("run", "no_average"), ("told", "conditional_mlp")):
        experiment.train(
            dataclasses.replace(CASES[case], **rates), name, examples, f"{name}-export"
        )
    argv = [f"--examples={examples}", "--labels=20", "--steps=1", *SETTINGS]
    assert run(*argv, "--inference=run") == 2
    assert "Expected a folder of keras_gan.infer" in capsys.readouterr().err
    gan, recorded = trained.load_run("run")
    options = Encoder(units=(6,), steps=2, batch_size=8)
    known = recorded["recipe"], recorded["data_hash"]
    network = encoders.train(gan, *known, options, "run/inference").encoder
    assert run(*argv, "--inference=told") == 2
    assert "run without labels; received told" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists(), "something was trained before the refusal"

    assert run(*argv, "--inference=run", "--out=with.json") == 0
    assert run(*argv, "--out=without.json") == 0
    found, without = (
        json.loads((tmp_path / name).read_text())["classifiers"]
        for name in ("with.json", "without.json")
    )
    names = ["linear probe, E's features", "linear probe, E's z"]
    assert list(found) == [*without, *names]
    assert {name: found[name] for name in without} == without

    def features(images):
        first, second = (network.get_layer(name) for name in ("hidden_0", "z"))
        hidden = np.maximum(
            images.reshape(len(images), -1) @ first.kernel.numpy() + first.bias.numpy(), 0
        )
        return hidden, hidden @ second.kernel.numpy() + second.bias.numpy()

    few, few_labels = classification.load_labelled(TINY, examples)
    (held_out, held_out_labels), (tests, truth) = (
        (features(data.load_split(examples, split)), data.load_labels(examples, split))
        for split in ("validation", "test")
    )
    for which, name in enumerate(names):
        judges = (held_out[which], held_out_labels)
        probe = linear_probe.fit_best(features(few)[which], few_labels, 10, judges)
        wrong = np.mean(probe.classify(tests[which]) != truth)
        assert found[name]["error"] == pytest.approx(wrong, abs=1e-6)
        assert found[name]["penalty"] == probe.penalty


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "either --dataset or --examples"),
        (["--dataset=mnist", "--labels=few"], "--labels=few"),
        (["--dataset=mnist", "--labels=0"], "--labels=0"),
        (["--dataset=mnist", "--steps=0"], "flag --steps=0"),
        (["--dataset=mnist", "--set=hiden_noise=1"], "Did you mean 'hidden_noise'"),
        (["--dataset=mnist", "--set=hidden_noise=-1"], "hidden_noise of at least 0"),
        (["--dataset=mnist", "--set=ema_decay=1"], "ema_decay of at least 0, less than 1"),
        (["--dataset=mnist", "--set=unlabelled_weight=0"], "unlabelled_weight above 0"),
        (["--examples=no/such/folder"], "Expected a finished data folder"),
        (["--examples=HERE", "--labels=25"], "received 25. Try 20"),
        (["--examples=HERE", "--labels=250"], "at most 24 for each class"),
    ],
)
def test_bad_input_is_a_sentence(argv, message, examples, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(*[argument.replace("HERE", str(examples)) for argument in argv]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert message in lines[-1]
    assert not list(tmp_path.iterdir()), "something half-written is left"
