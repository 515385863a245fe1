import math

import keras
import numpy as np
import pytest

from keras_gan import probe
from keras_gan.interfaces import image_seeds
from keras_gan.summaries import Summaries
from tests.test_gan import toy_gan, weights
from tests.test_monitors import scalars


@pytest.mark.parametrize(
    ("value", "bound"), [(-math.log(4), 0.0), (0.0, math.log(2)), (-1.0, 0.19314718)]
)
def test_jsd_bound_literal_values(value, bound):
    assert probe.jsd_bound(value) == pytest.approx(bound, abs=1e-8)


def pictures(n, seed):
    return np.random.default_rng(seed).random((n, 2, 2, 1)).astype(np.float32)


def test_it_writes_what_the_logits_say(tmp_path):
    gan = toy_gan()
    gan.step.assign(7)
    train, held_out = pictures(30, 4), pictures(40, 5)
    monitor = probe.Probe(train, held_out, Summaries(tmp_path), every=10, batch_size=20)
    monitor.set_model(gan)
    found = monitor.act()

    def logits(batch):
        return gan.discriminator(batch, training=False).numpy()[:, 0].astype(float)

    def loss(real):
        made = logits(gan.generator(gan.noise(30, seed=7)).numpy())
        return np.log1p(np.exp(-logits(real))).mean() + np.log1p(np.exp(made)).mean()

    assert found["held_out/d_loss"] == pytest.approx(loss(held_out), rel=1e-5)
    assert found["held_out/d_loss_of_train"] == pytest.approx(loss(train), rel=1e-5)
    assert loss(train) != pytest.approx(loss(held_out), rel=1e-3)
    assert found["held_out/jsd_bound"] == pytest.approx(
        (1.3862943611 - loss(held_out)) / 2, abs=1e-5
    )
    assert found["accuracy/real"] == np.mean(logits(held_out) > 0)
    fake = logits(gan.generator(gan.noise(30, seed=7)).numpy())
    assert found["accuracy/generated"] == np.mean(fake < 0)
    points = scalars(tmp_path)
    for tag, number in found.items():
        assert points[tag] == [(7, pytest.approx(number, abs=1e-6))]
    assert {"logits/real", "logits/generated"} <= points.keys()


def test_without_held_out_images_there_is_no_bound(tmp_path):
    monitor = probe.Probe(pictures(30, 4), None, Summaries(tmp_path), every=10, batch_size=20)
    monitor.set_model(toy_gan())
    found = monitor.act()
    assert "held_out/d_loss_of_train" in found
    assert not {"held_out/d_loss", "held_out/jsd_bound"} & found.keys()


def gradient_norms(gan, images):
    norms = probe.gradient_norms(gan, images, image_seeds(len(images), 3))
    return {name: float(norm) for name, norm in norms.items()}


@pytest.mark.parametrize("loss", ["minimax", "non_saturating"])
def test_gradient_norms_are_those_of_differences(loss):
    gan = toy_gan(loss)
    images = pictures(6, 1)

    def losses():
        fake = gan.discriminator(gan.generator(gan.noise(6, seed=3))).numpy()[:, 0].astype(float)
        real = gan.discriminator(images).numpy()[:, 0].astype(float)
        log_d, log_not = -np.log1p(np.exp(-fake)), -np.log1p(np.exp(fake))
        of_generator = log_not if loss == "minimax" else -log_d
        return {
            "discriminator": np.log1p(np.exp(-real)).mean() - log_not.mean(),
            "generator": of_generator.mean(),
        }

    found = gradient_norms(gan, images)
    for name, network in (("discriminator", gan.discriminator), ("generator", gan.generator)):
        squares = 0.0
        for weight in network.trainable_variables:
            for place in np.ndindex(*weight.shape):
                kept = weight.numpy()
                moved = []
                for change in (1e-2, -1e-2):
                    value = kept.copy()
                    value[place] += change
                    weight.assign(value)
                    moved.append(losses()[name])
                weight.assign(kept)
                squares += ((moved[0] - moved[1]) / 2e-2) ** 2
        assert found[name] == pytest.approx(math.sqrt(squares), rel=2e-2)


def test_small_gradients_are_seen_in_float16():
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        half = toy_gan("minimax")
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    whole = toy_gan("minimax")
    bias = whole.discriminator.weights[-1]
    for gan in (half, whole):  # so sure that log(1 - D) is nearly flat
        gan.discriminator.set_weights(whole.discriminator.get_weights())
        gan.generator.set_weights(whole.generator.get_weights())
        gan.discriminator.weights[-1].assign(np.full(bias.shape, -17.0))
    assert isinstance(half.g_optimizer, keras.optimizers.LossScaleOptimizer)
    images = pictures(6, 1)
    expected = gradient_norms(whole, images)["generator"]
    assert 0 < expected < 6e-8  # nothing in float16
    found = gradient_norms(half, images)["generator"]
    assert found == pytest.approx(expected, rel=0.5)  # few bits are left of numbers so small


def test_looking_moves_nothing(tmp_path):
    gan = toy_gan()
    before = weights(gan)
    monitor = probe.Probe(
        pictures(9, 4), pictures(9, 5), Summaries(tmp_path), every=1, batch_size=5
    )
    monitor.set_model(gan)
    first, again = monitor.act(), monitor.act()
    assert first == again
    for old, new in zip(before, weights(gan), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_look_is_compiled_once_and_sees_what_has_changed(tmp_path):
    gan = toy_gan()
    monitor = probe.Probe(
        pictures(9, 4), pictures(7, 5), Summaries(tmp_path), every=1, batch_size=5
    )
    monitor.set_model(gan)
    first = monitor.act()
    bias = gan.discriminator.weights[-1]
    bias.assign(bias + 1.0)
    gan.step.assign(11)
    monitor.set_model(gan)  # as every `fit` does
    found = monitor.act()
    seeds = image_seeds(9, 11)
    expected = probe.look(gan, pictures(9, 4), pictures(7, 5), seeds, batch_size=5)
    assert found["gradients/generator"] == pytest.approx(
        float(expected["gradients/generator"]), rel=1e-5
    )
    assert found["held_out/d_loss"] == pytest.approx(
        probe.d_loss(expected["logits/held_out"], expected["logits/generated"]), rel=1e-5
    )
    assert found["held_out/d_loss"] != pytest.approx(first["held_out/d_loss"], rel=1e-2)
    assert monitor._look.experimental_get_tracing_count() == 1


def test_gradients_of_replicas(two_replicas):
    alone = gradient_norms(toy_gan(), pictures(6, 1))
    with two_replicas.scope():
        gan = toy_gan()
    assert gradient_norms(gan, pictures(6, 1)) == pytest.approx(alone, rel=1e-5)
