import keras
import numpy as np
import pytest
from keras import layers

from keras_gan import export, exported, priors
from keras_gan.gan import GAN
from keras_gan.scales import ContrastNormalization


def pictures(n=6, shape=(8, 8, 3), seed=0):
    rng = np.random.default_rng(seed)
    low, high = rng.uniform(0, 0.4, (n, 1, 1, 1)), rng.uniform(0.6, 1, (n, 1, 1, 1))
    return (low + (high - low) * rng.random((n, *shape))).astype(np.float32)


def built(shape=(8, 8, 3)):
    scale = ContrastNormalization()
    scale.build((None, *shape))
    return scale


def twin(images):
    """Global contrast normalisation, image by image, in float64."""
    result = []
    for image in images.astype(np.float64):
        centred = image - image.sum() / image.size
        result.append(55 * centred / np.sqrt((centred**2).sum()))
    return np.stack(result)


def test_literal_values():
    image = np.array([[0.0, 0.0], [1.0, 1.0]], np.float32).reshape(1, 2, 2, 1)
    expected = [-27.5, -27.5, 27.5, 27.5]
    np.testing.assert_allclose(built((2, 2, 1))(image).numpy().ravel(), expected, rtol=1e-6)


def test_mean_0_and_norm_55_of_stored_images(examples):
    from keras_gan import data

    images = data.load_split(examples, "test")
    seen = built((8, 8, 1))(images).numpy().reshape(40, -1)
    np.testing.assert_allclose(seen.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 55, rtol=1e-5)


def test_equals_the_numpy_twin():
    images = pictures()
    np.testing.assert_allclose(built()(images), twin(images), atol=1e-4)
    # It takes brightness and contrast away.
    np.testing.assert_allclose(built()(images * 0.3 + 0.1), twin(images), atol=1e-3)


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3)])
def test_a_blank_image_of_any_grey_becomes_zeros(shape):
    blank = np.ones((256, *shape), np.float32)
    blank *= (np.arange(256, dtype=np.float32) / 255)[:, None, None, None]
    seen = built(shape)(blank).numpy()
    assert np.isfinite(seen).all()
    assert np.abs(seen).max() < 1e-3


def test_one_grey_level_of_one_pixel_is_not_blank():
    image = np.full((1, 32, 32, 3), 0.5, np.float32)
    image[0, 3, 4, 1] += 1 / 255
    seen = built((32, 32, 3))(image).numpy()
    assert np.linalg.norm(seen) == pytest.approx(55, rel=1e-3)
    assert seen[0, 3, 4, 1] == seen.max() > 54


def test_restore_with_an_images_own_numbers_is_the_identity():
    images = pictures()
    scale = built()
    rows = images.reshape(len(images), -1)
    means = rows.mean(axis=1)
    norms = np.linalg.norm(rows - means[:, None], axis=1)
    restored = scale.restore(
        scale(images), means[:, None, None, None], norms[:, None, None, None]
    ).numpy()
    np.testing.assert_allclose(restored, images, atol=1e-5)
    assert np.abs(scale.restore(scale(images)).numpy() - images).max() > 0.01  # an average's


def test_adapt_measures_an_average_image():
    scale = built((2, 2, 1))
    assert float(scale.brightness) == 0.5
    assert float(scale.contrast) == 0.5  # a quarter times sqrt(4)
    images = np.array([[0, 0, 1, 1], [0.2, 0.2, 0.2, 0.2], [0, 0.2, 0.2, 0]], np.float32)
    scale.adapt(images.reshape(3, 2, 2, 1))
    assert float(scale.brightness) == pytest.approx(0.8 / 3)
    assert float(scale.contrast) == pytest.approx((1 + 0 + 0.2) / 3)
    assert not scale.trainable_weights
    assert len(scale.weights) == 2


def test_restore_literal_and_clipped():
    scale = built((1, 1, 1))
    scale.brightness.assign(0.4)
    scale.contrast.assign(11.0)
    values = np.array([0.0, 1.0, -1.0, 3.5, -55.0, 55.0], np.float32).reshape(6, 1, 1, 1)
    restored = scale.restore(values).numpy().ravel()
    np.testing.assert_allclose(restored, [0.4, 0.6, 0.2, 1.0, 0.0, 1.0], atol=1e-6)


def scaled_gan(scale):
    keras.utils.set_random_seed(0)
    generator = keras.Sequential(
        [keras.Input((3,)), layers.Dense(48), layers.Reshape((4, 4, 3))], name="g"
    )
    discriminator = keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(1)], name="d"
    )
    gan = GAN(generator, discriminator, priors.Normal(3), scale=scale)
    gan.compile(
        d_optimizer=keras.optimizers.SGD(1e-3),
        g_optimizer=keras.optimizers.SGD(1e-3),
        run_eagerly=True,
    )
    return gan


@pytest.fixture
def gan():
    scale = ContrastNormalization()
    gan = scaled_gan(scale)
    scale.adapt(pictures(20, (4, 4, 3)))
    return gan


def test_a_gan_with_a_scale_makes_pixels_and_judges_what_the_networks_see(gan):
    samples = gan.sample(20, seed=0)
    assert 0 <= samples.min() < samples.max() <= 1
    made = gan.generator(gan.noise(20, seed=0)).numpy()
    assert made.min() < 0  # what the networks make are no pixels
    expected = np.clip(float(gan.scale.brightness) + float(gan.scale.contrast) / 55 * made, 0, 1)
    np.testing.assert_allclose(samples, expected, atol=1e-6)
    images = pictures(5, (4, 4, 3))
    logits = gan.discriminator(twin(images).astype(np.float32)).numpy()[:, 0]
    np.testing.assert_allclose(gan.discriminate(images), logits, rtol=1e-4, atol=1e-4)


def test_training_with_a_scale_is_training_on_normalised_images(gan):
    images = pictures(8, (4, 4, 3))
    plain = scaled_gan(None)
    gan.train_step(images)
    plain.train_step(twin(images).astype(np.float32))
    for ours, theirs in zip(
        gan.generator.weights + gan.discriminator.weights,
        plain.generator.weights + plain.discriminator.weights,
        strict=True,
    ):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_a_scale_survives_saving_and_exporting(gan, tmp_path):
    samples = gan.sample(6, seed=1)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    assert float(loaded.scale.contrast) == float(gan.scale.contrast) != 0.25 * 48**0.5
    assert float(loaded.scale.brightness) == float(gan.scale.brightness)
    np.testing.assert_array_equal(loaded.sample(6, seed=1), samples)
    drawn = exported.load_sampler(export.export(gan, tmp_path / "export")).sample(6, seed=1)
    assert 0 <= drawn.min() < drawn.max() <= 1
    np.testing.assert_allclose(drawn, samples, atol=1e-5)
