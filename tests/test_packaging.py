"""What is installed, and what the lock file holds."""

import pathlib
import re
import subprocess
import sys
import zipfile

import keras_gan

ROOT = pathlib.Path(__file__).resolve().parent.parent


def test_a_wheel_built_from_another_folder_has_its_data_files(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--quiet", "--wheel-dir", str(tmp_path)], cwd=tmp_path, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in ("train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "NOTICE"):
        assert f"pipelines/originals/mnist/{name}" in names
    assert {"keras_gan/gan.py", "keras_gan/py.typed", "pipelines/preprocess.py"} <= names
    assert {"keras_gan/templates/run.html", "keras_gan/templates/report.css"} <= names
    assert not [name for name in names if name.startswith("tests/")]
    entry_points = next(name for name in names if name.endswith("entry_points.txt"))
    text = zipfile.ZipFile(wheel).read(entry_points).decode()
    assert "keras-gan-train = keras_gan.train:run" in text


def test_lock_file_pins_every_requirement_with_hashes_and_names_no_host():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pinned = re.findall(r"^([a-z0-9._-]+)==(\S+)", lock, re.MULTILINE)
    assert len(pinned) > 50
    assert lock.count("--hash=sha256:") >= len(pinned)
    required = re.findall(r'^ +"([a-z-]+)>=', (ROOT / "setup.py").read_text(), re.MULTILINE)
    names = {name for name, _ in pinned}
    assert set(required) <= names


def test_public_names_resolve_and_an_unknown_one_does_not():
    for name in keras_gan.__all__:
        assert getattr(keras_gan, name) is not None
    assert set(dir(keras_gan)) == set(keras_gan.__all__)
    assert not hasattr(keras_gan, "nonsense")
