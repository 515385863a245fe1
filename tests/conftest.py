"""Shared fixtures: small data folders in the real format, and this machine's real data sets."""

import contextlib
import dataclasses
import importlib.util
import os
import pathlib
import shutil
import signal
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as commands do: both make the same bits

import numpy as np
import pytest
import xdist

from keras_gan import files, records

ROOT = pathlib.Path(__file__).resolve().parent.parent
PREPARE = ROOT.parent / "shared" / "data" / "prepare.py"


@contextlib.contextmanager
def started(command, **options):
    """Start a program that does not outlive the block, however that is left."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="session")
def two_replicas():
    """The CPU as two devices; one strategy for all tests, as TensorFlow numbers its collectives."""
    from keras_gan import distribution

    return distribution.make_strategy("mirrored", replicas=2)


def pytest_sessionstart(session):
    """Cut the CPU in two before TensorFlow starts, for `two_replicas`; let Ctrl-C be Ctrl-C."""
    # Whoever starts the tests in a shell's background has them, and all that they start, ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if xdist.is_xdist_controller(session):
        return  # which runs no test, and whose import of TensorFlow the others would wait for

    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(autouse=True)
def quick_exports(request, monkeypatch):
    """Leave out the fresh process that checks an export, but for tests marked `whole_export`.

    It takes two seconds, and most tests of training do not look at its export.
    """
    if "whole_export" not in request.keywords:
        from keras_gan import export

        monkeypatch.setattr(export, "_compare", lambda *arguments: None)


@pytest.fixture
def without_exports(monkeypatch, tmp_path):
    """Leave out the export at the end of a training run, which takes seconds."""
    from keras_gan import trained

    monkeypatch.setattr(trained, "export_once", lambda *arguments: tmp_path)


def write_examples(
    folder: pathlib.Path, counts: dict[str, int], shape=(8, 8, 1), seed=0, parameters=None
):
    """Write a finished data folder of random images with the pipeline itself."""
    from pipelines import preprocess
    from pipelines.options import Options

    rng = np.random.default_rng(seed)
    arrays = {}
    for split, count in counts.items():
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, *shape), np.uint8)
        arrays[f"{split}_labels"] = np.arange(count) % 10
    file = folder.with_name(f"{folder.name}.npz")
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **{name.replace("validation", "val"): a for name, a in arrays.items()})
    info = preprocess.preprocess(Options(arrays=str(file), validation="none"), folder)
    described = dataclasses.replace(
        info, dataset="random/1.0.0", source={"kind": "random"}, parameters=parameters or {}
    )
    (folder / records.INFO_FILE).write_text(described.to_json())
    return folder


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    """240 random 8x8 grey training images, 40 for validation, 40 for testing."""
    counts = {"train": 240, "validation": 40, "test": 40}
    return write_examples(tmp_path_factory.mktemp("data") / "examples", counts)


def made_once(tmp_path_factory, name, make):
    """Have one of the parallel test processes make a folder; the others wait and share it."""
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / name
    folder.mkdir(exist_ok=True)
    with files.held(folder, wait=True):
        if not (folder / "made").exists():
            make(folder)
            (folder / "made").touch()
    return folder


@pytest.fixture(scope="session")
def mnist_examples(tmp_path_factory):
    """The embedded MNIST, built by TFDS and preprocessed by the real pipeline."""
    from pipelines import preprocess
    from pipelines.options import Options

    def make(root):
        (root / "tfds").mkdir()
        options = Options("mnist", "last:10000", data_dir=str(root / "tfds"))
        preprocess.ensure(options, root / "data")

    (info,) = made_once(tmp_path_factory, "mnist", make).glob(f"data/*/{records.INFO_FILE}")
    return info.parent


@pytest.fixture(scope="session")
def real_cifar10(tmp_path_factory):
    """Real CIFAR-10: the archive in `manual`, what TFDS made of it in `tfds`, and `examples`."""
    from pipelines import preprocess
    from pipelines.options import Options

    if not PREPARE.is_file():
        pytest.skip("needs ../shared/data/prepare.py, which only the project's own machines have")
    if shutil.which("npm") is None:
        pytest.skip("needs npm, with which prepare.py fetches CIFAR-10")

    def make(out):
        spec = importlib.util.spec_from_file_location("prepare", PREPARE)
        prepare = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(prepare)
        prepare.cifar_archive(out / "manual" / "cifar-10-binary.tar.gz")
        (out / "tfds").mkdir()
        folders = [str(out / name) for name in ("tfds", "manual")]
        preprocess.preprocess(Options("cifar10", "last:10000", 0, *folders), out / "examples")

    return made_once(tmp_path_factory, "real", make)


@pytest.fixture(scope="session")
def cifar10_prepared(real_cifar10):
    """What TFDS prepared of real CIFAR-10; in a folder of its own, as the archive is not theirs."""
    (folder,) = (real_cifar10 / "tfds").glob("own-*")
    return folder


@pytest.fixture(scope="session")
def cifar10_examples(tmp_path_factory, cifar10_prepared):
    """Real CIFAR-10, preprocessed by the real pipeline from TFDS's prepared copy."""
    from pipelines import preprocess
    from pipelines.options import Options

    def make(root):
        options = Options("cifar10", "last:10000", data_dir=str(cifar10_prepared))
        preprocess.ensure(options, root / "data")

    (info,) = made_once(tmp_path_factory, "cifar10", make).glob(f"data/*/{records.INFO_FILE}")
    return info.parent


@pytest.fixture(scope="session")
def real_faces(tmp_path_factory):
    """Four hundred real photographs of forty people, as a folder of images."""
    if not PREPARE.is_file():
        pytest.skip("needs ../shared/data/prepare.py, which only the project's own machines have")
    out = tmp_path_factory.mktemp("faces")
    command = [sys.executable, str(PREPARE), "--out", str(out), "faces"]
    subprocess.run(command, check=True, capture_output=True)
    return out / "faces"
