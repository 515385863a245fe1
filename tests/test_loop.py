import dataclasses

import pytest

from keras_gan import loop
from keras_gan.experiment import train
from tests.conformance.cases import CASES


@pytest.mark.parametrize(
    ("first", "total", "every", "expected"),
    [
        (0, 10, 5, [(2, 5)]),
        (0, 11, 5, [(2, 5), (1, 1)]),
        (3, 11, 5, [(1, 2), (1, 5), (1, 1)]),
        (0, 3, 5, [(1, 3)]),
        (4, 5, 5, [(1, 1)]),
        (5, 5, 5, []),
        (9, 5, 5, []),
    ],
)
def test_intervals(first, total, every, expected):
    assert loop.intervals(first, total, every) == expected


def test_steps_per_call_divides_every_interval():
    assert loop.steps_per_call([100, 100], 20) == 20
    assert loop.steps_per_call([100, 30], 20) == 10
    assert loop.steps_per_call([7], 20) == 7
    assert loop.steps_per_call([100, 37], 20) == 1

    assert loop.steps_per_call([100, 100], 1) == 1


@pytest.mark.usefixtures("without_exports")
@pytest.mark.parametrize(("network", "steps"), [("maxout_mlp", 2), ("maxout_conv", 1)])
def test_max_pooling_trains_step_by_step(network, steps, examples, tmp_path):
    """Several steps in a call gave other last bits in one run of five, before."""
    recipe = dataclasses.replace(CASES[f"{network}-minimax"], steps=2, checkpoint_every=2)
    assert train(recipe, tmp_path / "run", examples, tmp_path).gan.steps_per_execution == steps
