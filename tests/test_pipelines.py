import json
import pathlib
import shutil

import numpy as np
import pytest
import requests
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_gan import data, records
from keras_gan.interfaces import UserError
from pipelines import preprocess, sources, transforms
from pipelines.statistics import Moments

ORIGINALS = pathlib.Path(sources.__file__).parent / "originals" / "mnist"


class FakeSource:
    """Forty numbered images; every test split of the real kind."""

    name, image_shape, classes = "fake/1.0.0", (4, 4, 1), ("a", "b")
    splits = {"train": 30, "test": 10, "unlabelled": 5}  # noqa: RUF012

    def describe(self):
        return {"kind": "fake"}

    def read(self, split, start, stop):
        offset = {"train": 0, "test": 100}[split]
        numbers = np.arange(start, stop)
        pictures = np.tile((numbers + offset)[:, None, None, None], (1, 4, 4, 1)).astype(np.uint8)
        return pictures, numbers % 2, numbers


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(sources, "open_tfds", lambda *args, **kwargs: FakeSource())
    monkeypatch.setattr(transforms, "MAX_BLOCK_IMAGES", 8)


def numbers(folder, split):
    return [int(x) for x in np.rint(data.load_split(folder, split)[:, 0, 0, 0] * 255)]


def test_official_test_split_stays_and_the_last_are_held_out(fake, tmp_path):
    info = preprocess.preprocess(preprocess.Options("fake", "last:7"), tmp_path / "out")
    assert info.counts == {"train": 23, "validation": 7, "test": 10}
    assert numbers(tmp_path / "out", "train") == list(range(23))
    assert numbers(tmp_path / "out", "validation") == list(range(23, 30))
    assert numbers(tmp_path / "out", "test") == list(range(100, 110))
    info.verify(tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_hash_split_sends_an_image_to_one_split_whatever_else_is_there(fake, tmp_path, monkeypatch):
    whole = preprocess.preprocess(preprocess.Options("fake", "hash:0.4"), tmp_path / "whole")
    assert whole.counts["train"] + whole.counts["validation"] == 30
    assert whole.counts["validation"] > 3
    held_out = set(numbers(tmp_path / "whole", "validation"))
    monkeypatch.setattr(FakeSource, "splits", {"train": 20, "test": 10})
    preprocess.preprocess(preprocess.Options("fake", "hash:0.4"), tmp_path / "part")
    assert set(numbers(tmp_path / "part", "validation")) == {n for n in held_out if n < 20}


def test_own_validation_split_is_kept(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(FakeSource, "splits", {"train": 30, "validation": 4, "test": 10})
    read = FakeSource.read
    monkeypatch.setattr(
        FakeSource,
        "read",
        lambda s, split, a, b: read(s, split.replace("validation", "train"), a, b),
    )
    info = preprocess.preprocess(preprocess.Options("fake", "last:7"), tmp_path / "out")
    assert info.counts == {"train": 30, "validation": 4, "test": 10}


def test_statistics_are_of_the_training_split(fake, tmp_path):
    preprocess.preprocess(preprocess.Options("fake", "last:7"), tmp_path / "out")
    statistics = records.read_statistics(tmp_path / "out")
    assert statistics["count"] == 23
    np.testing.assert_allclose(statistics["pixel_mean"], np.full((4, 4, 1), 11 / 255))
    assert statistics["range"].tolist() == [0, 22]
    assert statistics["label_counts"].tolist() == [12, 11]
    np.testing.assert_allclose(statistics["channel_std"], np.arange(23).std() / 255)


def test_twice_the_same_bytes(fake, tmp_path):
    options = preprocess.Options("fake", "hash:0.3")
    first = preprocess.preprocess(options, tmp_path / "a")
    second = preprocess.preprocess(options, tmp_path / "b")
    assert first.data_hash == second.data_hash
    assert (tmp_path / "a" / "statistics.npz").read_bytes() == (
        tmp_path / "b" / "statistics.npz"
    ).read_bytes()


def test_moments_do_not_depend_on_how_images_are_grouped():
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (20, 3, 4, 2), np.uint8), rng.integers(0, 3, 20)
    whole = Moments.of(pixels, labels).summary()
    parts = (Moments.of(pixels[:7], labels[:7]) + Moments.of(pixels[7:], labels[7:])).summary()
    for name, value in whole.items():
        np.testing.assert_array_equal(value, parts[name])
    np.testing.assert_allclose(whole["pixel_mean"], pixels.mean(axis=0) / 255)
    np.testing.assert_allclose(whole["channel_std"], pixels.std(axis=(0, 1, 2)) / 255)


def test_blocks_cover_every_image_once():
    blocks = transforms.plan_blocks({"train": 20001, "test": 5}, (28, 28, 1))
    assert [b.index for b in blocks] == list(range(len(blocks)))
    covered = [(b.split, i) for b in blocks for i in range(b.start, b.stop)]
    assert covered == [("train", i) for i in range(20001)] + [("test", i) for i in range(5)]
    big = transforms.plan_blocks({"train": 100}, (1024, 1024, 3))
    assert max(b.stop - b.start for b in big) == 10


def test_failed_run_leaves_nothing(fake, tmp_path, monkeypatch):
    def broken(self, split, start, stop):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FakeSource, "read", broken)
    with pytest.raises(Exception, match="No space left"):
        preprocess.preprocess(preprocess.Options("fake", "none"), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_lost_images_are_noticed(fake, tmp_path, monkeypatch):
    read = FakeSource.read
    monkeypatch.setattr(FakeSource, "read", lambda s, split, a, b: read(s, split, a, b - 1))
    with pytest.raises(Exception, match="Expected 8 images"):
        preprocess.preprocess(preprocess.Options("fake", "none"), tmp_path / "out")


def test_last_n_must_leave_something(fake, tmp_path):
    with pytest.raises(UserError, match="N below the 30 training images"):
        preprocess.preprocess(preprocess.Options("fake", "last:30"), tmp_path / "out")


def test_ensure_reuses_a_finished_folder_and_flags_never_mix(fake, tmp_path, monkeypatch):
    options = preprocess.Options("fake", "last:7")
    first = preprocess.ensure(options, tmp_path)
    monkeypatch.setattr(sources, "open_tfds", lambda *a, **k: pytest.fail("preprocessed again"))
    assert preprocess.ensure(options, tmp_path) == first
    names = {
        preprocess.Options(*values).folder_name()
        for values in [("fake",), ("fake", "none"), ("fake", "none", 32), ("fake", "none", 0, "d")]
    }
    assert len(names) == 4
    monkeypatch.chdir(tmp_path)
    same = {preprocess.Options("fake", data_dir=d) for d in ("d", str(tmp_path / "d"))}
    assert len(same) == 1


def test_real_mnist_from_the_embedded_originals(mnist_examples):
    """TFDS builds MNIST from the package's files; they come out as the idx files have them."""
    import gzip

    info = records.DatasetInfo.read(mnist_examples)
    info.verify(mnist_examples)
    assert info.counts == {"train": 50000, "validation": 10000, "test": 10000}
    assert info.image_shape == (28, 28, 1)
    assert info.classes == tuple("0123456789")
    raw = gzip.decompress((ORIGINALS / "train-images-idx3-ubyte.gz").read_bytes())
    originals = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28, 1)
    # The paper's split counts in the original order, which TFDS does not keep.
    for split, expected in (("train", originals[:50000]), ("validation", originals[50000:])):
        pixels = np.rint(data.load_split(mnist_examples, split) * 255).astype(np.uint8)
        assert sorted(p.tobytes() for p in pixels) == sorted(p.tobytes() for p in expected)


def test_embedded_files_are_the_ones_that_the_notice_lists():
    lines = (ORIGINALS / "NOTICE").read_text().splitlines()
    listed = [line.split("  ") for line in lines if line.endswith(".gz")]
    assert len(listed) == 4
    for digest, name in listed:
        assert records.file_sha256(ORIGINALS / name) == digest


@pytest.fixture
def offline(monkeypatch):
    def refuse(*args, **kwargs):
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests, "head", refuse)


def test_missing_originals_without_network_are_named_at_once(offline, tmp_path):
    with pytest.raises(UserError, match=r"Missing: cifar-10-binary\.tar\.gz.*--manual_dir"):
        sources.open_tfds("cifar10", data_dir=str(tmp_path))
    (tmp_path / "manual").mkdir()
    with pytest.raises(UserError, match="holds none of them"):
        sources.open_tfds("cifar10", data_dir=str(tmp_path), manual_dir=str(tmp_path / "manual"))


def test_unknown_data_set_says_what_is_near(tmp_path):
    with pytest.raises(UserError, match=r"received 'mnits'\. Did you mean .*mnist"):
        sources.open_tfds("mnits", data_dir=str(tmp_path))
    with pytest.raises(UserError, match="NAME/CONFIG"):
        sources.open_tfds("mnist/none_such", data_dir=str(tmp_path))


@pytest.mark.parametrize("flag", ["data_dir", "manual_dir"])
def test_folders_must_exist(tmp_path, flag):
    with pytest.raises(UserError, match=f"--{flag} to be a folder"):
        sources.open_tfds("mnist", **{flag: str(tmp_path / "none")})


def prepared(folder, rows, image, label=True):
    """Write a prepared TFDS data set that has no code, as a user's own would be."""
    features = {"image": image}
    if label:
        features["label"] = tfds.features.ClassLabel(names=["cat", "dog"])
    writer = tfds.core.dataset_builders.store_as_tfds_dataset
    writer(
        name="own_images",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={"train": rows},
        data_dir=folder,
    )


def test_any_prepared_data_set_works_without_code(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        {"image": rng.integers(0, 256, (10 + i, 14, 3), np.uint8), "label": i % 2}
        for i in range(12)
    ]
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(rows),
        output_signature={
            "image": tf.TensorSpec((None, None, 3), tf.uint8),
            "label": tf.TensorSpec((), tf.int64),
        },
    )
    prepared(tmp_path / "tfds", dataset, tfds.features.Image(shape=(None, None, 3)))
    with pytest.raises(UserError, match="sizes vary"):
        sources.open_tfds("own_images", data_dir=str(tmp_path / "tfds"))
    options = preprocess.Options("own_images", "none", 8, str(tmp_path / "tfds"))
    info = preprocess.preprocess(options, tmp_path / "out")
    assert info.image_shape == (8, 8, 3)
    assert info.classes == ("cat", "dog")
    assert info.counts == {"train": 12}


def test_real_cifar10_prepared_and_from_the_original_file(real_data, tmp_path):
    from_prepared = preprocess.preprocess(
        preprocess.Options("cifar10", "last:10000", data_dir=str(real_data / "tfds")),
        tmp_path / "prepared",
    )
    assert from_prepared.counts == {"train": 40000, "validation": 10000, "test": 10000}
    assert from_prepared.image_shape == (32, 32, 3)
    assert from_prepared.classes[:3] == ("airplane", "automobile", "bird")
    (tmp_path / "tfds").mkdir()
    options = preprocess.Options(
        "cifar10", "last:10000", 0, str(tmp_path / "tfds"), str(real_data / "manual" / "cifar10")
    )
    # "last:10000" are the last of the five original batches.
    batch = (real_data / "tfds/extracted/cifar10").rglob("data_batch_5.bin")
    raw = np.frombuffer(next(batch).read_bytes(), np.uint8).reshape(-1, 3073)[:, 1:]
    originals = raw.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    held_out = np.rint(data.load_split(tmp_path / "prepared", "validation") * 255).astype(np.uint8)
    assert sorted(p.tobytes() for p in held_out) == sorted(p.tobytes() for p in originals)
    from_original = preprocess.preprocess(options, tmp_path / "original")
    assert from_original.data_hash == from_prepared.data_hash
    shutil.rmtree(tmp_path / "tfds")


def test_description_says_where_the_data_came_from(fake, tmp_path):
    preprocess.preprocess(preprocess.Options("fake", "last:7"), tmp_path / "out")
    written = json.loads((tmp_path / "out" / records.INFO_FILE).read_text())
    assert written["source"] == {"kind": "fake"}
    assert written["parameters"]["validation"] == "last:7"
    assert "tensorflow-datasets" in written["versions"]
