import numpy as np
import pytest

from keras_gan.config import DCGAN, MaxoutMLP
from keras_gan.networks import build_networks
from keras_gan.networks.layers import Maxout


def test_the_papers_mnist_pair_has_its_parameter_counts():
    generator, discriminator = build_networks(MaxoutMLP(), latent=100, image_shape=(28, 28, 1))
    assert generator.count_params() == 2_503_984
    assert discriminator.count_params() == 1_231_441


def test_the_papers_initial_weights():
    generator, discriminator = build_networks(MaxoutMLP(), latent=100, image_shape=(28, 28, 1))
    for network, limit in ((generator, 0.05), (discriminator, 0.005)):
        for weight in network.weights:
            values = weight.numpy()
            if weight.path.endswith("bias"):
                assert not values.any()
            else:
                assert values.min() >= -limit
                assert values.max() <= limit
                # The deviation of U(-a, a) is a / sqrt(3).
                assert values.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)


def test_discriminator_drops_a_fifth_of_its_input_and_half_of_the_rest():
    _, discriminator = build_networks(MaxoutMLP(), latent=10, image_shape=(8, 8, 1))
    rates = [layer.rate for layer in discriminator.layers if hasattr(layer, "rate")]
    assert rates == [0.2, 0.5, 0.5]
    generator, _ = build_networks(MaxoutMLP(), latent=10, image_shape=(8, 8, 1))
    assert not [layer for layer in generator.layers if hasattr(layer, "rate")]


@pytest.mark.parametrize("options", [MaxoutMLP((8,), (4,)), DCGAN(filters=2)])
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (17, 23, 3), (8, 8, 1), (100, 60, 3)])
def test_networks_fit_any_image(options, shape):
    generator, discriminator = build_networks(options, latent=5, image_shape=shape)
    images = generator(np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32))
    assert images.shape == (2, *shape)
    assert 0 <= float(images.numpy().min()) <= float(images.numpy().max()) <= 1
    assert discriminator(images).shape == (2, 1)


@pytest.mark.parametrize("options", [MaxoutMLP((8,), (4,), generator_range=1e-9), DCGAN(filters=2)])
def test_generator_starts_from_the_mean_image(options):
    mean = np.random.default_rng(0).uniform(0, 1, (8, 8, 3))
    mean[0, 0] = 0.0  # clipped: its inverse sigmoid is minus infinity
    generator, _ = build_networks(options, latent=5, image_shape=(8, 8, 3), pixel_mean=mean)
    image = generator(np.zeros((1, 5), np.float32)).numpy()[0]
    assert np.isfinite(generator.get_layer("pixels").bias.numpy()).all()
    if isinstance(options, DCGAN):
        mean = np.broadcast_to(mean.mean(axis=(0, 1)), mean.shape)
    np.testing.assert_allclose(image, mean, atol=1e-4)


def test_bfloat16_keeps_weights_and_outputs_in_float32():
    generator, discriminator = build_networks(
        MaxoutMLP((8,), (4,)), latent=5, image_shape=(8, 8, 1), dtype="bfloat16"
    )
    assert {str(w.dtype) for w in [*generator.weights, *discriminator.trainable_weights]} == {
        "float32"
    }
    assert generator(np.zeros((1, 5), np.float32)).dtype == "float32"
    assert discriminator(np.zeros((1, 8, 8, 1), np.float32)).dtype == "float32"
    assert generator.get_layer("hidden_0").compute_dtype == "bfloat16"


def test_same_seed_same_weights():
    pairs = [
        build_networks(MaxoutMLP((8,), (4,)), latent=5, image_shape=(8, 8, 1), seed=seed)
        for seed in (0, 0, 1)
    ]
    first, second, third = ([w.numpy() for n in pair for w in n.weights] for pair in pairs)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, third, strict=True))


def test_maxout_is_the_largest_piece():
    values = np.array([[1.0, -2.0, 0.0, 5.0, -1.0, 3.0]], np.float32)
    np.testing.assert_array_equal(Maxout(3)(values), [[1.0, 5.0]])
    assert Maxout(3).compute_output_shape((None, 6)) == (None, 2)
