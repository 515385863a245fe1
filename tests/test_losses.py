import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_gan import losses
from tests.reference import losses as reference

LOGITS = np.array([-3.0, -0.5, 0.0, 1.0, 4.0], np.float32)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # log(1 - sigmoid(l)) and -log(sigmoid(l)), worked out by hand to 6 digits.
        ("minimax", [-0.048587, -0.474077, -0.693147, -1.313262, -4.018150]),
        ("non_saturating", [3.048587, 0.974077, 0.693147, 0.313262, 0.018150]),
    ],
)
def test_generator_loss_by_literal_numbers(name, expected):
    result = losses.LOSSES[name].generator(tf.constant(LOGITS)).numpy()
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_discriminator_loss_by_literal_numbers(name):
    real, fake = tf.constant([0.0, 2.0, -1.0]), tf.constant([0.0, -2.0, 3.0])
    result = losses.LOSSES[name].discriminator(real, fake).numpy()
    # 2 log 2; 2 log(1 + e^-2); log(1 + e) + log(1 + e^3)
    np.testing.assert_allclose(result, [1.386294, 0.253856, 4.361849], atol=1e-6)


@pytest.mark.parametrize("name", losses.LOSSES)
@settings(max_examples=50, deadline=None)
@given(
    logits=st.lists(
        st.tuples(st.floats(-20, 20, width=32), st.floats(-20, 20, width=32)),
        min_size=1,
        max_size=8,
    )
)
def test_losses_equal_the_numpy_twin(name, logits):
    real, fake = np.array(logits, np.float32).T
    pair = losses.LOSSES[name]
    twin = reference.discriminator(real, fake).astype(np.float64)
    np.testing.assert_allclose(pair.discriminator(real, fake).numpy(), twin, rtol=1e-5, atol=1e-6)
    twin = reference.GENERATORS[name](fake).astype(np.float64)
    np.testing.assert_allclose(pair.generator(fake).numpy(), twin, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_losses_and_gradients_are_finite_at_extreme_logits(name):
    extreme = tf.constant([-1e4, -200.0, 200.0, 1e4])
    pair = losses.LOSSES[name]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(extreme)
        d_loss, g_loss = pair.discriminator(extreme, extreme), pair.generator(extreme)
    for value in (d_loss, g_loss, tape.gradient(d_loss, extreme), tape.gradient(g_loss, extreme)):
        assert np.isfinite(value.numpy()).all()
    # -log sigmoid(-1e4) is 1e4, which a rounded probability would turn into infinity.
    np.testing.assert_allclose(d_loss.numpy(), [1e4, 200.0, 200.0, 1e4], rtol=1e-6)


def test_saturating_gradient_fades_where_the_discriminator_is_sure():
    """Section 3: early in learning D rejects samples with confidence."""
    fake = tf.constant([-8.0])
    gradients = {}
    for name, pair in losses.LOSSES.items():
        with tf.GradientTape() as tape:
            tape.watch(fake)
            loss = pair.generator(fake)
        gradients[name] = float(tape.gradient(loss, fake)[0])
    # d/dl log(1 - sigmoid(l)) = -sigmoid(l); d/dl -log(sigmoid(l)) = sigmoid(l) - 1.
    assert gradients["minimax"] == pytest.approx(-1 / (1 + math.exp(8)), rel=1e-5)
    assert gradients["non_saturating"] == pytest.approx(1 / (1 + math.exp(8)) - 1, rel=1e-5)
    assert gradients["non_saturating"] / gradients["minimax"] > 1000


def test_squared_gradient_norm_of_a_linear_critic():
    weights = tf.reshape(tf.constant([1.0, 2.0, 2.0, 4.0]), (2, 2, 1))
    points = tf.random.stateless_normal((3, 2, 2, 1), [1, 2])
    logits, norms = losses.squared_gradient_norm(
        lambda x: tf.reduce_sum(x * weights, axis=(1, 2, 3)), points
    )
    np.testing.assert_allclose(norms.numpy(), [25.0, 25.0, 25.0], rtol=1e-6)
    twin = (points.numpy() * weights.numpy()).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(logits.numpy(), twin, rtol=1e-6)
