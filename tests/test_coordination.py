"""D rests while it leads, and G learns from its best samples: literal twins of both rules."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gan import callbacks, coordination, data, priors, replicas, summaries
from keras_gan.config import Recipe
from keras_gan.gan import GAN
from keras_gan.interfaces import UserError
from tests.test_gan import rows, same, sigmoid, toy_gan, weights

UPDATES = pytest.mark.parametrize("update", ["alternating", "simultaneous"])


def on_each(strategy, function):
    found = tf.function(lambda: strategy.run(function))()
    return [part.numpy() for part in strategy.experimental_local_results(found)]


def operations(gan):
    step = tf.function(gan.train_step, autograph=False)
    return {
        operation.type for operation in step.get_concrete_function(rows(4)).graph.get_operations()
    }


def test_without_the_options_nothing_is_added():
    gan = toy_gan(max_lead=1.0, top_share=1.0)
    assert list(gan.means) == ["d_loss", "g_loss", "d_real", "d_fake"]
    assert [layer.name for layer in gan.layers] == [gan.generator.name, gan.discriminator.name]
    tracked = tf.train.Checkpoint(gan=gan).gan._trackable_children()
    assert not any(isinstance(part, coordination.Lead) for part in tracked.values())
    extra = {"If", "StatelessIf", "TopKV2", "ScatterNd"}
    assert not extra & operations(gan)
    assert extra & operations(toy_gan(max_lead=0.5)) == {"If"}
    assert extra & operations(toy_gan(top_share=0.5)) == {"TopKV2", "ScatterNd"}


@pytest.mark.parametrize(("update", "k"), [("alternating", 1), ("simultaneous", 2)])
def test_a_lead_that_is_never_reached_changes_no_bit(update, k):
    plain, led = (toy_gan(update=update, d_steps=k, max_lead=lead) for lead in (1.0, 0.9999))
    for gan in (plain, led):
        step = tf.function(gan.train_step)
        for _ in range(3):
            step(rows(4 * k))
    for network in ("generator", "discriminator"):
        assert same(weights(getattr(plain, network)), weights(getattr(led, network)))


@UPDATES
def test_the_rule_step_by_step(update, monkeypatch):
    """The steps taken are those that a numpy twin takes, who sees the same logits."""
    k, rounds, most = 3, 25, 0.01
    gan = toy_gan(update=update, d_steps=k, max_lead=most, rate=0.3)
    taken, seen = [], []

    def recorded(name):
        step = getattr(gan, name)

        def take(*arguments, **named):
            taken.append(name)
            step(*arguments, **named)

        return take

    for name in ("discriminator_step", "generator_step", "simultaneous_step"):
        monkeypatch.setattr(gan, name, recorded(name))
    see = gan.pace.see

    def watched(*, real=None, fake):
        seen.append([None if each is None else each.numpy() for each in (real, fake)])
        see(real=real, fake=fake)

    monkeypatch.setattr(gan.pace, "see", watched)
    for step in range(rounds):
        logs = gan.train_step(rows(4 * k, seed=step))

    means, expected, looks, learnt = np.array([0.5, 0.5]), [], iter(seen), 0

    def take(name):
        expected.append(name)
        for index, logits in enumerate(next(looks)):
            if logits is not None:
                means[index] += (sigmoid(logits).mean() - means[index]) / 8

    for _ in range(rounds):
        last = False
        for index in range(k):
            last = means[0] - means[1] <= most
            learnt += last
            if last:
                both = update == "simultaneous" and index == k - 1
                take("simultaneous_step" if both else "discriminator_step")
        if update == "alternating" or not last:
            take("generator_step")
    assert taken == expected
    assert 0 < learnt < k * rounds  # it did both
    assert int(gan.d_optimizer.iterations.numpy()) == learnt
    assert int(gan.g_optimizer.iterations.numpy()) == rounds
    assert float(logs["d_steps"]) == pytest.approx(learnt / rounds)
    np.testing.assert_allclose(gan.pace.value, means[0] - means[1], atol=1e-6)


@UPDATES
def test_d_rests_while_it_wins_and_learns_k_times_while_it_lags(update):
    gan = toy_gan(update=update, d_steps=3, max_lead=0.1)
    step = tf.function(gan.train_step)
    for lead, learns in ((0.9, 0), (-0.9, 3), (0.11, 0), (0.09, 3)):
        gan.pace.real.assign(0.5 + lead / 2)
        gan.pace.fake.assign(0.5 - lead / 2)
        d_before, g_before = weights(gan.discriminator), weights(gan.generator)
        before = int(gan.d_optimizer.iterations.numpy())
        gan.reset_metrics()
        logs = step(rows(12))
        if lead == 0.09:  # its own steps may take it above
            assert int(gan.d_optimizer.iterations.numpy()) > before
            continue
        assert int(gan.d_optimizer.iterations.numpy()) == before + learns
        assert same(d_before, weights(gan.discriminator)) == (learns == 0)
        assert not same(g_before, weights(gan.generator))
        assert float(logs["d_steps"]) == learns


class Counting(layers.Layer):
    """Counts how often it is really computed, in a graph too."""

    def __init__(self):
        super().__init__()
        self.times = 0

    def call(self, x):
        def count():
            self.times += 1

        with tf.control_dependencies([tf.py_function(count, [], [])]):
            return tf.identity(x)


@pytest.mark.parametrize(("update", "calls"), [("alternating", 3), ("simultaneous", 2)])
def test_a_step_that_is_not_taken_is_not_computed(update, calls):
    counting = Counting()
    generator = keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.Reshape((2, 2, 1))])
    discriminator = keras.Sequential(
        [keras.Input((2, 2, 1)), layers.Flatten(), counting, layers.Dense(1)]
    )
    gan = GAN(generator, discriminator, priors.Normal(3), update=update, max_lead=0.1)
    gan.compile(d_optimizer=keras.optimizers.SGD(0.1), g_optimizer=keras.optimizers.SGD(0.1))
    step = tf.function(gan.train_step)
    for lead, expected in ((-0.5, calls), (0.5, 1)):
        gan.pace.real.assign(0.5 + lead)
        counting.times = 0
        step(rows(4))
        assert counting.times == expected


@UPDATES
def test_g_learns_from_its_best_samples_alone(update):
    plain = toy_gan(update=update, rate=0.5)
    gan = toy_gan(update=update, rate=0.5, top_share=0.25)
    noise, own, others = (
        (priors.GENERATOR_NOISE, priors.OWN_GENERATOR_STEP_MASKS, priors.GENERATOR_STEP_MASKS)
        if update == "alternating"
        else (priors.DISCRIMINATOR_NOISE, priors.OWN_MASKS, priors.FAKE_MASKS)
    )
    if update == "alternating":
        for each in (plain, gan):
            each.discriminator_step(rows(8))
    with tf.GradientTape() as tape:
        z = gan.prior.sample(8, priors.key(0, noise, 0))
        with priors.masks(gan.generator, priors.key(0, own, 0)):
            fake = gan.generator(z, training=True)
        with priors.masks(gan.discriminator, priors.key(0, others, 0)):
            logits = gan.discriminator(fake, training=True)[:, 0]
        best = sorted(range(8), key=lambda i: -logits[i].numpy())[:2]
        loss = sum(tf.nn.softplus(-logits[i]) for i in best) / 2
    gradient = tape.gradient(loss, gan.generator.trainable_variables)
    expected = [w - 0.5 * g.numpy() for w, g in zip(weights(gan.generator), gradient, strict=True)]
    for each in (plain, gan):
        if update == "alternating":
            each.generator_step(8)
        else:
            each.train_step(rows(8))
    for weight, value in zip(weights(gan.generator), expected, strict=True):
        np.testing.assert_allclose(weight, value, atol=1e-6)
    assert not same(weights(plain.generator), weights(gan.generator))
    assert same(weights(plain.discriminator), weights(gan.discriminator))
    assert float(gan.means["g_loss"].result()) == pytest.approx(float(loss), abs=1e-6)


def test_the_best_by_hand():
    logits = tf.constant([0.1, -3.0, 2.0, 0.5])
    np.testing.assert_array_equal(replicas.best(logits, 0.5), [0, 0, 2, 2])
    np.testing.assert_array_equal(replicas.best(logits, 0.01), [0, 0, 4, 0])  # one at least
    np.testing.assert_array_equal(replicas.best(logits, 1.0), [1, 1, 1, 1])
    np.testing.assert_array_equal(replicas.best(tf.zeros(4), 0.5), [2, 2, 0, 0])
    assert float(coordination.of_best(tf.range(4.0), logits, 0.5)) == 2.5


def test_replicas_choose_the_best_of_all_together(two_replicas):
    logits = np.array([3.0, 2.5, 2.0, 0.0, -1.0, 1.0], np.float32)  # all on the first

    def mine():
        return replicas.best(tf.constant(logits.reshape(2, 3))[replicas.own()], 0.5)

    parts = np.concatenate(on_each(two_replicas, mine))
    np.testing.assert_array_equal(parts, [2, 2, 2, 0, 0, 0])
    np.testing.assert_array_equal(parts, replicas.best(tf.constant(logits), 0.5))


@pytest.mark.parametrize("wanted", [True, False])
def test_replicas_keep_what_the_wanted_step_leaves(two_replicas, wanted):
    with two_replicas.scope():
        layer = keras.layers.Dense(1, use_bias=False)
        layer.build((None, 2))
        optimizer = keras.optimizers.Adam(0.1)
        optimizer.build(layer.trainable_variables)
        mean = keras.metrics.Mean()
    start, kernel = layer.kernel.numpy(), layer.kernel

    def learn(sign):
        replicas.apply(optimizer, [tf.fill((2, 1), sign)], [kernel])
        mean.update_state(sign)

    def step():
        changed = [kernel, *optimizer.variables, *mean.variables]
        replicas.either(tf.constant(wanted), lambda: learn(1.0), lambda: learn(-1.0), changed)
        return tf.identity(kernel.value)

    for value in on_each(two_replicas, step):
        np.testing.assert_allclose(value, start - (0.1 if wanted else -0.1), atol=1e-6)
    assert int(optimizer.iterations.numpy()) == 1
    assert float(mean.result()) == (1.0 if wanted else -1.0)


def test_replicas_take_the_same_decision(two_replicas):
    """What each replica sees differs; the lead that decides is of all images."""
    with two_replicas.scope():
        lead = coordination.Lead(0.1, 1, list)
        moved = keras.Variable(0.0, aggregation="only_first_replica")
    lead._changed = lambda: [moved]

    def see():
        mine = tf.constant([-2.0, 9.0])[replicas.own()]  # D(x) .12 and 1.0
        for _ in range(4):
            lead.see(real=tf.fill((3,), mine), fake=tf.zeros(3))
        lead.step(lambda: moved.assign_add(1.0))
        return tf.stack([lead.value, tf.identity(moved.value)])

    first, second = on_each(two_replicas, see)
    np.testing.assert_array_equal(first, second)
    together = (sigmoid(np.array([-2.0, 9.0])).mean() - 0.5) * (1 - (7 / 8) ** 4)
    np.testing.assert_allclose(first, [together, 1.0], atol=1e-6)


def test_curves_say_nothing_of_a_d_that_rested(tmp_path):
    found = summaries.Summaries(tmp_path)
    curves = callbacks.Curves(found, data.Waiting())
    curves.set_model(toy_gan(max_lead=0.1))
    curves.on_train_begin()
    logs = {"d_loss": 0.0, "g_loss": 0.7, "d_real": 0.0, "d_fake": 0.0}
    curves.on_epoch_end(0, logs | {"d_steps": 0.0})
    assert found.latest.keys() >= {"g_loss", "d_steps"}
    assert not found.latest.keys() & {"d_loss", "D(x)", "D(G(z))"}
    curves.on_epoch_end(1, logs | {"d_steps": 0.5})
    assert found.latest.keys() >= {"d_loss", "D(x)", "D(G(z))"}


def test_both_are_saved(tmp_path):
    gan = toy_gan(max_lead=0.1, top_share=0.5)
    gan.train_step(rows(4))
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert (loaded.max_lead, loaded.top_share) == (0.1, 0.5)
    assert float(loaded.pace.value) == float(gan.pace.value) != 0


@pytest.mark.parametrize("name", ["max_lead", "top_share"])
@pytest.mark.parametrize("value", [0.0, -0.5, 1.5, float("nan")])
def test_bad_values_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"Expected {name} in \(0, 1\]; received {name}={value}"):
        toy_gan(**{name: value})
    with pytest.raises(UserError, match=rf"Expected {name} in \(0, 1\]; received {name}={value}"):
        Recipe("any", "mnist").with_overrides([f"{name}={value}"])


def test_losses_of_a_d_that_rested_are_not_shown_as_zeros():
    means = {"d_loss": 0.0, "g_loss": 2.5, "d_real": 0.0, "d_fake": 0.0, "d_steps": 0.0}
    assert callbacks.titled(means) == {"g_loss": 2.5, "d_steps": 0.0}
    assert callbacks.titled(means | {"d_steps": 1.0})["D(x)"] == 0.0
