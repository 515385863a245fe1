"""What is in the event file, read as TensorBoard reads it."""

import dataclasses
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import plugin_data_pb2

from keras_gan import callbacks, data, experiment, history, pictures, profiling
from keras_gan.summaries import Summaries
from tests.conformance.cases import CASES

RECIPE = dataclasses.replace(
    CASES["conditional_mlp"],
    conditional=False,
    steps=40,
    log_every=4,
    sample_every=16,
    checkpoint_every=20,
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
    assert values["network.generator_units"].string_value == "[16, 12]"
    assert values["loss"].string_value == "non_saturating"


def test_a_trace_is_of_some_steps(run):
    assert list((run[0] / "tensorboard" / "plugins" / "profile").glob("*/*.xplane.pb"))


def test_memory_is_of_this_process():
    """As the system itself tells it, in KiB."""
    peak = callbacks.peak_memory()["peak_memory_gib"]
    status = pathlib.Path("/proc/self/status")
    if not status.is_file():
        pytest.skip("needs /proc")
    told = int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 2**20
    assert peak == pytest.approx(told, rel=0.02)


def test_what_is_written_after_an_error_can_be_read(tmp_path, monkeypatch):
    """A record that was cut off ends a file for every reader."""
    summaries = Summaries(tmp_path)
    summaries.scalars(1, {"a": 1.0})
    with monkeypatch.context() as patched:
        patched.setattr(tf.summary, "scalar", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            summaries.scalars(2, {"a": 2.0})
    (torn,) = tmp_path.glob("events*")
    with torn.open("ab") as file:
        file.write(b"half a record")
    summaries.scalars(3, {"a": 3.0})
    summaries.close()
    assert history.read(tmp_path).scalars["a"].steps.tolist() == [1, 3]


def test_nothing_is_measured_where_clocks_may_not_be_read(monkeypatch):
    def refuse():
        raise tf.errors.FailedPreconditionError(None, None, "under determinism")

    monkeypatch.setattr(tf, "timestamp", refuse)
    waiting = data.Waiting()
    numbers = tf.data.Dataset.range(3)
    assert waiting.watch(numbers) is numbers
    assert not waiting.measures


def test_a_trace_that_was_not_made_is_said(tmp_path, caplog):
    trace = profiling.Trace(tmp_path)
    trace.on_epoch_begin(0)
    trace.on_train_batch_end(19)
    with caplog.at_level("WARNING", logger="absl"):
        trace.close()
    assert "No step was traced: the run has one interval" in caplog.text


def test_real_images_stand_beside_samples_of_their_labels(tmp_path):
    asked = []

    class Model:
        step, num_classes = tf.Variable(2), 3

        def sample(self, n, *, seed, labels=None):
            asked.append(labels)
            return np.zeros((n, 4, 4, 1), np.float32)

        def noise(self, n, *, seed):
            return np.zeros((n, 2), np.float32)

        def generate(self, z, labels=None):
            return np.zeros((len(z), 4, 4, 1), np.float32)

    labels = np.arange(10) % 3
    train = np.zeros((10, 4, 4, 1), np.float32)
    hook = pictures.Pictures(train, Summaries(tmp_path), every=1, labels=labels)
    hook.set_model(Model())
    hook.act()
    expected = (np.arange(2, 66) % 10) % 3
    assert any(one is not None and np.array_equal(one, expected) for one in asked)


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
