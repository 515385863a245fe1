import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_gan import data, records
from keras_gan.interfaces import UserError
from pipelines import preprocess, verify
from pipelines.options import Options
from tests.commands import run_module
from tests.conftest import write_examples

COUNTS = {"train": 60, "validation": 10, "test": 20}


@pytest.fixture
def folder(tmp_path):
    return write_examples(tmp_path / "data", COUNTS)


def redescribe(folder, **changes):
    """Make the description fit what was done to the shards, as whoever did it might."""
    import dataclasses

    info = records.DatasetInfo.read(folder)
    shards = []
    for shard in info.shards:
        path = folder / shard.name
        shards.append(
            dataclasses.replace(shard, size=path.stat().st_size, sha256=records.file_sha256(path))
        )
    info = dataclasses.replace(info, shards=tuple(shards), **changes)
    (folder / records.INFO_FILE).write_text(info.to_json())


def test_a_whole_folder(folder):
    assert verify.verify(str(folder)) == COUNTS
    done = run_module("pipelines.verify", str(folder), cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split() == ["train", "60", "images"]


@pytest.mark.parametrize("place", [0, 5, 11, 40, -1])
def test_a_flipped_byte_is_found_by_both_and_names_the_shard(folder, place):
    path = next(folder.glob("train-*"))
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=path.name):
        verify.verify(str(folder))
    with pytest.raises(UserError, match=path.name):  # what training does first
        records.DatasetInfo.read(folder).verify(folder)


def test_the_command_exits_with_2_and_names_the_shard(folder):
    path = next(folder.glob("test-*"))
    path.write_bytes(path.read_bytes()[:-1])
    done = run_module("pipelines.verify", str(folder), cwd=folder)
    assert done.returncode == 2
    assert path.name in done.stderr


def test_a_shard_cut_at_a_record_boundary_is_found(folder):
    """TensorFlow itself reads such a file without complaint (which is shown here)."""
    path = next(folder.glob("train-*"))
    rows = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    path.write_bytes(b"".join(records.frame(row) for row in rows[:-1]))
    assert len(list(tf.data.TFRecordDataset(str(path)))) == 59
    with pytest.raises(UserError, match=path.name):
        verify.verify(str(folder))
    with pytest.raises(UserError, match=path.name):
        records.DatasetInfo.read(folder).verify(folder)
    redescribe(folder)
    with pytest.raises(UserError, match=r"Expected 60 images in .*; received 59"):
        verify.verify(str(folder))


def test_a_damaged_record_is_found_even_if_the_description_fits(folder):
    path = next(folder.glob("train-*"))
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    redescribe(folder)
    with pytest.raises(UserError, match=f"readable records in .*{path.name}"):
        verify.verify(str(folder))


def test_an_image_in_two_splits_is_found(folder):
    train, test = next(folder.glob("train-*")), next(folder.glob("test-*"))
    first = next(iter(tf.data.TFRecordDataset(str(train)))).numpy()
    rest = [row.numpy() for row in tf.data.TFRecordDataset(str(test))][1:]
    test.write_bytes(b"".join(records.frame(row) for row in [first, *rest]))
    redescribe(folder)
    with pytest.raises(UserError, match="no image in two splits"):
        verify.verify(str(folder))


@pytest.mark.parametrize("name", [records.SCHEMA_FILE, records.split_statistics("train")])
def test_missing_files_are_found(folder, name):
    (folder / name).unlink()
    with pytest.raises((UserError, OSError), match=name.rpartition("/")[2]):
        verify.verify(str(folder))


def test_training_refuses_an_unblessed_folder(folder):
    (folder / records.INFO_FILE).rename(folder / records.UNBLESSED_FILE)
    with pytest.raises(UserError, match="Expected data without anomalies"):
        data.train_dataset(folder, batch_size=4)


def test_compressed_shards(tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8)
    np.save(tmp_path / "a.npy", rows)
    options = Options(arrays=str(tmp_path / "a.npy"), compression="gzip", validation="none")
    preprocess.preprocess(options, tmp_path / "out")
    assert verify.verify(str(tmp_path / "out")) == {"train": 30}


def test_no_image_of_any_split_is_in_another(folder):
    found = {
        split: {image.tobytes() for image in data.load_split(folder, split)} for split in COUNTS
    }
    for left, right in itertools.combinations(found.values(), 2):
        assert not left & right
