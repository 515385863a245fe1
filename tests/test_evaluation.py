import copy
import json
import math

import numpy as np
import pytest

from keras_gan import data, evaluate, evaluation
from keras_gan.interfaces import UserError
from tests.conftest import write_examples


class Constant:
    image_shape = (8, 8, 1)

    def __init__(self, value):
        self.value = value

    def sample(self, n, *, seed):
        return np.full((n, 8, 8, 1), self.value, np.float32)


def test_images_of_another_shape_are_refused(tmp_path):
    other = write_examples(tmp_path / "other", {"train": 9, "test": 9}, shape=(4, 4, 1))
    with pytest.raises(UserError, match=r"\(8, 8, 1\) for the grey; received .* \(4, 4, 1\)"):
        evaluation.evaluate({"grey": Constant(0.5)}, other)


def test_better_samples_score_higher(examples):
    samplers = {"grey": Constant(0.5), "black": Constant(0.0)}
    rows = evaluation.evaluate(samplers, examples, samples=50)
    assert list(rows) == ["grey", "black"]
    assert rows["grey"]["log_likelihood"] > rows["black"]["log_likelihood"]
    assert all(math.isfinite(row["stderr"]) for row in rows.values())


def test_the_ruler_prefers_more_images_and_their_centres(examples):
    rows = evaluation.measure_ruler(examples, samples=20)
    blurred = "training images, blurred by 0.7 pixels"
    names = ["training images", blurred, "all training images", "cluster centres of them"]
    assert list(rows) == names
    assert [row["samples"] for row in rows.values()] == [20, 20, 240, 20]
    some, soft, every, centres = (row["log_likelihood"] for row in rows.values())
    assert some < every
    # Random images share nothing but their mean: the smoother, the likelier.
    assert some < centres
    assert some < soft
    assert evaluation.measure_ruler(examples, samples=20, whole=False) == {
        "training images": rows["training images"]
    }


def test_the_ruler_rewards_a_blur_of_real_digits(mnist_examples, monkeypatch):
    load = data.load_split
    monkeypatch.setattr(data, "load_split", lambda folder, split, *_: load(folder, split, 600))
    rows = evaluation.measure_ruler(mnist_examples, samples=300)
    sharp, soft, *_ = (row["log_likelihood"] for row in rows.values())
    assert soft > sharp + 20


def test_the_ruler_is_kept_for_these_data_only(examples, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.symlink_to(examples)
    values = copy.deepcopy(evaluate.FLAGS)
    values(["evaluate", "--n=10"])
    first = evaluate.ruler_rows(folder, values)
    kept = tmp_path / "data.ruler-10-0.json"
    assert json.loads(kept.read_text())["rows"] == first

    def fail(*args, **kwargs):
        raise AssertionError("measured again")

    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "measure_ruler", fail)
        assert evaluate.ruler_rows(folder, values) == first
        kept.write_text(kept.read_text().replace('"data_hash": "', '"data_hash": "0'))
        with pytest.raises(AssertionError, match="measured again"):
            evaluate.ruler_rows(folder, values)
    kept.write_text("{")
    assert evaluate.ruler_rows(folder, values) == first
