import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from keras_gan import priors

arguments = st.tuples(
    st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(0, 2**40), st.integers(0, 65535)
)


@settings(max_examples=200, deadline=None)
@given(arguments, arguments)
def test_keys_differ_exactly_when_their_arguments_do(left, right):
    keys = [tuple(priors.key(*values).numpy().tolist()) for values in (left, right)]
    assert (keys[0] == keys[1]) == (left == right)


def test_moments_and_ranges():
    draw = priors.key(0, 0, 0)
    uniform = priors.Uniform(50).sample(4000, draw).numpy()
    assert uniform.shape == (4000, 50)
    assert -np.sqrt(3) <= uniform.min() < -1.73
    assert 1.73 < uniform.max() <= np.sqrt(3)
    normal = priors.Normal(50).sample(4000, draw).numpy()
    for z in (uniform, normal):
        assert abs(z.mean()) < 0.01
        assert z.std() == pytest.approx(1.0, abs=0.01)
    spherical = priors.Spherical(50).sample(4000, draw).numpy()
    np.testing.assert_allclose(np.linalg.norm(spherical, axis=1), np.sqrt(50), rtol=1e-5)


@pytest.mark.parametrize("name", priors.PRIORS)
def test_priors_are_pure_and_serialise(name):
    prior = priors.PRIORS[name](7)
    draw = priors.key(3, 1, 4)
    first = prior.sample(5, draw)
    np.testing.assert_array_equal(first, prior.sample(5, draw))
    np.testing.assert_allclose(first, prior.sample(9, draw)[:5], atol=1e-6)
    assert not np.array_equal(first, prior.sample(5, priors.key(3, 1, 5)))
    config = keras.saving.serialize_keras_object(prior)
    np.testing.assert_array_equal(
        first, keras.saving.deserialize_keras_object(config).sample(5, draw)
    )


def test_dimension_must_be_positive():
    with pytest.raises(ValueError, match="received dimension=0"):
        priors.Normal(0)


def dropout_network():
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dropout(0.5),
            layers.BatchNormalization(momentum=0.5),
            layers.Dropout(0.5),
        ]
    )


def test_masks_depend_on_the_key_and_the_layer_alone():
    network, x = dropout_network(), tf.ones((50, 6)) * tf.range(1.0, 7.0)
    outputs = []
    for step in (0, 0, 1):
        with priors.masks(network, priors.key(0, priors.REAL_MASKS, step)):
            outputs.append(network(x, training=True).numpy())
    np.testing.assert_array_equal(outputs[0] == 0, outputs[1] == 0)
    assert not np.array_equal(outputs[0] == 0, outputs[2] == 0)
    with priors.masks(network, priors.key(0, priors.REAL_MASKS, 0)):
        first = network.layers[0](tf.ones((50, 6)), training=True).numpy()
        second = network.layers[2](tf.ones((50, 6)), training=True).numpy()
    assert not np.array_equal(first, second)
    assert np.mean(first == 0) == pytest.approx(0.5, abs=0.1)


def test_masks_keep_what_batch_normalisation_learns():
    network = dropout_network()
    with priors.masks(network, priors.key(0, priors.REAL_MASKS, 0)):
        network(tf.ones((50, 6)) * 4.0, training=True)
    assert network.layers[1].moving_mean.numpy().mean() == pytest.approx(2.0, abs=0.4)
