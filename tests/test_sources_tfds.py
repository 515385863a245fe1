"""TensorFlow Datasets as a source."""

import gzip
import pathlib
import tarfile

import numpy as np
import pytest
import requests
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_gan import data, records
from keras_gan.interfaces import UserError
from pipelines import preprocess, sources
from pipelines.options import Options
from pipelines.sources import tfds_builder
from pipelines.sources.source import Block

ORIGINALS = tfds_builder.EMBEDDED / "mnist"


def opened(dataset, **options):
    return sources.open_source(Options(dataset, **options))


def pixels(folder, split):
    return np.rint(data.load_split(folder, split) * 255).astype(np.uint8)


def test_real_mnist_from_the_embedded_originals(mnist_examples):
    """TFDS builds MNIST from the package's files; they come out as the idx files have them."""
    info = records.DatasetInfo.read(mnist_examples)
    info.verify(mnist_examples)
    assert info.counts == {"train": 50000, "validation": 10000, "test": 10000}
    assert info.image_shape == (28, 28, 1)
    assert info.classes == tuple("0123456789")
    assert info.quality["duplicates"] == info.quality["rejected"] == 0
    assert info.quality["anomalies"] == []
    raw = gzip.decompress((ORIGINALS / "train-images-idx3-ubyte.gz").read_bytes())
    originals = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28, 1)
    # The paper's split counts in the original order, which TFDS does not keep.
    for split, expected in (("train", originals[:50000]), ("validation", originals[50000:])):
        found = pixels(mnist_examples, split)
        assert sorted(p.tobytes() for p in found) == sorted(p.tobytes() for p in expected)


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
        opened("cifar10", data_dir=str(tmp_path))
    (tmp_path / "manual").mkdir()
    with pytest.raises(UserError, match="holds none of them"):
        opened("cifar10", data_dir=str(tmp_path), manual_dir=str(tmp_path / "manual"))


def test_unknown_data_set_says_what_is_near(tmp_path):
    with pytest.raises(UserError, match=r"received 'mnits'\. Did you mean .*mnist"):
        opened("mnits", data_dir=str(tmp_path))
    with pytest.raises(UserError, match="NAME/CONFIG"):
        opened("mnist/none_such", data_dir=str(tmp_path))


@pytest.mark.parametrize("flag", ["data_dir", "manual_dir"])
def test_folders_must_exist(tmp_path, flag):
    with pytest.raises(UserError, match=f"--{flag} to be a folder"):
        opened("mnist", **{flag: str(tmp_path / "none")})


def prepared(folder, splits, image):
    """Write a prepared TFDS data set that has no code, as a user's own would be."""
    datasets = {}
    for split, rows in splits.items():
        datasets[split] = tf.data.Dataset.from_generator(
            lambda rows=rows: iter(rows),
            output_signature={
                "image": tf.TensorSpec(image.shape, tf.uint8),
                "label": tf.TensorSpec((), tf.int64),
            },
        )
    tfds.core.dataset_builders.store_as_tfds_dataset(
        name="own_images",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {"image": image, "label": tfds.features.ClassLabel(names=["cat", "dog"])}
        ),
        split_datasets=datasets,
        data_dir=folder,
    )


def noise(count, *shape, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {"image": rng.integers(0, 256, shape, np.uint8), "label": index % 2}
        for index in range(count)
    ]


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
def test_any_prepared_data_set_works_without_code(tmp_path, encoding):
    rows = [{**noise(1, 10 + i, 14, 3, seed=i)[0], "label": i % 2} for i in range(12)]
    image = tfds.features.Image(shape=(None, None, 3), encoding_format=encoding)
    prepared(tmp_path / "tfds", {"train": rows}, image)
    with pytest.raises(UserError, match="sizes vary"):
        opened("own_images", data_dir=str(tmp_path / "tfds"))
    options = Options("own_images", "none", 8, str(tmp_path / "tfds"))
    info = preprocess.preprocess(options, tmp_path / "out")
    assert info.image_shape == (8, 8, 3)
    assert info.classes == ("cat", "dog")
    assert info.counts == {"train": 12}


def test_any_of_its_splits_and_slices(tmp_path):
    image = tfds.features.Image(shape=(6, 6, 3))
    splits = {"train": noise(10, 6, 6, 3), "extra": noise(20, 6, 6, 3, seed=1)}
    prepared(tmp_path, splits, image)
    source = opened(
        "own_images", data_dir=str(tmp_path), splits="train=train+extra,test=extra[:25%]"
    )
    assert source.splits == {"train": 30, "test": 5}

    def read(split, start, stop):
        (chunk,) = source.read(Block(split, start, stop, 0, 1))
        return chunk.pictures, chunk.names

    stored = [row["image"] for row in [*splits["train"], *splits["extra"]]]
    pictures, names = read("train", 8, 13)
    assert names == [f"train+extra[{n}]" for n in range(8, 13)]
    whole = {p.tobytes() for p in stored}
    assert {p.tobytes() for p in pictures} <= whole
    assert {p.tobytes() for p in read("train", 0, 30)[0]} == whole
    for wrong in ("train=wal", "train=train[:x]"):
        with pytest.raises(UserError, match="name splits of own_images"):
            opened("own_images", data_dir=str(tmp_path), splits=wrong)


def test_a_data_set_without_training_images_says_what_there_is(tmp_path):
    prepared(tmp_path, {"whole": noise(4, 6, 6, 3)}, tfds.features.Image(shape=(6, 6, 3)))
    with pytest.raises(UserError, match=r"with whole\. Try --splits=train=whole"):
        opened("own_images", data_dir=str(tmp_path))
    assert opened("own_images", data_dir=str(tmp_path), splits="train=whole").splits == {"train": 4}


@pytest.mark.parametrize("size", [0, 8])
def test_a_damaged_record_is_rejected_alone(tmp_path, size):
    rows = noise(6, 6, 6, 3)
    prepared(tmp_path, {"train": rows}, tfds.features.Image(shape=(6, 6, 3)))
    (file,) = (tmp_path / "own_images").rglob("*.tfrecord*")
    examples = [r.numpy() for r in tf.data.TFRecordDataset(str(file))]
    third = tf.train.Example.FromString(examples[3])
    third.features.feature["image"].bytes_list.value[0] = b"no image"
    examples[3] = third.SerializeToString()
    with tf.io.TFRecordWriter(str(file)) as writer:
        for example in examples:
            writer.write(example)
    source = opened("own_images", data_dir=str(tmp_path), size=size)
    (chunk,) = source.read(Block("train", 0, 6, 0, 1))
    assert chunk.names == [f"train[{n}]" for n in (0, 1, 2, 4, 5)]
    assert chunk.rejected == [("train[3]", "not a PNG, JPEG, WebP, BMP or GIF image")]


def test_own_originals_are_prepared_apart_from_the_known_ones(tmp_path, caplog):
    """Files that are not TFDS's own never pass for the data set of that name."""
    manual = tmp_path / "manual"
    manual.mkdir()
    for file in ORIGINALS.glob("*.gz"):
        raw = gzip.decompress(file.read_bytes())
        small = 5 if "t10k" in file.name else 20
        head = 16 if "images" in file.name else 8
        size = 784 if "images" in file.name else 1
        header = raw[:4] + small.to_bytes(4, "big") + raw[8:head]
        (manual / file.name).write_bytes(gzip.compress(header + raw[head : head + small * size]))
    (tmp_path / "tfds").mkdir()
    import tensorflow_datasets.image_classification.mnist as mnist_module

    counts = (mnist_module._TRAIN_EXAMPLES, mnist_module._TEST_EXAMPLES)
    mnist_module._TRAIN_EXAMPLES, mnist_module._TEST_EXAMPLES = 20, 5
    try:
        source = opened("mnist", data_dir=str(tmp_path / "tfds"), manual_dir=str(manual))
    finally:
        mnist_module._TRAIN_EXAMPLES, mnist_module._TEST_EXAMPLES = counts
    assert source.splits == {"train": 20, "test": 5}
    assert "is not byte for byte what TensorFlow Datasets knows" in caplog.text
    assert not (tmp_path / "tfds" / "mnist").exists()
    assert "own-" in source.files["train"][0][0]


def test_the_fingerprint_follows_what_is_prepared(tmp_path):
    options = Options("own_images", data_dir=str(tmp_path))
    before = sources.fingerprint(options)
    prepared(tmp_path, {"train": noise(4, 6, 6, 3)}, tfds.features.Image(shape=(6, 6, 3)))
    after = sources.fingerprint(options)
    assert before != after == sources.fingerprint(options)


def test_real_cifar10_from_the_original_file_and_prepared(real_cifar10, cifar10_examples):
    from_prepared = records.DatasetInfo.read(cifar10_examples)
    assert from_prepared.counts == {"train": 40000, "validation": 10000, "test": 10000}
    assert from_prepared.image_shape == (32, 32, 3)
    assert from_prepared.classes[:3] == ("airplane", "automobile", "bird")
    # "last:10000" are the last of the five original batches.
    with tarfile.open(real_cifar10 / "manual" / "cifar-10-binary.tar.gz") as archive:
        batch = archive.extractfile("cifar-10-batches-bin/data_batch_5.bin").read()
    raw = np.frombuffer(batch, np.uint8).reshape(-1, 3073)[:, 1:]
    originals = raw.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    held_out = pixels(cifar10_examples, "validation")
    assert sorted(p.tobytes() for p in held_out) == sorted(p.tobytes() for p in originals)
    from_original = records.DatasetInfo.read(real_cifar10 / "examples")
    assert from_original.data_hash == from_prepared.data_hash


def test_schemas_of_the_known_sets_come_with_the_package():
    from pipelines import schema

    names = {path.stem for path in pathlib.Path(schema.KNOWN).glob("*.pbtxt")}
    assert {"mnist", "cifar10"} <= names
