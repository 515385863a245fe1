"""What is read back of a run's event files."""

import subprocess
import sys

import numpy as np
import pytest

from keras_gan import history
from tests.events import write_events


def losses(*steps, value=0.0):
    return [(step, "d_loss", value + step) for step in steps]


def test_what_tensorflow_writes_is_read_back(tmp_path):
    import tensorflow as tf

    pixels = np.arange(2 * 3, dtype=np.uint8).reshape(1, 2, 3, 1)
    writer = tf.summary.create_file_writer(str(tmp_path))
    with writer.as_default(step=7):
        tf.summary.scalar("d_loss", 1.25)
        tf.summary.histogram("logits/real", [0.0, 1.0, 3.0, 4.0, 4.0], buckets=2)
        tf.summary.image("samples", pixels)
        tf.summary.text("warnings", "Too hot. Try <ice>.")
    writer.close()

    found = history.read(tmp_path)
    assert found.scalars["d_loss"].steps.tolist() == [7]
    assert found.scalars["d_loss"].values.tolist() == [1.25]
    ((step, histogram),) = found.histograms["logits/real"]
    assert step == 7
    assert histogram.edges.tolist() == [0.0, 2.0, 4.0]
    assert histogram.counts.tolist() == [2.0, 3.0]
    ((_, picture),) = found.images["samples"]
    assert (picture.width, picture.height) == (3, 2)
    np.testing.assert_array_equal(tf.io.decode_png(picture.png), pixels[0])
    assert found.texts == {"warnings": [(7, "Too hot. Try <ice>.")]}
    assert found.last_step == 7


def test_what_was_trained_twice_counts_as_it_was_written_last(tmp_path):
    write_events(tmp_path, losses(100, 200, 300, 400, 500), start=100, pid=1)
    resumed = [*losses(300, 400, value=0.5), (300, "warnings", "new")]
    write_events(tmp_path, resumed, start=200, pid=2)
    curve = history.read(tmp_path).scalars["d_loss"]
    assert curve.steps.tolist() == [100, 200, 300, 400]
    assert curve.values.tolist() == [100, 200, 300.5, 400.5]


def test_a_later_process_makes_every_tag_void_after_its_first_step(tmp_path):
    other = [(200, "parzen/validation", 1.0), (350, "parzen/validation", 2.0)]
    other += [(300, "warnings", "at"), (350, "warnings", "after")]
    write_events(tmp_path, losses(100, 200, 300, 400), start=100, pid=9, number=0)
    write_events(tmp_path, other, start=101, pid=9, number=1)
    write_events(tmp_path, losses(300), start=200, pid=3)
    found = history.read(tmp_path)
    assert found.scalars["parzen/validation"].steps.tolist() == [200]
    assert found.texts == {"warnings": [(300, "at")]}
    assert found.last_step == 300


def test_a_later_process_in_which_d_rests_makes_void_too(tmp_path):
    write_events(tmp_path, losses(100, 200, 300), start=100, pid=1)
    write_events(tmp_path, [(200, "g_loss", 1.0)], start=200, pid=2)
    assert history.read(tmp_path).scalars["d_loss"].steps.tolist() == [100, 200]


def test_processes_of_one_name_are_told_apart(tmp_path):
    """In a container each process is number 1 of the same host."""
    write_events(tmp_path, losses(100, 200, 300), start=100, pid=1)
    write_events(tmp_path, [(300, "g_loss", 1.0)], start=101, pid=1, number=1)
    write_events(tmp_path, losses(200), start=200, pid=1)
    found = history.read(tmp_path)
    assert found.scalars["d_loss"].steps.tolist() == [100, 200]
    assert "g_loss" not in found.scalars


def test_the_order_is_that_of_writing_not_of_names(tmp_path):
    write_events(tmp_path, losses(100, 200, 300), start=99, host="b", pid=2)
    write_events(tmp_path, losses(200, value=0.5), start=1000, host="a", pid=1)
    curve = history.read(tmp_path).scalars["d_loss"]
    assert curve.values.tolist() == [100, 200.5]


def test_judging_an_earlier_checkpoint_makes_nothing_void(tmp_path):
    write_events(tmp_path, losses(100, 200, 300), start=100, pid=1)
    write_events(tmp_path, [(100, "parzen/log_likelihood", 5.0)], start=200, pid=2)
    found = history.read(tmp_path)
    assert found.scalars["d_loss"].steps.tolist() == [100, 200, 300]
    assert found.scalars["parzen/log_likelihood"].values.tolist() == [5.0]


def test_a_run_that_was_rolled_back_counts_as_it_was_written_last(tmp_path):
    events = [*losses(100, 200), *losses(100, value=0.5), (100, "warnings", "one")]
    write_events(tmp_path, [*events, (100, "warnings", "two")])
    found = history.read(tmp_path)
    assert found.scalars["d_loss"].values.tolist() == [100.5, 200]
    assert found.texts["warnings"] == [(100, "one"), (100, "two")]


@pytest.mark.parametrize("lost", [1, 9, 30])
def test_of_a_file_that_is_cut_short_what_is_whole_is_read(tmp_path, lost):
    path = write_events(tmp_path, losses(100, 200, 300))
    path.write_bytes(path.read_bytes()[:-lost])
    assert history.read(tmp_path).scalars["d_loss"].steps.tolist() == [100, 200]


def test_histograms_of_nothing_finite_are_left_out(tmp_path):
    good = np.array([[0.0, 1.0, 2.0], [1.0, 3.0, 4.0]])
    bad = np.array([[0.0, np.nan, 2.0]])
    events = [(1, "logits/real", bad), (2, "logits/real", good), (3, "logits/real", good[:0])]
    write_events(tmp_path, events)
    ((step, histogram),) = history.read(tmp_path).histograms["logits/real"]
    assert (step, histogram.edges.tolist()) == (2, [0.0, 1.0, 3.0])


def test_nothing_logged_is_an_empty_history(tmp_path):
    assert not history.read(tmp_path)
    assert not history.read(tmp_path / "none")
    assert history.read(tmp_path).last_step == 0


def test_tensorflow_is_not_needed(tmp_path):
    write_events(tmp_path, losses(100))
    program = (
        "import sys\n"
        "from keras_gan import history\n"
        f"assert history.read({str(tmp_path)!r}).last_step == 100\n"
        "print('tensorflow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
