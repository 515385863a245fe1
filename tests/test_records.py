import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_gan import records
from keras_gan.interfaces import UserError


def info(shape=(2, 3, 1), **kwargs):
    shards = (records.Shard("train-0", "train", 4, 10, "aa"),)
    values = {"dataset": "d/1", "image_shape": shape, "classes": ("a", "b"), "counts": {"train": 4},
              "shards": shards, "source": {}, "parameters": {}, "versions": {}}  # fmt: skip
    return records.DatasetInfo(**{**values, **kwargs})


@pytest.mark.parametrize("label", [None, 0, 7])
def test_an_encoded_image_is_parsed_back(label):
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 1), np.uint8)
    serialized = tf.constant([records.encode(image, label)])
    np.testing.assert_array_equal(records.parse(serialized, info(), labels=False), [image])
    if label is not None:
        assert records.parse(serialized, info(), labels=True)[1].numpy() == [label]


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3])),
    st.none() | st.integers(-1, 2**40),
)
def test_an_encoded_image_is_what_tensorflow_writes(shape, label):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    pixels = tf.train.BytesList(value=[image.tobytes()])
    feature = {"image": tf.train.Feature(bytes_list=pixels)}
    if label is not None:
        feature["label"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    assert records.encode(image, label) == example.SerializeToString(deterministic=True)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=5))
def test_framing_is_what_tensorflow_reads(tmp_path_factory, contents):
    path = tmp_path_factory.mktemp("frames") / "file"
    path.write_bytes(b"".join(records.frame(content) for content in contents))
    assert [r.numpy() for r in tf.data.TFRecordDataset(str(path))] == contents


def test_description_round_trip_and_hash(tmp_path):
    (tmp_path / records.INFO_FILE).write_text(info().to_json())
    assert records.DatasetInfo.read(tmp_path) == info()
    # sha256 of "train-0 aa"
    expected = "b2e0f44c028b86af278dce00769b11fcb3ec4b5b55016fda80600966df16f92f"
    assert info().data_hash == expected
    assert (
        info().data_hash != info(shards=(records.Shard("train-0", "train", 4, 10, "ab"),)).data_hash
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 3}'])
def test_a_broken_description_is_refused(tmp_path, text):
    (tmp_path / records.INFO_FILE).write_text(text)
    with pytest.raises(UserError, match="Expected"):
        records.DatasetInfo.read(tmp_path)


def test_another_format_is_refused(tmp_path):
    (tmp_path / records.INFO_FILE).write_text(info().to_json())
    path = tmp_path / records.INFO_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))
    with pytest.raises(UserError, match="of format 99"):
        records.DatasetInfo.read(tmp_path)
