"""The same bytes where work is shipped to other processes, and no hang where it cannot be."""

import contextlib
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_gan.interfaces import UserError
from pipelines import runners
from tests.commands import Command, run_module
from tests.conftest import ROOT

PORTABLE = pathlib.Path(__file__).parent / "portable"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def images(tmp_path):
    """Twenty thousand images with a few duplicates, twenty blocks of one MiB."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (20000, 32, 32), np.uint8)
    rows[15000:15010] = rows[:10]
    np.savez(tmp_path / "images.npz", images=rows, labels=np.arange(20000) % 10)
    return tmp_path / "images.npz"


def preprocess(images, out, *flags, start=run_module, **options):
    command = ["pipelines.preprocess", f"--arrays={images}", f"--out={out}", "--shard_mb=1"]
    return start(*command, *flags, cwd=images.parent, **options)


def content(folder):
    """Every byte but the description's, whose fingerprint and times are of the file."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "dataset_info.json"
    }


@pytest.fixture
def expected(images, tmp_path):
    done = preprocess(images, tmp_path / "here")
    assert done.returncode == 0, done.stderr
    found = content(tmp_path / "here")
    assert len(found["duplicates.tsv"].splitlines()) == 11
    assert len([name for name in found if name.endswith(".tfrecord")]) == 40
    return found


@contextlib.contextmanager
def services(folder, boot=PORTABLE / "boot.py"):
    """A job service and a worker pool, each with what it starts in a process group."""
    folder.mkdir()
    script = folder / "boot"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {boot} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    job, pool = free_port(), free_port()
    log = (folder / "log").open("w")
    environment = {**os.environ, "STAGE_ROOT": str(folder / "stage")}
    environment.pop("PYTHONPATH", None)
    worker_pool = "apache_beam.runners.worker.worker_pool_main"
    commands = (
        [str(PORTABLE / "job_service.py"), f"--job_port={job}", f"--staging_dir={folder / 'jobs'}"],
        ["-m", worker_pool, f"--service_port={pool}", f"--container_executable={script}"],
    )
    started = [
        subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=environment, stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )
        for command in commands
    ]  # fmt: skip
    try:
        yield [
            *("--runner=PortableRunner", f"--job_endpoint=localhost:{job}"),
            *("--environment_type=EXTERNAL", f"--environment_config=localhost:{pool}"),
            *("--direct_num_workers=4", f"--setup_file={ROOT / 'setup.py'}"),
        ]
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def workers(log):
    """Find the worker processes that a pool's log tells of."""
    found = set()
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"sdk_worker_main" in path.read_bytes():
                place = os.readlink(path.parent / "cwd")  # noqa: PTH115
                if place.startswith(str(log.parent)):
                    found.add(int(path.parent.name))
    return found


def test_four_worker_processes_give_the_same_bytes_from_the_staged_package(
    images, expected, tmp_path
):
    with services(tmp_path / "services") as flags:
        done = preprocess(images, tmp_path / "there", *flags, timeout=200)
    assert done.returncode == 0, done.stderr
    assert content(tmp_path / "there") == expected
    log = (tmp_path / "services" / "log").read_text()
    used = [line for line in log.splitlines() if line.startswith("worker uses")]
    assert len(used) == 4
    assert all(str(tmp_path / "services" / "stage") in line for line in used)


def test_a_worker_killed_half_way_costs_time_but_no_byte(images, expected, tmp_path):
    with (
        services(tmp_path / "services") as flags,
        preprocess(images, tmp_path / "there", *flags, start=Command) as process,
    ):
        deadline = time.monotonic() + 120
        victim = None
        while victim is None and process.poll() is None and time.monotonic() < deadline:
            if list(tmp_path.glob(".there.*/work/read-*")):
                victim = min(workers(tmp_path / "services" / "log"))
                os.kill(victim, signal.SIGKILL)
            time.sleep(0.002)
        assert victim, "no worker was seen at work"
        _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert "Workers were lost (a worker process ended)" in errors
    assert content(tmp_path / "there") == expected


def test_workers_that_cannot_start_are_an_error_within_a_minute(images, tmp_path):
    dead = tmp_path / "dead.py"
    dead.write_text("raise SystemExit(3)")
    with services(tmp_path / "services", boot=dead) as flags:
        start = time.monotonic()
        done = preprocess(images, tmp_path / "out", *flags, "--patience=10", timeout=100)
    assert time.monotonic() - start < 60
    assert done.returncode == 2, done.stderr
    assert "no sign that any of them started for 10 seconds" in done.stderr
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out.*"))


@pytest.mark.parametrize("flag", ["job_endpoint", "environment_config"])
def test_nobody_at_an_address_is_an_error(images, tmp_path, flag, monkeypatch):
    monkeypatch.setattr(runners, "SERVICE_SECONDS", 1)
    values = {"environment_type": "EXTERNAL", flag: f"localhost:{free_port()}"}
    with pytest.raises(UserError, match=f"answer at --{flag}"):
        runners._expect_services(values)


def test_dask_workers_give_the_same_bytes(images, expected, tmp_path):
    distributed = pytest.importorskip("distributed")
    environment = {"PYTHONPATH": str(ROOT)}
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
            local_directory=str(tmp_path / "dask"), env=environment,
        ) as cluster
    ):  # fmt: skip
        flags = ["--runner=DaskRunner", f"--dask_client_address={cluster.scheduler_address}"]
        done = preprocess(images, tmp_path / "there", *flags, timeout=200)
    assert done.returncode == 0, done.stderr
    assert content(tmp_path / "there") == expected


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--runner=PrismRunner"], "downloads a program"),
        (["--runner=PortableRunner"], "Try --runner=PortableRunner --job_endpoint"),
        (["--runner=FlinkRunner"], "downloads a program"),
        (["--runner=flink"], "downloads a program"),
        (["--runner=apache_beam.runners.portability.prism_runner.PrismRunner"], "downloads"),
        (["--direct_num_workers=abc"], "Beam's flags as Beam has them.*invalid int value"),
        (["--runer=FlinkRunner"], "Did you mean --runner"),
        (["--imags=x"], "Did you mean --images"),
    ],
)
def test_flags_that_cannot_work_are_refused(flags, message):
    with pytest.raises(UserError, match=message):
        runners.expect_possible(flags, ["images"])


def test_a_runner_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UserError, match="received 'SomeRunner'"):
        runners.run(lambda root: None, str(tmp_path), 1, ["--runner=SomeRunner"])


def test_beams_own_flags_pass():
    runners.expect_possible(["--runner=DirectRunner", "--direct_num_workers=3"])
    runners.expect_possible(["--runner=FlinkRunner", "--job_endpoint=localhost:1"])
    runners.expect_possible(["--runner=DataflowRunner", "--project=x", "--region=y"])
