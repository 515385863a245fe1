import keras
import numpy as np
import pytest

from keras_gan.config import Optimizer
from keras_gan.interfaces import UserError
from keras_gan.networks.layers import PixelBias
from keras_gan.optimizers import DecayWithFloor, HoldThenFall, build_optimizer

PAPER = Optimizer("momentum", 0.1, momentum=0.5, final_momentum=0.7, decay=1.000004, minimum=1e-6)


def test_learning_rate_follows_the_paper_and_has_a_floor():
    schedule = DecayWithFloor(0.1, 1.000004, 1e-6)
    for step in (0, 1, 1000, 125000):
        assert float(schedule(step)) == pytest.approx(0.1 / 1.000004**step, rel=1e-5)
    assert float(schedule(10**7)) == pytest.approx(1e-6)


def test_momentum_rises_linearly_from_epoch_1_to_250():
    optimizer = build_optimizer(PAPER, total_steps=125000, steps_per_epoch=500)
    optimizer.build([keras.Variable([0.0])])
    expected = {
        0: 0.5,
        500: 0.5,
        1000: 0.5 + 0.2 / 249,
        1499: 0.5 + 0.2 / 249,
        62500: 0.5 + 0.2 * 124 / 249,
    }
    expected |= {125000: 0.7, 500000: 0.7}
    for step, momentum in expected.items():
        optimizer.iterations.assign(step)
        assert float(optimizer.current_momentum()) == pytest.approx(momentum, abs=1e-6)


def test_gradients_far_below_epsilon_move_little():
    moved = []
    for epsilon in (1e-7, 1e-4):
        options = Optimizer("adam", 0.1, epsilon=epsilon)
        optimizer = build_optimizer(options, total_steps=1, steps_per_epoch=1)
        variable = keras.Variable([0.0])
        optimizer.apply([keras.ops.array([1e-5])], [variable])
        moved.append(-float(variable.numpy()[0]))
    # 0.1 g / (g + epsilon); Keras adds it before it corrects the moments for their start.
    scale = np.sqrt(1 - 0.999)
    expected = [0.1 * scale * 1e-5 / (scale * 1e-5 + epsilon) for epsilon in (1e-7, 1e-4)]
    np.testing.assert_allclose(moved, expected, rtol=1e-4)


@pytest.mark.parametrize("start", [0.0, 0.5])
def test_momentum_update_equals_a_numpy_twin(start):
    options = Optimizer(
        "momentum", 0.1, momentum=start, final_momentum=0.9, momentum_epochs=3, decay=1.1
    )
    optimizer = build_optimizer(options, total_steps=8, steps_per_epoch=2)
    variable = keras.Variable([1.0, -2.0])
    optimizer.build([variable])
    value, velocity = np.array([1.0, -2.0]), np.zeros(2)
    for step in range(8):
        gradient = np.array([np.sin(step), 2 * value[1]])
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
        momentum = start + (0.9 - start) * min(max((step // 2 - 1) / 2, 0), 1)
        velocity = momentum * velocity - 0.1 / 1.1**step * gradient
        value = value + velocity
    np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5)


@pytest.mark.parametrize("options", [PAPER, Optimizer("adam", 1e-3, schedule="cosine")])
def test_optimizers_serialise(options):
    optimizer = build_optimizer(options, total_steps=100, steps_per_epoch=10)
    config = keras.saving.serialize_keras_object(optimizer)
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == optimizer.get_config()


def test_cosine_ends_at_zero():
    optimizer = build_optimizer(
        Optimizer("adam", 1e-3, schedule="cosine"), total_steps=100, steps_per_epoch=10
    )
    optimizer.build([keras.Variable([0.0])])
    assert float(optimizer.learning_rate) == pytest.approx(1e-3)
    optimizer.iterations.assign(100)
    assert float(optimizer.learning_rate) == pytest.approx(0.0, abs=1e-9)


def test_hold_then_fall_literal_values():
    schedule = HoldThenFall(0.1, 100, 0.7)
    expected = {0: 0.1, 35: 0.1, 70: 0.1, 85: 0.05, 97: 0.01, 100: 0.0, 150: 0.0}
    for step, rate in expected.items():
        assert float(schedule(step)) == pytest.approx(rate, abs=1e-7)
    straight = HoldThenFall(0.4, 100, 0.0)
    assert [float(straight(step)) for step in (0, 25, 50, 100)] == pytest.approx(
        [0.4, 0.3, 0.2, 0.0]
    )


@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_a_linear_schedule_ends_with_the_run_and_serialises(name):
    options = Optimizer(name, 0.2, schedule="linear", hold=0.5)
    optimizer = build_optimizer(options, total_steps=200, steps_per_epoch=10)
    optimizer.build([keras.Variable([0.0])])
    for step, rate in {0: 0.2, 100: 0.2, 150: 0.1, 200: 0.0}.items():
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(rate, abs=1e-7)
    config = keras.saving.serialize_keras_object(optimizer)
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == optimizer.get_config()


def test_adam_equals_a_numpy_twin():
    options = Optimizer("adam", 0.1, beta_1=0.5, beta_2=0.9, epsilon=1e-3)
    optimizer = build_optimizer(options, total_steps=1, steps_per_epoch=1)
    variable = keras.Variable([1.0, -2.0])
    optimizer.build([variable])
    value, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    for step in range(1, 8):
        gradient = np.array([np.sin(step), 2 * value[1]])
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
        m, v = 0.5 * m + 0.5 * gradient, 0.9 * v + 0.1 * gradient**2
        rate = 0.1 * np.sqrt(1 - 0.9**step) / (1 - 0.5**step)
        value = value - rate * m / (np.sqrt(v) + 1e-3)
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5)
    assert int(optimizer.iterations.numpy()) == 7


@pytest.mark.parametrize("name", ["adam", "momentum"])
@pytest.mark.parametrize("copied", [False, True])
def test_weight_decay_takes_a_share_of_kernels_and_leaves_biases(name, copied):
    options = Optimizer(name, 0.1, weight_decay=2.0, schedule="linear")
    optimizer = build_optimizer(options, total_steps=4, steps_per_epoch=1)
    if copied:
        config = keras.saving.serialize_keras_object(optimizer)
        optimizer = keras.saving.deserialize_keras_object(config)
    layer, maps = keras.layers.Dense(2, bias_initializer="ones"), PixelBias()
    layer.build((None, 3))
    maps.build((None, 2, 2, 1))
    maps.bias.assign(np.ones((2, 2, 1)))
    kernel = layer.kernel.numpy()
    variables = [*layer.trainable_variables, *maps.trainable_variables]
    optimizer.build(variables)
    for rate in (0.1, 0.075):
        kernel = kernel * (1 - 2.0 * rate)
        optimizer.apply([keras.ops.zeros(v.shape) for v in variables], variables)
        np.testing.assert_allclose(layer.kernel.numpy(), kernel, rtol=1e-6)
    np.testing.assert_array_equal(layer.bias.numpy(), [1, 1])
    np.testing.assert_array_equal(maps.bias.numpy(), np.ones((2, 2, 1)))


def test_weight_decay_comes_before_the_step_and_is_not_part_of_its_moments():
    options = Optimizer("momentum", 0.1, momentum=0.5, final_momentum=0.5, weight_decay=1.0)
    optimizer = build_optimizer(options, total_steps=2, steps_per_epoch=1)
    variable = keras.Variable([[1.0]])
    optimizer.build([variable])
    for value in (0.9 * 1.0 - 0.1 * 3.0, 0.9 * 0.6 - 0.05 * 3.0 - 0.1 * 3.0):
        optimizer.apply([keras.ops.array([[3.0]])], [variable])
        np.testing.assert_allclose(variable.numpy(), [[value]], rtol=1e-6)


def test_too_much_weight_decay_is_refused():
    with pytest.raises(UserError, match=r"below 1 / learning_rate; received weight_decay=10\.0"):
        Optimizer("momentum", 0.1, weight_decay=10.0)
