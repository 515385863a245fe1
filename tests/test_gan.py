import gc
import math
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gan import priors
from keras_gan.each_alone import looks_at_each_alone
from keras_gan.gan import GAN
from keras_gan.interfaces import UserError
from keras_gan.networks.layers import Maxout


def toy_networks(shape=(2, 2, 1), latent=3, dropout=0.5):
    generator = keras.Sequential(
        [keras.Input((latent,)), layers.Dense(math.prod(shape), "sigmoid"), layers.Reshape(shape)]
    )
    discriminator = keras.Sequential(
        [
            keras.Input(shape),
            layers.Flatten(),
            layers.Dense(8, "tanh"),
            layers.Dropout(dropout),
            layers.Dense(1),
        ]
    )
    return generator, discriminator


def toy_gan(loss="non_saturating", r1=0.0, seed=0, rate=0.1, dropout=0.5, **kwargs):
    keras.utils.set_random_seed(1)
    gan = GAN(*toy_networks(dropout=dropout), priors.Normal(3), seed=seed, **kwargs)
    gan.compile(
        d_optimizer=keras.optimizers.SGD(rate),
        g_optimizer=keras.optimizers.SGD(rate),
        loss=loss,
        r1=r1,
        run_eagerly=True,
    )
    return gan


def rows(n, seed=0):
    return tf.constant(np.random.default_rng(seed).random((n, 2, 2, 1)), tf.float32)


def weights(network):
    return [weight.numpy().copy() for weight in network.trainable_variables]


def close(left, right):
    pairs = zip(weights(left), weights(right), strict=True)
    return all(np.allclose(a, b, atol=1e-6) for a, b in pairs)


def same(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_k_discriminator_steps_for_each_generator_step(update, k):
    gan = toy_gan(update=update, d_steps=k)
    for _ in range(3):
        gan.train_step(rows(4 * k))
    assert int(gan.d_optimizer.iterations.numpy()) == 3 * k
    assert int(gan.g_optimizer.iterations.numpy()) == 3
    assert int(gan.step.numpy()) == 3


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_each_discriminator_step_sees_other_rows(monkeypatch, update):
    gan = toy_gan(update=update, d_steps=3)
    seen = []
    for name in ("discriminator_step", "simultaneous_step"):
        monkeypatch.setattr(gan, name, lambda real, index, c: seen.append((index, real)))
    data = rows(12)
    gan.train_step(data)
    assert [index for index, _ in seen] == [0, 1, 2]
    np.testing.assert_array_equal(np.concatenate([real for _, real in seen]), data)


def test_each_step_touches_only_its_own_network():
    gan = toy_gan(update="alternating")
    g_before, d_before = weights(gan.generator), weights(gan.discriminator)
    gan.discriminator_step(rows(4))
    assert same(g_before, weights(gan.generator))
    assert not same(d_before, weights(gan.discriminator))
    d_before = weights(gan.discriminator)
    gan.generator_step(4)
    assert same(d_before, weights(gan.discriminator))
    assert not same(g_before, weights(gan.generator))


def recorded_keys(gan, monkeypatch, batch):
    keys = []

    def sample(n, draw):
        keys.append(tuple(draw.numpy()))
        return tf.random.stateless_normal((n, 3), draw)

    monkeypatch.setattr(gan.prior, "sample", sample)
    gan.train_step(batch)
    return keys


def test_alternating_draws_fresh_noise_for_every_step(monkeypatch):
    gan = toy_gan(update="alternating", d_steps=2)
    first = recorded_keys(gan, monkeypatch, rows(8))
    second = recorded_keys(gan, monkeypatch, rows(8))
    assert len(first) == 3  # two discriminator steps, one generator step
    assert len(set(first + second)) == 6


def test_simultaneous_draws_noise_once(monkeypatch):
    assert len(recorded_keys(toy_gan(update="simultaneous"), monkeypatch, rows(4))) == 1


def test_simultaneous_takes_both_gradients_at_the_same_point():
    """The generator moves against the discriminator as it was, by plain gradient descent."""
    gan, rate = toy_gan(update="simultaneous", rate=0.1), 0.1
    real = rows(4)
    with tf.GradientTape(persistent=True) as tape:
        draw = priors.key(0, priors.DISCRIMINATOR_NOISE, 0)
        fake = gan.generator(gan.prior.sample(4, draw), training=True)
        with priors.masks(gan.discriminator, priors.key(0, priors.REAL_MASKS, 0)):
            real_logits = gan.discriminator(real, training=True)[:, 0]
        with priors.masks(gan.discriminator, priors.key(0, priors.FAKE_MASKS, 0)):
            fake_logits = gan.discriminator(fake, training=True)[:, 0]
        d_loss = tf.reduce_mean(tf.nn.softplus(-real_logits) + tf.nn.softplus(fake_logits))
        g_loss = tf.reduce_mean(tf.nn.softplus(-fake_logits))
    expected = {}
    for network, loss in ((gan.generator, g_loss), (gan.discriminator, d_loss)):
        gradients = tape.gradient(loss, network.trainable_variables)
        pairs = zip(weights(network), gradients, strict=True)
        expected[network] = [w - rate * g.numpy() for w, g in pairs]
    gan.train_step(real)
    for network, values in expected.items():
        for weight, value in zip(weights(network), values, strict=True):
            np.testing.assert_allclose(weight, value, atol=1e-6)


def test_alternating_moves_the_generator_against_the_moved_discriminator():
    """Run side by side, the two updates agree on D and differ on G."""
    a, b = (
        toy_gan(update=update, rate=1.0, dropout=0.0) for update in ("alternating", "simultaneous")
    )
    for gan in (a, b):
        gan.train_step(rows(4))
    assert close(a.discriminator, b.discriminator)
    assert not close(a.generator, b.generator)


@pytest.mark.parametrize("k", [1, 2])
def test_real_and_generated_images_in_one_batch_give_the_step_that_two_batches_give(k):
    one, two = (toy_gan(update="alternating", d_steps=k, dropout=0.0) for _ in range(2))
    assert one._judges_each_alone
    two._judges_each_alone = False
    for gan in (one, two):
        logs = gan.train_step(rows(4 * k))
    assert close(one.discriminator, two.discriminator)
    assert close(one.generator, two.generator)
    assert [float(mean.result()) for mean in one.means.values()] == pytest.approx(
        [float(value) for value in logs.values()], abs=1e-6
    )


def test_dropout_draws_other_masks_for_real_and_for_generated_images():
    seen = []

    class Spy(layers.Dropout):
        def call(self, inputs, training=False):
            outputs = super().call(tf.ones_like(inputs), training=training)
            if tf.executing_eagerly() and isinstance(outputs, tf.Tensor):
                seen.append(outputs.numpy())
            return outputs

    discriminator = keras.Sequential(
        [keras.Input((2, 2, 1)), layers.Flatten(), Spy(0.5), layers.Dense(1)]
    )
    gan = GAN(toy_networks()[0], discriminator, priors.Normal(3))
    gan.r1 = 0.0
    gan._judges_each_alone = True
    seen.clear()
    real, fake, _ = gan._judge_both(rows(64), rows(64), 0)
    assert real.shape == fake.shape == (64,)
    assert seen[0].shape == (128, 4)
    assert not np.array_equal(seen[0][:64], seen[0][64:])


class Unknown(layers.Layer):
    def call(self, inputs):
        return inputs - keras.ops.mean(inputs, axis=0)


@pytest.mark.parametrize(
    ("layer", "alone"),
    [
        (layers.Dense(4), True),
        (keras.Sequential([keras.Input((4,)), layers.Dense(4)]), True),
        (layers.BatchNormalization(), False),
        (Unknown(), False),
        (Maxout(2), True),
        (keras.Sequential([keras.Input((4,)), Unknown()]), False),
    ],
)
def test_only_layers_that_are_known_to_look_at_each_image_alone_get_both_kinds(layer, alone):
    generator, _ = toy_networks()
    discriminator = keras.Sequential(
        [keras.Input((2, 2, 1)), layers.Flatten(), layer, layers.Dense(1)]
    )
    assert GAN(generator, discriminator, priors.Normal(3))._judges_each_alone is alone


def test_neither_operations_between_layers_nor_a_call_of_ones_own_are_known_to_look_at_each_alone():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(4)

        def call(self, inputs):
            hidden = self.dense(inputs)
            return hidden - keras.ops.mean(hidden, axis=0)

    def functional(middle):
        images = keras.Input((2, 2, 1))
        return keras.Model(images, layers.Dense(1)(middle(layers.Flatten()(images))))

    def minus_the_batchs_mean(hidden):
        return hidden - keras.ops.mean(hidden, axis=0, keepdims=True)

    def beside_another_batch(hidden):
        return layers.Concatenate(axis=0)([hidden, hidden])

    assert looks_at_each_alone(functional(layers.Dense(3)))
    for middle in (minus_the_batchs_mean, Own(), beside_another_batch):
        assert not looks_at_each_alone(functional(middle))
    assert not looks_at_each_alone(Own())


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_networks_of_ones_own_may_make_images_of_half_precision(policy):
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        gan = toy_gan(update="alternating")
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert gan._judges_each_alone
    assert math.isfinite(gan.train_step(rows(4))["d_loss"])


def test_r1_penalty_moves_only_the_discriminator():
    plain, steep = toy_gan(update="simultaneous"), toy_gan(update="simultaneous", r1=10.0)
    for gan in (plain, steep):
        gan.train_step(rows(4))
    assert same(weights(plain.generator), weights(steep.generator))
    assert not same(weights(plain.discriminator), weights(steep.discriminator))


def test_same_seed_same_run_and_other_seed_other_run():
    runs = []
    for seed in (0, 0, 1):
        gan = toy_gan(seed=seed)
        for step in range(3):
            gan.train_step(rows(4, seed=step))
        runs.append(weights(gan.generator) + weights(gan.discriminator))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_moving_average_by_hand():
    gan = toy_gan(ema_decay=0.9)
    history = []
    for _ in range(3):
        gan.train_step(rows(4))
        history.append(weights(gan.generator))
    parts = np.array([0.81, 0.9, 1.0]) / (0.81 + 0.9 + 1.0)
    for average, *values in zip(gan.average.weights, *history, strict=True):
        expected = sum(part * value for part, value in zip(parts, values, strict=True))
        np.testing.assert_allclose(average.numpy(), expected, atol=1e-6)
    z = gan.prior.sample(2, priors.key(5, 0, 0))
    assert not np.allclose(gan(z), gan(z, training=True), atol=1e-7)
    np.testing.assert_array_equal(gan(z, training=True), gan.generator(z, training=True))


def test_samples_are_a_function_of_the_seed_and_fewer_are_the_first_of_more():
    gan = toy_gan()
    many = gan.sample(9, seed=3, batch_size=4)
    assert many.shape == (9, 2, 2, 1)
    assert many.dtype == np.float32
    assert 0 <= many.min() <= many.max() <= 1
    np.testing.assert_array_equal(many, gan.sample(9, seed=3, batch_size=4))
    np.testing.assert_allclose(many[:5], gan.sample(5, seed=3), atol=1e-6)
    assert not np.allclose(many, gan.sample(9, seed=4))


def test_logs_are_means_of_what_they_say():
    gan = toy_gan(rate=1e-12)
    logs = gan.train_step(rows(64))
    gan.reset_metrics()
    gan.discriminator.set_weights([np.zeros_like(w) for w in gan.discriminator.get_weights()])
    logs = {name: float(value) for name, value in gan.train_step(rows(64)).items()}
    assert logs["d_loss"] == pytest.approx(math.log(4))
    assert logs["g_loss"] == pytest.approx(math.log(2))
    assert logs["d_real"] == logs["d_fake"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d_steps": 0}, "d_steps of at least 1; received d_steps=0"),
        ({"update": "sometimes"}, "received update='sometimes'"),
        ({"seed": -1}, r"seed in \[0, 2\*\*32\); received seed=-1"),
        ({"ema_decay": 1.0}, r"ema_decay in \[0, 1\)"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        toy_gan(**arguments)


def test_batches_must_split_into_k():
    with pytest.raises(ValueError, match="received 5 images with d_steps=2"):
        toy_gan(d_steps=2).train_step(rows(5))


def test_fit_takes_plain_arrays():
    gan = toy_gan(d_steps=2)
    gan.fit(rows(12).numpy(), batch_size=4, epochs=2, verbose=0)
    assert int(gan.step.numpy()) == 6


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_a_trained_model_that_nobody_holds_is_freed_with_its_graph(update):
    graphs = []

    class Watched(GAN):
        def train_step(self, data):
            graphs.append(weakref.ref(tf.compat.v1.get_default_graph()))
            return super().train_step(data)

    def trained():
        gan = Watched(*toy_networks(), priors.Normal(3), update=update)
        sgd = keras.optimizers.SGD
        gan.compile(d_optimizer=sgd(0.1), g_optimizer=sgd(0.1), jit_compile=False)
        gan.fit(rows(8).numpy(), batch_size=4, verbose=0)
        return weakref.ref(gan)

    gan = trained()
    gc.collect()
    assert gan() is None
    assert graphs
    assert not any(graph() for graph in graphs)


def test_unknown_loss_says_what_exists():
    with pytest.raises(ValueError, match="minimax, non_saturating; received loss='hinge'"):
        toy_gan(loss="hinge")


def test_an_uncompiled_gan_can_be_saved(tmp_path):
    gan = GAN(*toy_networks(), priors.Normal(3))
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(gan.sample(2, seed=0), loaded.sample(2, seed=0))


def test_no_stray_optimizer_is_attached():
    assert toy_gan().optimizer is None


def line_gan(loss, update, rate):
    """G: z -> a z + b against a small D, on the line."""
    keras.utils.set_random_seed(0)
    generator = keras.Sequential([keras.Input((1,)), layers.Dense(1), layers.Reshape((1, 1, 1))])
    discriminator = keras.Sequential(
        [keras.Input((1, 1, 1)), layers.Flatten(), layers.Dense(24, "tanh"), layers.Dense(1)]
    )
    gan = GAN(generator, discriminator, priors.Normal(1), update=update, ema_decay=0.99)
    gan.compile(
        d_optimizer=keras.optimizers.Adam(4 * rate, beta_1=0.5),
        g_optimizer=keras.optimizers.Adam(rate, beta_1=0.5),
        loss=loss,
        r1=0.01,
        steps_per_execution=50,
    )
    return gan


def gaussian_line(mean, deviation, batch):
    noise = tf.data.Dataset.random(seed=1, rerandomize_each_iteration=False).batch(2)
    draws = noise.map(lambda s: mean + deviation * tf.random.stateless_normal((batch, 1, 1, 1), s))
    return draws.prefetch(16)


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_one_dimensional_game_converges(update):
    """Theorem 1: at the end p_g = p_data, D = 1/2 and V = -log 4."""
    mean, deviation = 1.5, 0.6
    gan = line_gan("non_saturating", update, rate=2e-3)
    start = gan.sample(4000, seed=0)
    gan.fit(
        gaussian_line(mean, deviation, 256),
        epochs=1,
        steps_per_epoch=4000,
        shuffle=False,
        verbose=0,
    )
    history = gan.fit(
        gaussian_line(mean, deviation, 256), epochs=1, steps_per_epoch=500, shuffle=False, verbose=0
    )
    samples = gan.sample(4000, seed=0)
    assert abs(start.mean() - mean) > 1  # it had some way to go
    assert samples.mean() == pytest.approx(mean, abs=0.1)
    assert samples.std() == pytest.approx(deviation, abs=0.1)
    logs = {name: values[0] for name, values in history.history.items()}
    assert -logs["d_loss"] == pytest.approx(-math.log(4), abs=0.03)
    assert logs["d_real"] == pytest.approx(0.5, abs=0.03)
    assert logs["d_fake"] == pytest.approx(0.5, abs=0.03)


def test_saturating_gradient_is_weaker_early_in_a_real_game():
    """Section 3: against a D that has learned to reject, minimax gives G almost nothing."""
    norms = {}
    for loss in ("minimax", "non_saturating"):
        gan = line_gan(loss, "alternating", rate=5e-3)
        step = tf.function(gan.discriminator_step)
        for batch in gaussian_line(6.0, 0.3, 128).take(150):
            step(batch)
            gan.step.assign_add(1)
        before = weights(gan.generator)
        gan.g_optimizer = keras.optimizers.SGD(1.0)
        gan.generator_step(256)
        moved = [a - b for a, b in zip(before, weights(gan.generator), strict=True)]
        norms[loss] = math.sqrt(sum(float((m**2).sum()) for m in moved))
    assert 0 < norms["minimax"] < norms["non_saturating"] / 20


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize(("k", "g_steps"), [(1, 1), (1, 3), (3, 2)])
def test_g_steps_generator_updates_a_round(update, k, g_steps):
    gan = toy_gan(update=update, d_steps=k, g_steps=g_steps)
    for _ in range(2):
        gan.train_step(rows(4 * k))
    assert int(gan.d_optimizer.iterations.numpy()) == 2 * k
    assert int(gan.g_optimizer.iterations.numpy()) == 2 * g_steps
    assert int(gan.step.numpy()) == 2


@pytest.mark.parametrize(
    ("update", "d_steps", "g_steps", "draws"),
    [("alternating", 1, 3, 4), ("alternating", 3, 2, 5), ("alternating", 2, 5, 7),
     ("simultaneous", 1, 3, 3), ("simultaneous", 2, 4, 5)],
)  # fmt: skip
def test_every_step_of_either_kind_draws_other_noise(monkeypatch, update, d_steps, g_steps, draws):
    gan = toy_gan(update=update, d_steps=d_steps, g_steps=g_steps)
    keys = [key for _ in range(3) for key in recorded_keys(gan, monkeypatch, rows(4 * d_steps))]
    assert len(keys) == 3 * draws
    assert len(set(keys)) == 3 * draws


def test_g_steps_leave_the_discriminator_where_one_step_leaves_it():
    one, many = (toy_gan(update="alternating", g_steps=g_steps) for g_steps in (1, 4))
    for gan in (one, many):
        gan.train_step(rows(4))
    assert same(weights(one.discriminator), weights(many.discriminator))
    assert not same(weights(one.generator), weights(many.generator))


def test_g_steps_are_saved_and_checked(tmp_path):
    gan = toy_gan(g_steps=3)
    gan.save(tmp_path / "gan.keras")
    assert keras.models.load_model(tmp_path / "gan.keras").g_steps == 3
    with pytest.raises(ValueError, match="g_steps of at least 1; received g_steps=0"):
        toy_gan(g_steps=0)


def test_samples_are_the_images_of_their_noise():
    gan = toy_gan(ema_decay=0.9)
    for _ in range(2):
        gan.train_step(rows(4))
    z = gan.noise(7, seed=5)
    assert (z.shape, z.dtype) == ((7, 3), np.float32)
    np.testing.assert_array_equal(z, gan.prior.latent([5 * 2**32 + i for i in range(7)]))
    np.testing.assert_array_equal(z[:4], gan.noise(4, seed=5))
    assert not np.allclose(z, gan.noise(7, seed=6))
    made = gan.generate(z)
    np.testing.assert_array_equal(made, gan.sample(7, seed=5))
    np.testing.assert_array_equal(made, gan.average(z).numpy())  # the average's, not the live ones
    assert not np.allclose(made, gan.generator(z).numpy(), atol=1e-7)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"n": 0, "seed": 0}, "received n=0, seed=0"),
        ({"n": 1, "seed": 2**32}, "received n=1, seed=4294967296"),
        ({"n": 1, "seed": -1}, "received n=1, seed=-1"),
        ({"n": 1, "seed": 0, "truncation": 0.0}, "received truncation=0.0"),
        ({"n": 1, "seed": 0, "truncation": 2.0}, "received truncation=2.0"),
        ({"n": 1, "seed": 0, "truncation": float("nan")}, "received truncation=nan"),
    ],
)
def test_samples_that_cannot_be_are_refused(asked, sentence):
    with pytest.raises(UserError, match=sentence):
        toy_gan().sample(**asked)


def test_a_sphere_has_no_centre_to_truncate_to():
    gan = toy_gan()
    gan.prior = priors.Spherical(3)
    assert gan.sample(2, seed=0, truncation=1.0).shape == (2, 2, 2, 1)
    with pytest.raises(UserError, match="a spherical prior, which has no centre"):
        gan.sample(2, seed=0, truncation=0.5)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


def test_value_and_logits_by_hand_without_dropout_or_average():
    gan = toy_gan(ema_decay=0.9)
    gan.train_step(rows(4))
    kernel, bias, last, last_bias = (w.numpy() for w in gan.discriminator.weights[:4])

    def logits(images):
        return (np.tanh(images.reshape(-1, 4) @ kernel + bias) @ last + last_bias)[:, 0]

    images = rows(9).numpy()
    found = gan.discriminate(images)
    assert (found.shape, found.dtype) == ((9,), np.float32)
    np.testing.assert_allclose(found, logits(images), atol=1e-5)
    fake = gan.generator(gan.noise(9, seed=3)).numpy()
    expected = np.log(sigmoid(logits(images))).mean() + np.log(1 - sigmoid(logits(fake))).mean()
    assert gan.value(images, seed=3) == pytest.approx(expected, abs=1e-5)
    assert gan.value(images, seed=3) == gan.value(images, seed=3)
    assert gan.value(images, seed=3) != gan.value(images, seed=4)


@pytest.mark.parametrize("loss", ["minimax", "non_saturating"])
def test_value_is_that_of_equation_1_whatever_g_minimises(loss):
    gan = toy_gan(loss=loss)
    gan.discriminator.set_weights([np.zeros_like(w) for w in gan.discriminator.get_weights()])
    assert gan.value(rows(5), seed=0) == pytest.approx(-math.log(4), abs=1e-6)
    gan.discriminator.layers[-1].bias.assign([40.0])  # D says 1 of everything
    assert gan.value(rows(5), seed=0) == pytest.approx(-40.0, rel=1e-6)
