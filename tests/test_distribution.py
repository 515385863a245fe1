"""Several replicas of this machine, and several processes: the same game as on one device.

What needs logical devices or workers runs in processes of its own: TensorFlow fixes its devices
when it starts.
"""

import json
import os
import signal
import socket
import time

import numpy as np
import pytest
import tensorflow as tf

from keras_gan import data, distribution
from keras_gan.interfaces import UserError
from tests.commands import Command
from tests.conftest import ROOT

SETTINGS = [
    "network.generator_units=24",
    "network.discriminator_units=16",
    "network.input_dropout=0",
    "network.hidden_dropout=0",
    "d_optimizer.name=momentum",
    "d_optimizer.learning_rate=0.05",
    "g_optimizer.name=momentum",
    "g_optimizer.learning_rate=0.05",
    "batch_size=16",
    "log_every=10",
    "sample_every=1000",
    "checkpoint_every=20",
]


def command(examples, workdir, *arguments, settings=()):
    return [
        *("keras_gan.train", "--recipe=mnist", f"--examples={examples}"),
        *(f"--workdir={workdir}", f"--export_dir={workdir}_export"),
        *(f"--set={setting}" for setting in [*SETTINGS, *settings]),
        *arguments,
    ]


def environment(workers=(), index=0):
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_CONFIG": ""}
    if workers:
        task = {"type": "worker", "index": index}
        variables["TF_CONFIG"] = json.dumps({"cluster": {"worker": list(workers)}, "task": task})
    return variables


def start(*arguments, workers=(), index=0, **options):
    return Command(*command(*arguments, **options), env=environment(workers, index), cwd=ROOT)


def train(*arguments, **options):
    process = start(*arguments, **options)
    printed = said(process, 240)
    assert process.returncode == 0, printed
    return printed


def said(process, seconds):
    """Wait for its end; return all that it said."""
    with process:
        return "".join(process.communicate(seconds))


def two_workers():
    sockets = [socket.socket() for _ in range(2)]
    for one in sockets:
        one.bind(("localhost", 0))
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


def state(workdir, step):
    reader = tf.train.load_checkpoint(str(workdir / f"checkpoints/step-{step:07d}" / "state"))
    names = sorted(set(reader.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"})
    return {name: np.asarray(reader.get_tensor(name)) for name in names}


def largest_difference(left, right):
    assert left.keys() == right.keys()
    return max(
        np.abs(left[name].astype(np.float64) - right[name].astype(np.float64)).max()
        for name in left
        if "random" not in name and "seed" not in name
    )


@pytest.fixture(scope="module")
def one_device(examples, tmp_path_factory):
    """A run of one device; the conformance suite has the simultaneous update on two replicas."""
    workdir = tmp_path_factory.mktemp("one") / "run"
    settings = ["update=alternating", "d_steps=3"]
    train(examples, workdir, "--steps=100", "--strategy=one", settings=settings)
    return workdir, settings


def test_two_replicas_play_the_game_of_one(one_device, examples, tmp_path):
    alone, settings = one_device
    printed = train(
        examples,
        tmp_path / "two",
        *("--steps=100", "--strategy=mirrored", "--replicas=2"),
        settings=settings,
    )
    assert "Training on 2 replicas; here on CPU:0, CPU:1" in printed
    assert largest_difference(state(alone, 100), state(tmp_path / "two", 100)) < 1e-5
    assert largest_difference(state(alone, 80), state(alone, 100)) > 1e-3  # it moves


def test_two_workers_play_the_game_of_one_and_one_lost_loses_nothing(
    one_device, examples, tmp_path
):
    alone, settings = one_device

    def pair(steps):
        workers = two_workers()
        return [
            start(
                *(examples, tmp_path / "both", f"--steps={steps}"),
                workers=workers,
                index=index,
                settings=settings,
            )
            for index in range(2)
        ]

    chief, other = pair(100)
    checkpoints = tmp_path / "both" / "checkpoints"
    deadline = time.monotonic() + 120
    while not (checkpoints / "step-0000020").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    other.kill()
    printed = said(chief, 120)
    said(other, 120)
    assert chief.returncode == 75, printed
    assert "Another worker was lost" in printed
    reached = max(int(path.name[5:]) for path in checkpoints.glob("step-*"))
    assert 20 <= reached < 100

    chief, other = pair(100)
    texts = [said(process, 240) for process in (chief, other)]
    assert (chief.returncode, other.returncode) == (0, 0), texts
    assert f"Resuming {tmp_path / 'both'} at step {reached} of 100" in texts[0]
    assert "Model:" in texts[0]
    assert "Model:" not in texts[1]
    assert "the chief" not in texts[1].split("Waiting for the chief")[0]
    assert largest_difference(state(alone, 100), state(tmp_path / "both", 100)) < 1e-5
    assert {path.name for path in tmp_path.iterdir()} == {"both", "both_export"}


def test_a_preempted_worker_stops_both_at_one_checkpoint(examples, tmp_path):
    workers = two_workers()
    pair = [
        start(examples, tmp_path / "w", "--steps=5000", workers=workers, index=index)
        for index in range(2)
    ]
    deadline = time.monotonic() + 120
    while not (tmp_path / "w/checkpoints/step-0000020").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    pair[1].send_signal(signal.SIGTERM)
    texts = [said(process, 120) for process in pair]
    assert [process.returncode for process in pair] == [75, 75], texts
    assert "Asked to stop (SIGTERM). Saved as" in texts[0]


def contexts(replicas, workers):
    return [tf.distribute.InputContext(workers, index, replicas) for index in range(workers)]


@pytest.mark.parametrize(("replicas", "workers"), [(2, 1), (2, 2), (4, 2), (4, 4)])
def test_replicas_share_every_batch_without_overlap_or_loss(examples, replicas, workers):
    options = {"batch_size": 8, "d_steps": 3, "seed": 5, "first_step": 4}
    whole = data.train_dataset(examples, **options).take(5)
    feeds = [
        iter(data.train_dataset(examples, **options, context=context))
        for context in contexts(replicas, workers)
    ]
    for batch in whole:
        parts = [next(feed) for feed in feeds for _ in range(replicas // workers)]
        assert all(part.shape == (3 * 8 // replicas, 8, 8, 1) for part in parts)
        # Step by step of the three: the parts side by side are the batch.
        steps = np.concatenate([part.numpy().reshape(3, -1, 8, 8, 1) for part in parts], axis=1)
        np.testing.assert_array_equal(steps.reshape(batch.shape), batch)


def test_a_batch_that_replicas_cannot_share_is_refused(examples):
    context = tf.distribute.InputContext(1, 0, 3)
    with pytest.raises(UserError, match=r"3 replicas can share.*batch_size=8. Try 6"):
        data.train_dataset(examples, batch_size=8, context=context)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("parameter_server", {}, "Keras 3 can train with; received parameter_server.*18624"),
        ("many", {}, "of auto, one, mirrored.*received 'many'"),
        ("multi_worker", {}, "TF_CONFIG to list several workers.*docs/training.md"),
        ("one", {"tpu": "foo"}, "Expected --tpu with --strategy=tpu; received --strategy=one"),
        ("tpu", {"tpu": "no-such-tpu"}, "Expected a TPU.*tpu='no-such-tpu'"),
        (
            "one",
            {"replicas": 2},
            "--replicas with --strategy=mirrored; received --strategy=one. Try",
        ),
    ],
)
def test_what_cannot_train_is_refused(monkeypatch, name, options, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UserError, match=message):
        distribution.make_strategy(name, **options)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a", "b:1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_a_wrong_tf_config_is_shown_a_right_one(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=r'Expected TF_CONFIG like \{"cluster"'):
        distribution.make_strategy("auto")


def test_one_worker_alone_trains_on_one_device(monkeypatch):
    config = {"cluster": {"worker": ["localhost:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    strategy = distribution.make_strategy("auto")
    assert strategy.num_replicas_in_sync == 1
    assert distribution.is_chief(strategy)
    assert distribution.sum_over_workers(strategy, 7) == 7
    assert distribution.describe(strategy) == "Training on one CPU"


ZEN_3 = "processor\t: 0\nflags\t\t: fpu sse4_2 avx avx2 fma\nbugs\t\t: none\n"
ZEN_4 = ZEN_3.replace("avx2", "avx2 avx512f avx512_bf16")


@pytest.mark.parametrize(
    ("cpuinfo", "compute_dtype", "warns"),
    [
        (ZEN_3, "float32", False),
        (ZEN_3, "bfloat16", True),
        (ZEN_4, "bfloat16", False),
        (ZEN_4, "float16", True),
        ("processor\t: 0\nFeatures\t: fp asimd\n", "bfloat16", False),  # not x86: not known
        (None, "bfloat16", False),
    ],
)
def test_a_precision_that_is_only_emulated_is_named(cpuinfo, compute_dtype, warns, monkeypatch):
    def read_text(path):
        assert str(path) == "/proc/cpuinfo"
        if cpuinfo is None:
            raise FileNotFoundError
        return cpuinfo

    monkeypatch.setattr(distribution.pathlib.Path, "read_text", read_text)
    found = distribution.emulated(compute_dtype)
    assert bool(found) is warns
    assert not warns or f"only emulates {compute_dtype}" in found
