"""Other file systems, by one that Beam finds as it finds gs:// and s3://."""

import io
import os
import shutil

import numpy as np
import pytest
from apache_beam.io import filesystem
from apache_beam.io.localfilesystem import LocalFileSystem
from PIL import Image

from keras_gan import records
from keras_gan.interfaces import UserError
from pipelines import preprocess, sources, storage
from pipelines.options import Options

ROOT = {}


class OtherFileSystem(LocalFileSystem):
    """fake://NAME/PATH, kept in a folder of this machine."""

    @classmethod
    def scheme(cls):
        return "fake"

    def _here(self, path):
        return path.replace("fake://", ROOT["path"] + "/", 1)

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        return tuple(path.rpartition("/")[::2])

    def match(self, patterns, limits=None):
        results = super().match([self._here(pattern) for pattern in patterns])
        for result in results:
            for each in result.metadata_list:
                each.path = each.path.replace(ROOT["path"] + "/", "fake://", 1)
        return results

    def create(self, path, *args, **kwargs):
        os.makedirs(os.path.dirname(self._here(path)), exist_ok=True)  # noqa: PTH103, PTH120
        return super().create(self._here(path), *args, **kwargs)

    def open(self, path, *args, **kwargs):
        return super().open(self._here(path), *args, **kwargs)

    def exists(self, path):
        return super().exists(self._here(path))

    def delete(self, paths):
        for path in map(self._here, paths):
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)  # noqa: PTH107, PTH112


@pytest.fixture(autouse=True)
def root(tmp_path):
    ROOT["path"] = str(tmp_path / "bucket")
    return tmp_path / "bucket"


def test_it_is_found_as_beams_own_are():
    assert issubclass(OtherFileSystem, filesystem.FileSystem)
    with storage.create("fake://a/b.txt") as file:
        file.write(b"hello")
    assert storage.exists("fake://a/b.txt")
    assert storage.read("fake://a/b.txt") == b"hello"
    assert [entry[0] for entry in storage.match("fake://a/*")] == ["fake://a/b.txt"]
    storage.delete("fake://a/b.txt")
    assert not storage.exists("fake://a/b.txt")


@pytest.mark.parametrize("place", ["fake://faces", "fake://faces/**.png"])
def test_images_there_are_read(root, place):
    rng = np.random.default_rng(0)
    for name in ("ann/1.png", "ann/2.png", "bob/3.png"):
        path = root / "faces" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(path)
    source = sources.open_source(Options(images=place, size=16))
    assert source.splits == {"train": 3}
    assert source.classes == ("ann", "bob")


def test_arrays_there_are_read_and_shards_written_there(root, tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    content = io.BytesIO()
    np.savez(content, images=rows)
    with storage.create("fake://in/a.npz") as file:
        file.write(content.getvalue())
    there = preprocess.preprocess(Options(arrays="fake://in/a.npz"), "fake://out/data")
    np.savez(tmp_path / "a.npz", images=rows)
    here = preprocess.preprocess(Options(arrays=str(tmp_path / "a.npz")), tmp_path / "data")
    assert there.data_hash == here.data_hash
    info = records.DatasetInfo.read(root / "out" / "data")  # as copied from there
    info.verify(root / "out" / "data")
    assert not (root / "out" / "data" / "work").exists()
    with pytest.raises(UserError, match="a folder with nothing in it"):
        preprocess.preprocess(Options(arrays="fake://in/a.npz"), "fake://out/data")


def test_a_failed_run_leaves_nothing_there(root):
    with storage.create("fake://in/a.png") as file:
        file.write(b"no image")
    with pytest.raises(UserError, match="Expected some images to train on"):
        preprocess.preprocess(Options(images="fake://in", size=8), "fake://out/data")
    assert not storage.exists("fake://out/data")


def test_a_missing_extra_is_named():
    with pytest.raises(UserError, match=r"pip install 'apache-beam\[gcp\]'"):
        storage.exists("gs://bucket/x")
