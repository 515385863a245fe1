import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gan import building, callbacks, card, experiment, guards, loop, trained
from keras_gan.checkpoints import Checkpoints
from keras_gan.config import Optimizer
from keras_gan.gan import GAN
from keras_gan.interfaces import Preempted, Stopped, UserError
from tests.conformance.cases import CASES
from tests.conftest import ROOT, started

RECIPE = dataclasses.replace(CASES["no_average"], steps=12)
WILD = dataclasses.replace(
    RECIPE,
    steps=40,
    g_steps=1,
    loss="minimax",
    d_optimizer=Optimizer("momentum", 1e6),
    g_optimizer=Optimizer("momentum", 1e6),
    checkpoint_every=2,
)


@pytest.fixture
def said(monkeypatch):
    lines = []
    for module in (loop, guards):
        monkeypatch.setattr(
            module.logging, "warning", lambda text, *args: lines.append(text % args)
        )
    return lines


@pytest.fixture
def poison(monkeypatch):
    """Make the generator's first kernel not a number at a step, so many times."""

    def at(step, times):
        train_step, left = GAN.train_step, tf.Variable(times, dtype=tf.int64)

        def poisoned(self, data):
            logs = train_step(self, data)
            bad = tf.logical_and(tf.equal(self.step.value, step), left > 0)
            left.assign_sub(tf.cast(bad, tf.int64))
            kernel = self.generator.weights[0]
            kernel.assign(tf.where(bad, np.nan, kernel.value))
            return logs

        monkeypatch.setattr(GAN, "train_step", poisoned)

    return at


def folders(examples, tmp_path):
    return tmp_path / "w", examples, tmp_path / "e"


def test_the_first_bad_tensor_and_step_are_named(examples, tmp_path, poison, said):
    poison(7, 99)
    with pytest.raises(
        Stopped, match=r"nan in the generator's .*kernel first, at step 7. "
    ) as stop:
        experiment.train(RECIPE, *folders(examples, tmp_path))
    assert stop.value.exit_code == 3
    assert "Back at step 6." in str(stop.value)
    assert "or --on_nan=rollback" in str(stop.value)
    assert not card.versions(tmp_path / "e")
    gan, _ = trained.load_run(tmp_path / "w")
    assert int(gan.step.numpy()) == 6
    assert not guards.non_finite_weight(gan)


@pytest.mark.usefixtures("without_exports")
def test_rollback_goes_on_with_other_noise(examples, tmp_path, poison, said):
    plain = experiment.train(RECIPE, *folders(examples, tmp_path / "plain"))
    poison(7, 2)  # once when trained, once when played again
    result = experiment.train(RECIPE, *folders(examples, tmp_path), on_nan="rollback")
    assert result.steps == 12
    assert int(result.gan.retries.numpy()) == 1
    assert np.isfinite(result.gan.sample(4, seed=0)).all()
    assert not np.array_equal(result.gan.sample(4, seed=0), plain.gan.sample(4, seed=0))
    found = "Back at step 6. Going on from there with other noise (try 1)"
    assert any(found in line for line in said)
    # What was rolled back is remembered: a resumed run draws the same noise.
    again, _ = trained.load_run(tmp_path / "w")
    assert int(again.retries.numpy()) == 1


@pytest.mark.usefixtures("without_exports")
def test_what_does_not_come_again_is_said(examples, tmp_path, poison, said):
    poison(7, 1)
    experiment.train(RECIPE, *folders(examples, tmp_path), on_nan="rollback")
    found = "It did not happen again when played a second time. Back at step 6"
    assert any(found in line for line in said)


def test_rollback_gives_up_after_three_other_noises(examples, tmp_path, said, monkeypatch):
    noises, train_step = [], GAN.train_step

    def watched(self, data):
        tf.py_function(lambda retry: noises.append(int(retry)), [self.retries.value], [])
        return train_step(self, data)

    monkeypatch.setattr(GAN, "train_step", watched)
    with pytest.raises(Stopped, match=r"did not help 3 times. Try lower learning rates") as stop:
        experiment.train(WILD, *folders(examples, tmp_path), on_nan="rollback")
    assert "or --on_nan=rollback" not in str(stop.value)
    assert [line[-7:] for line in said if "try" in line] == ["(try 1)", "(try 2)", "(try 3)"]
    assert noises == sorted(noises)  # what is played again is what was played
    assert set(noises) == {0, 1, 2, 3}


def test_weights_whose_squares_overflow_are_finite():
    gan = building.build(RECIPE, (8, 8, 1), train_images=240)
    weight = gan.generator.weights[-1]
    weight.assign(np.full(weight.shape, -3e38, np.float32))
    assert not guards.non_finite_weight(gan)
    weight.assign(np.full(weight.shape, np.nan, np.float32))
    assert re.match("nan in the generator's", guards.non_finite_weight(gan))


def test_a_checkpoint_of_bad_weights_is_never_written(tmp_path):
    gan = building.build(RECIPE, (8, 8, 1), train_images=240)
    saved = Checkpoints(tmp_path, RECIPE, "")
    saving = guards.SaveCheckpoints(lambda: saved.save(gan), every=1)
    saving.set_model(gan)
    weight = gan.discriminator.weights[-1]
    weight.assign(np.full(weight.shape, np.inf, np.float32))
    with pytest.raises(guards.NonFinite, match=r"inf in the discriminator's .* by step 0"):
        saving.act()
    assert not list(tmp_path.iterdir())


def test_a_loss_is_seen_within_the_interval():
    stop = guards.StopOnNonFinite()
    stop.set_model(building.build(RECIPE, (8, 8, 1), train_images=240))
    stop.on_train_batch_end(3, {"d_loss": 1.0, "g_loss": np.float32(2)})
    with pytest.raises(guards.NonFinite, match="g_loss=inf by step 0"):
        stop.on_train_batch_end(4, {"d_loss": 1.0, "g_loss": np.float32(np.inf)})


class Full(keras.callbacks.Callback):
    def __init__(self, error):
        super().__init__()
        self.error, self.calls = error, 0

    def on_epoch_end(self, epoch, logs=None):
        self.calls += 1
        if self.error:
            raise self.error


class Fine(Full):
    pass


def shelter(*hooks, stop=False):
    room = guards.WhileThereIsRoom(list(hooks), stop=stop)
    room.set_model(building.build(RECIPE, (8, 8, 1), train_images=240))
    return room


def test_a_full_disk_is_said_once_and_the_others_go_on(said):
    full, fine = Full(OSError(28, "No space left on device")), Fine(None)
    room = shelter(full, fine)
    for epoch in range(3):
        room.on_epoch_end(epoch)
    assert (full.calls, fine.calls) == (3, 3)
    assert said == [
        "No room on the disk for what Full writes at step 0. What was written before is kept; "
        "going on"
    ]
    full.error = None
    room.on_epoch_end(3)
    full.error = OSError(28, "No space left on device")
    room.on_epoch_end(4)
    assert len(said) == 2  # it is news again


def test_a_full_disk_ends_the_run_if_it_shall():
    room = shelter(Full(OSError(28, "No space left on device")), stop=True)
    with pytest.raises(Stopped, match=r"what Full writes at step 0\. .*last good checkpoint"):
        room.on_epoch_end(0)


def test_other_errors_are_not_hidden():
    with pytest.raises(PermissionError):
        shelter(Full(PermissionError(13, "no"))).on_epoch_end(0)


def no_room(monkeypatch, *where):
    write = tf.train.Checkpoint.write

    def full(self, path, *args, **kwargs):
        if any(name in path for name in where):
            raise OSError(28, "No space left on device")
        return write(self, path, *args, **kwargs)

    monkeypatch.setattr(tf.train.Checkpoint, "write", full)


@pytest.mark.parametrize("where", ["step-0000000", "step-0000012"])
def test_a_full_disk_at_either_end_is_no_end(examples, tmp_path, monkeypatch, said, where):
    no_room(monkeypatch, where)
    result = experiment.train(RECIPE, *folders(examples, tmp_path))
    assert card.versions(tmp_path / "e") == [1]
    assert result.steps == 12


@pytest.mark.parametrize("where", ["step-0000000", "step-0000012"])
def test_a_full_disk_at_either_end_is_one_if_it_shall_be(examples, tmp_path, monkeypatch, where):
    no_room(monkeypatch, where)
    with pytest.raises(Stopped, match="Make room; the same command goes on"):
        experiment.train(RECIPE, *folders(examples, tmp_path), on_full_disk="stop")


def test_a_signal_on_a_full_disk_still_says_that_it_goes_on(examples, tmp_path, monkeypatch):
    no_room(monkeypatch, "step-0000006")
    train_batch_end = guards.StopOnSignal.on_train_batch_end

    def ask(self, batch, logs=None):
        self.asked = callbacks.current_step(self.model) >= 6
        train_batch_end(self, batch, logs)

    monkeypatch.setattr(guards.StopOnSignal, "on_train_batch_end", ask)
    with pytest.raises(Preempted, match=r"Not saved: .*No space left on device"):
        experiment.train(RECIPE, *folders(examples, tmp_path))


@pytest.mark.usefixtures("without_exports")
def test_a_full_disk_loses_no_training(examples, tmp_path, monkeypatch, said):
    no_room(monkeypatch, "step-0000004", "step-0000006")
    result = experiment.train(RECIPE, *folders(examples, tmp_path), keep=9)
    kept = sorted(path.name for path in (tmp_path / "w" / "checkpoints").iterdir())
    assert kept == [f"step-{step:07d}" for step in (0, 2, 8, 10, 12)]
    assert result.steps == 12
    assert sum("No room on the disk" in line for line in said) == 1


def test_a_signal_ends_between_two_steps_and_is_given_back():
    before = signal.getsignal(signal.SIGTERM)
    stop = guards.StopOnSignal(lambda asked: asked)
    with stop.listening():
        stop.on_train_batch_end(0)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
        assert signal.getsignal(signal.SIGTERM) is before  # a second one ends the process
        stop.set_params({"steps": 2})
        stop.on_train_batch_end(1)  # the interval's last: what is due then comes first
        with pytest.raises(Preempted, match="SIGTERM"):
            stop.on_train_batch_end(0)
        with pytest.raises(Preempted, match="SIGTERM"):
            stop.on_epoch_end(0)
    assert signal.getsignal(signal.SIGTERM) is before


def test_several_workers_end_when_one_of_them_is_asked():
    asked = {"others": 0}
    stop = guards.StopOnSignal(lambda own: own + asked["others"], several=True)
    stop.asked = True
    stop.on_train_batch_end(0)  # not before all of them can know
    assert stop.asked
    with pytest.raises(Preempted):
        stop.on_epoch_end(0)
    stop.asked = False
    stop.on_epoch_end(1)
    asked["others"] = 1
    with pytest.raises(Preempted):
        stop.on_epoch_end(2)


def test_a_run_in_a_thread_leaves_signals_alone():
    stop, before = guards.StopOnSignal(lambda asked: asked), signal.getsignal(signal.SIGTERM)

    def work():
        with stop.listening():
            assert signal.getsignal(signal.SIGTERM) is before

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_sigterm_saves_exits_with_75_and_the_same_command_goes_on(examples, tmp_path):
    settings = ["network.generator_units=16", "network.discriminator_units=8", "batch_size=8"]
    settings += ["log_every=5", "checkpoint_every=1000000"]
    command = [
        *(sys.executable, "-m", "keras_gan.train", "--recipe=mnist", f"--examples={examples}"),
        *(f"--workdir={tmp_path / 'w'}", f"--export_dir={tmp_path / 'e'}", "--deterministic"),
        *(f"--set={setting}" for setting in settings),
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": ROOT}
    with started([*command, "--steps=1000000"], **pipes) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not list((tmp_path / "w" / "tensorboard").glob("*")):
            time.sleep(0.05)
        time.sleep(8)  # it compiles, then it trains
        process.terminate()
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 75, printed
    assert "error: Asked to stop (SIGTERM). Saved as" in printed
    assert "Deterministic operations only" in printed
    reached = int(trained.load_run(tmp_path / "w")[0].step.numpy())
    assert reached > 0
    done = subprocess.run([*command, f"--steps={reached + 5}"], **pipes, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert f"Resuming {tmp_path / 'w'} at step {reached:,} of {reached + 5:,}" in done.stdout


def test_an_error_of_the_system_is_a_user_error_elsewhere():
    assert not issubclass(Stopped, UserError)
    assert (Stopped.exit_code, Preempted.exit_code) == (3, 75)


def test_progress_goes_back_with_the_model():
    progress = callbacks.Progress(0, 100, 10)
    gan = building.build(RECIPE, (8, 8, 1), train_images=240)
    progress.set_model(gan)
    progress.on_epoch_begin(0)
    progress.on_train_batch_end(19, {})
    gan.step.assign(20)
    progress.on_epoch_begin(1)
    progress.on_train_batch_end(4, {})
    assert progress._step == 25
    gan.step.assign(10)
    progress.on_epoch_begin(0)
    progress.on_train_batch_end(4, {})
    assert progress._step == 15
