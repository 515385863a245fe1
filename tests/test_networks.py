import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gan import building
from keras_gan.config import DCGAN, MaxoutConv, MaxoutMLP, Optimizer, Recipe
from keras_gan.interfaces import UserError
from keras_gan.networks import build_networks, continue_from
from keras_gan.networks.layers import (
    BatchNormalization,
    Dropout,
    Maxout,
    PixelBias,
    WholeMaxPooling,
)
from keras_gan.networks.mlp import Sparse
from keras_gan.recipes import RECIPES


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


# The paper's other pairs -------------------------------------------------------------------------


@pytest.fixture
def no_draws(monkeypatch):
    """Zeros instead of a hundred million random weights: only shapes are looked at."""

    def zeros(self, shape, dtype=None):
        return keras.ops.zeros(shape, dtype)

    monkeypatch.setattr(keras.initializers.RandomUniform, "__call__", zeros)


@pytest.mark.parametrize(
    ("name", "shape", "counts"),
    [
        ("mnist_paper", (28, 28, 1), (2_503_984, 1_231_441)),
        ("mnist_paper_tuned", (28, 28, 1), (2_503_984, 1_231_441)),
        ("tfd_paper", (48, 48, 1), (83_250_304, 21_037_201)),
        ("tfd_paper_stage2", (48, 48, 1), (84_858_404, 21_037_201)),
        ("cifar10_fc_paper", (32, 32, 3), (89_395_072, 37_393_601)),
        ("cifar10_conv_paper", (32, 32, 3), (64_825_072, 12_454_073)),
    ],
)
def test_the_papers_pairs_have_their_parameter_counts(no_draws, name, shape, counts):
    recipe = RECIPES[name]
    output = "linear" if recipe.scale == "contrast" else "sigmoid"
    pair = build_networks(recipe.network, latent=recipe.latent, image_shape=shape, output=output)
    assert tuple(network.count_params() for network in pair) == counts
    activations = [
        layer.activation.__name__ for layer in pair[0].layers if isinstance(layer, layers.Dense)
    ]
    expected = {
        "mnist_paper": ["relu", "relu", "sigmoid"],
        "mnist_paper_tuned": ["relu", "relu", "sigmoid"],
        "tfd_paper": ["relu", "sigmoid", "sigmoid"],
        "tfd_paper_stage2": ["relu", "sigmoid", "relu", "sigmoid", "sigmoid"],
        "cifar10_fc_paper": ["relu", "sigmoid", "linear"],
        "cifar10_conv_paper": ["relu", "sigmoid"],
    }
    assert activations == expected[name]


def test_the_papers_convolutional_discriminator_has_its_maps(no_draws):
    options = dataclasses.replace(MaxoutConv(), generator_units=(4,))
    generator, discriminator = build_networks(
        options, latent=100, image_shape=(32, 32, 3), output="linear"
    )
    sides = [
        layer.output.shape[1:3]
        for layer in discriminator.layers
        if isinstance(layer, layers.Conv2D | WholeMaxPooling)
    ]
    assert sides == [(side, side) for side in (33, 16, 15, 7, 9, 5)]
    channels = [layer.output.shape[-1] for layer in discriminator.layers if "maxout" in layer.name]
    assert channels == [32, 32, 192, 500]
    assert [layer.rate for layer in discriminator.layers if hasattr(layer, "rate")] == [
        0.2, 0.5, 0.5, 0.5, 0.5,
    ]  # fmt: skip
    assert generator.get_layer("transposed").input.shape[1:] == (10, 10, 80)
    assert generator.get_layer("transposed").output.shape[1:] == (32, 32, 3)
    assert not generator.get_layer("transposed").use_bias
    assert generator.get_layer("pixels").bias.shape == (32, 32, 3)


SMALL_CONV = MaxoutConv(
    (6,),
    channels=2,
    kernel=5,
    stride=3,
    discriminator_channels=(3, 4),
    kernels=(4, 3),
    pads=(2, 1),
    pools=(3, 2),
    units=4,
)


@pytest.mark.parametrize("shape", [(28, 28, 1), (17, 23, 3), (8, 8, 1)])
def test_the_convolutional_pair_fits_any_image(shape):
    generator, discriminator = build_networks(SMALL_CONV, latent=5, image_shape=shape)
    images = generator(np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32))
    assert images.shape == (2, *shape)
    assert discriminator(images).shape == (2, 1)
    # As small a map as reaches the image's size.
    for side, size in zip(generator.get_layer("transposed").input.shape[1:3], shape, strict=False):
        assert (side - 1) * 3 + 5 >= size > (side - 2) * 3 + 5


def test_images_too_small_for_the_convolutions_are_refused():
    with pytest.raises(UserError, match=r"kernels=8 and pools=4; received 2x2. Try --set network"):
        build_networks(MaxoutConv((4,), channels=2), latent=5, image_shape=(2, 2, 1))


# Layers ------------------------------------------------------------------------------------------


def pooled(images, size):
    """Stride 2; what lies over the edge is minus infinity; the last window covers the edge."""
    batch, *sides, channels = images.shape
    counts = [math.ceil((side - size) / 2) + 1 for side in sides]
    wide = np.full((batch, sides[0] + size, sides[1] + size, channels), -np.inf)
    wide[:, : sides[0], : sides[1]] = images
    result = np.empty((batch, *counts, channels))
    for row in range(counts[0]):
        for column in range(counts[1]):
            window = wide[:, 2 * row : 2 * row + size, 2 * column : 2 * column + size]
            result[:, row, column] = window.max(axis=(1, 2))
    return result


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("sides", [(33, 33), (16, 16), (15, 9), (4, 7), (5, 8)])
@pytest.mark.parametrize("shift", [0.0, -10.0])
def test_whole_max_pooling_equals_a_numpy_twin(size, sides, shift):
    images = np.random.default_rng(0).normal(shift, 1, (2, *sides, 3)).astype(np.float32)
    result = WholeMaxPooling(size)(images).numpy()
    np.testing.assert_array_equal(result, pooled(images, size))
    assert WholeMaxPooling(size).compute_output_shape((None, *sides, 3)) == (
        None,
        *result.shape[1:],
    )


def test_pixel_bias_adds_a_bias_to_each_pixel():
    layer = PixelBias("sigmoid")
    images = np.random.default_rng(0).normal(size=(3, 2, 4, 1)).astype(np.float32)
    np.testing.assert_allclose(layer(images), 1 / (1 + np.exp(-images)), rtol=1e-5)
    assert layer.bias.shape == (2, 4, 1)
    bias = np.arange(8, dtype=np.float32).reshape(2, 4, 1)
    layer.bias.assign(bias)
    np.testing.assert_allclose(layer(images), 1 / (1 + np.exp(-images - bias)), rtol=1e-5)
    np.testing.assert_array_equal(PixelBias()(images), images)


@pytest.mark.parametrize(
    "thing", [PixelBias("sigmoid"), WholeMaxPooling(3), Sparse(4, seed=5), Maxout(2)]
)
def test_own_layers_serialise(thing):
    config = keras.saving.serialize_keras_object(thing)
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(thing)
    assert copy.get_config() == thing.get_config()


@pytest.mark.parametrize(("nonzero", "inputs", "expected"), [(10, 60, 10), (10, 10, 10), (9, 4, 4)])
def test_sparse_has_exactly_so_many_weights_a_unit(nonzero, inputs, expected):
    weights = Sparse(nonzero, seed=0)((inputs, 500))
    assert (weights.shape, weights.dtype) == ((inputs, 500), np.float32)
    assert set((weights != 0).sum(axis=0)) == {expected}
    drawn = weights[weights != 0]
    assert drawn.mean() == pytest.approx(0, abs=0.08)
    assert drawn.std() == pytest.approx(1, abs=0.05)
    if inputs == 60:  # every input is as likely
        assert (weights != 0).sum(axis=1).min() > 40
    np.testing.assert_array_equal(weights, Sparse(nonzero, seed=0)((inputs, 500)))
    assert not np.array_equal(weights, Sparse(nonzero, seed=1)((inputs, 500)))


# The fully connected pair's options --------------------------------------------------------------


def test_activations_and_biases_of_the_generator():
    options = MaxoutMLP(
        (6, 5, 4, 3), (4,), generator_activations=("relu", "sigmoid"), sigmoid_bias=-2.0
    )
    generator, discriminator = build_networks(options, latent=5, image_shape=(8, 8, 1))
    dense = [layer for layer in generator.layers if isinstance(layer, layers.Dense)]
    names = [layer.activation.__name__ for layer in dense]
    assert names == ["relu", "sigmoid", "sigmoid", "sigmoid", "sigmoid"]  # the last one: pixels
    biases = [set(layer.bias.numpy()) for layer in dense]
    assert biases == [{0.0}, {-2.0}, {-2.0}, {-2.0}, {0.0}]
    assert not any(
        weight.numpy().any() for weight in discriminator.weights if weight.path.endswith("bias")
    )


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_output_range_and_output(output):
    options = MaxoutMLP((50, 40), (4,), output_range=0.5)
    generator, _ = build_networks(options, latent=5, image_shape=(8, 8, 1), output=output)
    for name, limit in (("hidden_0", 0.05), ("hidden_1", 0.05), ("pixels", 0.5)):
        kernel = np.abs(generator.get_layer(name).kernel.numpy())
        assert 0.95 * limit < kernel.max() <= limit
    assert generator.get_layer("pixels").activation.__name__ == output
    same = build_networks(MaxoutMLP((50, 40), (4,)), latent=5, image_shape=(8, 8, 1))[0]
    assert np.abs(same.get_layer("pixels").kernel.numpy()).max() <= 0.05


def test_a_linear_generator_does_not_start_from_the_mean():
    generator, _ = build_networks(
        MaxoutMLP((5,), (4,)),
        latent=5,
        image_shape=(8, 8, 1),
        output="linear",
        pixel_mean=np.full((8, 8, 1), 0.2),
    )
    assert not generator.get_layer("pixels").bias.numpy().any()


def test_output_nonzero_makes_the_last_layer_sparse():
    options = MaxoutMLP((50, 40), (4,), output_nonzero=7)
    generator, _ = build_networks(options, latent=5, image_shape=(8, 8, 1))
    assert set((generator.get_layer("pixels").kernel.numpy() != 0).sum(axis=0)) == {7}
    assert generator.get_layer("hidden_1").kernel.numpy().all()


def largest_norms(max_norm, optimizer):
    """Play two wild rounds; return each kernel's largest column norm."""
    recipe = Recipe(
        name="r",
        dataset="d",
        latent=5,
        network=MaxoutMLP((12, 10), (6,), output_nonzero=8, max_norm=max_norm),
        d_optimizer=optimizer,
        g_optimizer=optimizer,
        update="alternating",
        steps=2,
    )
    gan = building.build(recipe, (8, 8, 1), train_images=100)
    images = np.random.default_rng(0).random((8, 8, 8, 1)).astype(np.float32)
    for _ in range(2):
        gan.train_step(images)
    kernels = [
        weight.numpy()
        for network in (gan.generator, gan.discriminator)
        for weight in network.trainable_weights
        if weight.path.endswith("kernel")
    ]
    assert len(kernels) == 5
    return np.array([np.linalg.norm(kernel, axis=0).max() for kernel in kernels])


@pytest.mark.parametrize("optimizer", [Optimizer("adam", 0.5), Optimizer("momentum", 300.0)])
def test_max_norm_holds_after_training_and_is_violated_without(optimizer):
    held, free = largest_norms(0.6, optimizer), largest_norms(0.0, optimizer)
    assert (held <= 0.6 + 1e-5).all()
    assert held.max() == pytest.approx(0.6, abs=1e-3)
    assert free.max() > 1.5
    assert (free > 0.6).sum() >= 3


# Stage 2 -----------------------------------------------------------------------------------------


def generator_of(units, seed, shape=(8, 8, 1), mean=None):
    return build_networks(
        MaxoutMLP(units, (4,)), latent=5, image_shape=shape, seed=seed, pixel_mean=mean
    )[0]


def test_continue_from_copies_the_earlier_generator_to_the_end():
    earlier = generator_of((7, 6), 1, mean=np.full((8, 8, 1), 0.3))
    # As in the paper: the layer below has as many units as z has dimensions.
    generator = generator_of((9, 5, 7, 6), 2, mean=np.full((8, 8, 1), 0.8))
    below = [generator.get_layer(f"hidden_{i}").get_weights() for i in (0, 1)]
    continue_from(generator, earlier)
    for ours, theirs in (("hidden_2", "hidden_0"), ("hidden_3", "hidden_1"), ("pixels", "pixels")):
        pairs = zip(
            generator.get_layer(ours).get_weights(),
            earlier.get_layer(theirs).get_weights(),
            strict=True,
        )
        for own, other in pairs:
            np.testing.assert_array_equal(own, other)
    for index, before in enumerate(below):
        for a, b in zip(before, generator.get_layer(f"hidden_{index}").get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    # So, past its own layers, it is the earlier generator.
    z = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    middle = keras.Model(generator.input, generator.get_layer("hidden_1").output)
    np.testing.assert_allclose(generator(z), earlier(middle(z)), atol=1e-6)


@pytest.mark.parametrize(
    ("units", "earlier_units", "earlier_shape"),
    [((9, 5, 7, 6), (7, 4), (8, 8, 1)), ((9, 5, 7, 6), (7, 6), (4, 4, 1)),
     ((9, 4, 7, 6), (7, 6), (8, 8, 1)), ((6,), (5, 6), (8, 8, 1))],
)  # fmt: skip
def test_continue_from_another_shape_is_refused_and_changes_nothing(
    units, earlier_units, earlier_shape
):
    generator, earlier = generator_of(units, 1), generator_of(earlier_units, 2, earlier_shape)
    before = generator.get_weights()
    with pytest.raises(ValueError, match="Expected the earlier generator's 3 layers as the last"):
        continue_from(generator, earlier)
    for a, b in zip(before, generator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_dropout_drops_its_share_and_divides_what_is_left(rate):
    inputs = tf.fill((1000, 3, 101), 2.0)  # an odd width
    layer = Dropout(rate, seed=0)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
    dropped = outputs.numpy() == 0
    count = dropped.size
    assert abs(dropped.mean() - rate) < 4 * math.sqrt(rate * (1 - rate) / count)
    np.testing.assert_allclose(outputs.numpy()[~dropped], 2.0 / (1 - rate), rtol=1e-6)
    np.testing.assert_allclose(
        tape.gradient(outputs, inputs), np.where(dropped, 0.0, 1.0 / (1 - rate)), rtol=1e-6
    )
    for axis in range(3):  # neighbours are independent, also those of one drawn word
        both = (dropped & np.roll(dropped, 1, axis)).mean()
        assert abs(both - rate**2) < 6 * math.sqrt(rate**2 / count)


def test_dropout_is_a_function_of_its_counter_and_silent_outside_training():
    inputs = tf.ones((50, 7))
    first, again = Dropout(0.5, seed=3), Dropout(0.5, seed=3)
    drawn = first(inputs, training=True).numpy()
    np.testing.assert_array_equal(drawn, again(inputs, training=True))
    assert not np.array_equal(drawn, first(inputs, training=True))
    np.testing.assert_array_equal(first(inputs), inputs)
    np.testing.assert_array_equal(Dropout(0.0)(inputs, training=True), inputs)
    assert first(tf.cast(inputs, tf.bfloat16), training=True).dtype == first.compute_dtype


def test_dropout_compares_sixteen_bits_with_its_rate(monkeypatch):
    bits = np.array([-(2**15), -19662, -19661, 2**15 - 1], np.int16)  # .2 of 2**16 is 13107
    monkeypatch.setattr(
        tf.random, "stateless_uniform", lambda *args: tf.constant(bits.view(np.int32))[None]
    )
    outputs = Dropout(0.2)(tf.ones((1, 4)), training=True)
    np.testing.assert_allclose(outputs, [[0.0, 0.0, 1.25, 1.25]])


def test_maxout_gives_pieces_that_tie_their_share_of_the_gradient():
    inputs = tf.constant([[1.0, 5.0, 1.0, 4.0, 0.0, 5.0]])  # 3 pieces of 2 units
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = Maxout(3)(inputs)
    np.testing.assert_array_equal(outputs, [[1.0, 5.0]])
    np.testing.assert_array_equal(
        tape.gradient(outputs, inputs, tf.constant([[4.0, 8.0]])), [[2.0, 4.0, 2.0, 0.0, 0.0, 4.0]]
    )


def test_batch_normalization_does_what_keras_does():
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(3.0, 2.0, (5, 4, 6, 3)), tf.float32)
    slope = tf.constant(rng.normal(size=inputs.shape), tf.float32)
    ours, plain = BatchNormalization(momentum=0.9), layers.BatchNormalization(momentum=0.9)
    found = []
    for layer in (ours, plain):
        layer.build(inputs.shape)
        layer.gamma.assign([0.5, 2.0, 1.0])
        layer.beta.assign([1.0, -1.0, 0.0])
        for _ in range(2):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = layer(inputs, training=True)
                value = tf.reduce_sum(outputs * slope)
            gradients = tape.gradient(value, [inputs, layer.gamma.value, layer.beta.value])
        found.append([outputs, *gradients, *layer.non_trainable_variables, layer(inputs)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=2e-5, atol=2e-5)
    assert abs(found[0][4].numpy().mean() - 3 * 0.19) < 0.3  # the moving mean has moved


def test_batch_normalization_takes_bfloat16_and_keeps_its_statistics():
    layer = BatchNormalization(dtype="mixed_bfloat16")
    outputs = layer(tf.random.stateless_normal((8, 4, 4, 2), (0, 1)), training=True)
    assert outputs.dtype == "bfloat16"
    assert {weight.dtype for weight in layer.weights} == {"float32"}
