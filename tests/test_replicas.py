import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gan import building, priors, replicas
from tests.conformance.cases import CASES


def on_each(strategy, function):
    """Run a function on every replica, as a step does; return one answer for each."""
    found = tf.function(lambda: strategy.run(function))()
    return [part.numpy() for part in strategy.experimental_local_results(found)]


@pytest.mark.parametrize("prior", [priors.Uniform(3), priors.Normal(5), priors.Spherical(4)])
def test_replicas_share_one_draw(two_replicas, prior):
    key = priors.key(1, priors.GENERATOR_NOISE, 7)
    parts = on_each(two_replicas, lambda: replicas.draw(prior, 6, key))
    np.testing.assert_array_equal(np.concatenate(parts), prior.sample(12, key))
    alone = tf.function(lambda: replicas.draw(prior, 12, key))()
    np.testing.assert_array_equal(alone, prior.sample(12, key))


def test_replicas_draw_masks_of_their_own(two_replicas):
    with two_replicas.scope():
        gan = building.build(CASES["no_average"], (8, 8, 1), train_images=240)
    weights = gan.discriminator.get_weights()
    gan.discriminator.set_weights([weight + 0.1 for weight in weights])
    images = np.ones((4, 8, 8, 1), np.float32)  # whose logits differ by their masks alone
    first, second = on_each(two_replicas, lambda: gan._judge(images, priors.REAL_MASKS))
    assert not np.array_equal(first, second)
    again = on_each(two_replicas, lambda: gan._judge(images, priors.REAL_MASKS))
    np.testing.assert_array_equal(first, again[0])


def test_each_replica_knows_its_number(two_replicas):
    assert on_each(two_replicas, lambda: tf.cast(replicas.own(), tf.int32)) == [0, 1]
    assert on_each(two_replicas, lambda: tf.constant(replicas.number())) == [2, 2]
    assert replicas.own() == 0
    assert replicas.number() == 1


def test_an_average_follows_on_every_replica(two_replicas):
    with two_replicas.scope():
        average, network = (
            keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]) for _ in range(2)
        )
    before = [weight.numpy() for weight in average.weights]

    def follow():
        replicas.follow(average, network, tf.constant(0.25))
        return tf.identity(average.weights[0].value)

    first, second = on_each(two_replicas, follow)
    np.testing.assert_array_equal(first, second)
    for start, mean, weight in zip(before, average.weights, network.weights, strict=True):
        expected = start + 0.25 * (weight.numpy() - start)
        np.testing.assert_allclose(mean.numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("who", [0, 1])
def test_one_replicas_overflow_skips_the_step_of_all(two_replicas, who):
    with two_replicas.scope():
        layer = keras.layers.Dense(1, use_bias=False)
        layer.build((None, 2))
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0))
        optimizer.build(layer.trainable_variables)
    before, scale = layer.kernel.numpy(), float(optimizer.dynamic_scale.numpy())

    def step(bad):
        mine = tf.logical_and(bad, tf.equal(replicas.own(), who))
        gradient = tf.where(mine, np.inf, tf.fill((2, 1), scale))
        replicas.apply(optimizer, [gradient], layer.trainable_variables)
        return tf.identity(layer.kernel.value)

    for kernel in on_each(two_replicas, lambda: step(True)):
        np.testing.assert_array_equal(kernel, before)
    assert float(optimizer.dynamic_scale.numpy()) == scale / 2
    for kernel in on_each(two_replicas, lambda: step(False)):
        # The gradients of both are summed, and divided by the scale as it is now.
        np.testing.assert_allclose(kernel, before - 2 * 2, atol=1e-5)
    assert int(optimizer.iterations.numpy()) == 1


def test_float16_layers_get_scaled_losses():
    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    half = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, dtype="mixed_float16")])
    sgd = keras.optimizers.SGD()
    assert replicas.scaling(sgd, (plain, plain)) is sgd
    scaled = replicas.scaling(sgd, (plain, half))
    assert isinstance(scaled, keras.optimizers.LossScaleOptimizer)
    assert replicas.scaling(scaled, (plain, half)) is scaled
    scaled.build(half.trainable_variables)
    assert float(replicas.share(tf.constant(2.0), scaled)) == 2 * 2**15
    assert float(replicas.share(tf.constant(2.0), sgd)) == 2
