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


def mixed(word):
    """Scramble as SplitMix64 does, in Python's own integers."""
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
    return word ^ word >> 31


def test_mixing_is_that_of_splitmix64():
    gamma = 0x9E3779B97F4A7C15
    # The published generator's first numbers from the seed 1234567.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    words = np.array([(1234567 + i * gamma) % 2**64 for i in (1, 2, 3)], np.uint64)
    assert priors._mix(tf.constant(words)).numpy().tolist() == published
    assert [mixed(int(word)) for word in words] == published


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4), st.integers(1, 5))
def test_uniforms_equal_python_in_and_outside_a_graph(seeds, n):
    gamma = 0x9E3779B97F4A7C15
    expected = [
        [((mixed((mixed(s % 2**64) + i * gamma) % 2**64) >> 41) + 0.5) / 2**23
         for i in range(1, n + 1)]
        for s in seeds
    ]  # fmt: skip
    given_ = tf.constant(seeds, tf.int64)
    np.testing.assert_array_equal(priors.uniforms(given_, n), expected)
    inside = tf.function(lambda words: priors.uniforms(words, n), autograph=False)
    np.testing.assert_array_equal(inside(given_), expected)


@pytest.mark.parametrize("name", priors.PRIORS)
def test_a_seeds_latent_is_the_same_in_any_batch(name):
    prior = priors.PRIORS[name](11)
    seeds = np.array([0, 5, -1, 2**40, 5])
    whole = prior.latent(seeds).numpy()
    assert whole.dtype == np.float32
    for seed, row in zip(seeds, whole, strict=True):
        # TensorFlow's quantiles may round otherwise in vectors than alone.
        np.testing.assert_allclose(prior.latent([seed]), row[None], rtol=1e-6, atol=1e-6)
    assert len({row.round(4).tobytes() for row in whole}) == 4  # 5 came twice


@pytest.mark.parametrize("name", priors.PRIORS)
def test_latents_are_distributed_as_training_noise_is(name):
    prior = priors.PRIORS[name](20)
    drawn = np.sort(prior.latent(np.arange(20_000)).numpy().ravel())
    trained = np.sort(prior.sample(20_000, priors.key(0, 1, 0)).numpy().ravel())
    grid = np.linspace(-2.5, 2.5, 41)
    shares = [np.searchsorted(values, grid) / len(values) for values in (drawn, trained)]
    np.testing.assert_allclose(shares[0], shares[1], atol=0.005)
    columns = prior.latent(np.arange(20_000)).numpy()
    correlation = np.corrcoef(columns.T) - np.eye(20)
    assert np.abs(correlation).max() < (0.06 if name == "spherical" else 0.04)
    neighbours = (columns[1:] * columns[:-1]).mean(axis=0)  # of seeds that follow each other
    assert np.abs(neighbours).max() < 0.04


def test_truncation_keeps_the_central_share():
    seeds = np.arange(3000)
    whole = priors.Uniform(5).latent(seeds).numpy()
    np.testing.assert_array_equal(whole, priors.Uniform(5).latent(seeds, 1.0))
    np.testing.assert_allclose(priors.Uniform(5).latent(seeds, 0.25), whole / 4, atol=1e-6)
    normal = priors.Normal(5).latent(seeds, np.full(3000, 0.5, np.float32)).numpy()
    assert 0.67 < np.abs(normal).max() <= 0.6745  # the quartiles of N(0, 1)
    mixed_ = priors.Normal(5).latent([7, 7], [0.5, 1.0]).numpy()
    np.testing.assert_array_equal(mixed_[1], priors.Normal(5).latent([7])[0])
    assert (np.abs(mixed_[0]) < np.abs(mixed_[1])).all()


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
