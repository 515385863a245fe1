"""What is in the event file, read as TensorBoard reads it."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import plugin_data_pb2

from keras_gan import callbacks, data, experiment
from keras_gan.summaries import Summaries
from tests.conformance.cases import CASES

RECIPE = dataclasses.replace(
    CASES["maxout_mlp-non_saturating"], steps=40, log_every=4, sample_every=16, checkpoint_every=20
)


@pytest.fixture(scope="module")
def run(examples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    result = experiment.train(RECIPE, folder / "run", examples, folder / "exports", profile=True)
    return folder / "run", result


def read(folder):
    """Return {tag: [(step, value)]} of the folder's one event file, and each tag's plugin."""
    (file,) = folder.glob("events*")
    points, plugins = {}, {}
    for event in EventFileLoader(str(file)).Load():
        for value in event.summary.value:
            points.setdefault(value.tag, []).append((event.step, value))
            plugins.setdefault(value.tag, value.metadata.plugin_data)
    return points, plugins


def test_a_run_writes_one_file_of_everything(run):
    points, plugins = read(run[0] / "tensorboard")
    kinds = {tag: data.plugin_name for tag, data in plugins.items()}
    every = [step for step, _ in points["d_loss"]]
    assert every == list(range(4, 44, 4))
    for tag in ("D(x)", "optimizers/g_learning_rate", "speed/waiting_for_input"):
        assert [step for step, _ in points[tag]] == every
        assert kinds[tag] == "scalars"
    for tag in ("held_out/d_loss", "gradients/generator", "logits/real"):
        assert [step for step, _ in points[tag]] == [0, 20, 40]
    assert kinds["logits/generated"] == "histograms"
    # The same noise at the start, then after 4, 8, 16, ... steps, and at the end.
    assert [step for step, _ in points["samples"]] == [0, 4, 8, 16, 32, 40]
    for tag in ("fresh_samples", "real_beside_generated", "interpolations"):
        assert [step for step, _ in points[tag]] == [16, 32]
        assert kinds[tag] == "images"
    assert kinds["__run_graph__"] == "graphs"
    assert (run[0] / "samples" / "step-0000000.png").is_file()


def test_pictures_are_of_the_size_that_they_say(run):
    points, _ = read(run[0] / "tensorboard")
    side = 8 * 9 - 1
    sizes = {
        "samples": (side, side),
        "fresh_samples": (side, side),
        "real_beside_generated": (2 * side + 6, side),
        "nearest_training_images": (side, 2 * 9 - 1),
        "interpolations": (8 * 9 - 1, 5 * 9 - 1),
    }
    for tag, size in sizes.items():
        width, height, png = tf.make_ndarray(points[tag][-1][1].tensor)
        assert (int(width), int(height)) == size, tag
        assert tf.io.decode_png(png).shape[:2] == size[::-1]
    described = points["nearest_training_images"][0][1].metadata.summary_description
    assert described.endswith("the nearest of 240 training images.")


def test_settings_are_a_trial_of_their_own(run):
    _, plugins = read(run[0] / "tensorboard")
    content = plugin_data_pb2.HParamsPluginData.FromString(
        plugins["_hparams_/session_start_info"].content
    )
    values = content.session_start_info.hparams
    assert values["d_optimizer.learning_rate"].number_value == RECIPE.d_optimizer.learning_rate
    assert values["network.generator_units"].string_value == "[16]" or values[
        "network.generator_units"
    ].string_value.startswith("[")
    assert values["loss"].string_value == "non_saturating"


def test_a_trace_is_of_some_steps(run):
    assert list((run[0] / "tensorboard" / "plugins" / "profile").glob("*/*.xplane.pb"))


def test_memory_is_of_this_process():
    held = callbacks.peak_memory()["peak_memory_gib"]
    assert 0.1 < held < 64
    more = np.ones(2**27, np.uint8)  # 1/8 GiB
    assert more.sum() == 2**27


def test_nothing_is_written_before_there_is_something(tmp_path):
    summaries = Summaries(tmp_path / "logs")
    summaries.close()
    assert not (tmp_path / "logs").exists()
    summaries.scalars(3, {"a": 1.5})
    assert summaries.latest == {"a": (3, 1.5)}
    summaries.close()
    summaries.scalars(4, {"a": 2.5})
    assert len(list((tmp_path / "logs").glob("events*"))) == 2


def test_waiting_is_counted_where_data_come_late():
    waiting = data.Waiting()

    def late(number):
        if number >= 3:
            import time

            time.sleep(0.05)
        return number

    numbers = tf.data.Dataset.range(5).map(
        lambda n: tf.ensure_shape(tf.numpy_function(late, [n], tf.int64), ())
    )
    iterator = iter(waiting.watch(numbers))
    seen = [int(next(iterator)) for _ in range(3)]
    early = waiting.seconds
    seen += [int(next(iterator)) for _ in range(2)]
    assert seen == [0, 1, 2, 3, 4]
    assert waiting.seconds - early >= 0.1
