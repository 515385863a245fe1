import numpy as np
import pytest
import tensorflow as tf

from keras_gan import data, records
from keras_gan.interfaces import UserError
from tests.conftest import write_examples


def batches(examples, count, **kwargs):
    dataset = data.train_dataset(examples, **{"batch_size": 16, **kwargs})
    return [batch if isinstance(batch, tuple) else batch.numpy() for batch in dataset.take(count)]


def keys(array):
    return [row.tobytes() for row in array]


def test_batches_are_flat_floats_in_range(examples):
    first = batches(examples, 1, d_steps=3)[0]
    assert first.shape == (48, 8, 8, 1)
    assert first.dtype == np.float32
    assert 0 <= first.min() < 0.05
    assert 0.95 < first.max() <= 1


def test_an_epoch_holds_every_image_once_and_each_has_its_own_order(examples):
    epochs = batches(examples, 30)  # 15 batches an epoch
    first, second = np.concatenate(epochs[:15]), np.concatenate(epochs[15:])
    everything = data.load_split(examples, "train")
    assert sorted(keys(first)) == sorted(keys(second)) == sorted(keys(everything))
    assert keys(first) != keys(second)
    assert keys(first) != keys(everything)


@pytest.mark.parametrize("first_step", [1, 14, 15, 16, 37])
def test_starting_at_a_step_gives_what_the_uninterrupted_run_sees(examples, first_step):
    whole = batches(examples, first_step + 3)
    resumed = batches(examples, 3, first_step=first_step)
    np.testing.assert_array_equal(whole[first_step:], resumed)


def test_order_depends_on_the_seed(examples):
    np.testing.assert_array_equal(batches(examples, 2, seed=1), batches(examples, 2, seed=1))
    assert not np.array_equal(batches(examples, 2, seed=1), batches(examples, 2, seed=2))


def test_order_does_not_depend_on_a_global_seed_or_earlier_data_sets(examples):
    before = batches(examples, 2)
    batches(examples, 1, seed=9)
    tf.random.set_seed(123)
    try:
        np.testing.assert_array_equal(before, batches(examples, 2))
    finally:
        tf.random.set_seed(None)


def test_labels_stay_with_their_images(examples):
    serial = tf.data.TFRecordDataset(
        [
            str(examples / s.name)
            for s in records.DatasetInfo.read(examples).shards
            if s.split == "train"
        ]
    )
    info = records.DatasetInfo.read(examples)
    known, numbers = next(
        iter(serial.batch(1000).map(lambda b: records.parse(b, info, labels=True)))
    )
    label_of = dict(zip(keys(known.numpy()), numbers.numpy(), strict=True))
    for pixels, labels in batches(examples, 15, labels=True):
        whole = np.rint(pixels.numpy() * 255).astype(np.uint8)
        assert [label_of[key] for key in keys(whole)] == labels.numpy().tolist()


def test_a_small_shuffle_buffer_still_covers_the_epoch(examples, monkeypatch):
    monkeypatch.setattr(data, "SHUFFLE_BYTES", 128 * 20)
    epoch = np.concatenate(batches(examples, 15))
    assert sorted(keys(epoch)) == sorted(keys(data.load_split(examples, "train")))


def test_load_split_takes_the_first_images_in_order(examples):
    everything = data.load_split(examples, "test")
    np.testing.assert_array_equal(data.load_split(examples, "test", 7), everything[:7])
    with pytest.raises(UserError, match="received split='holdout'"):
        data.load_split(examples, "holdout")


def test_batch_larger_than_the_data(examples):
    with pytest.raises(UserError, match=r"at most the 240 training images.*batch_size=241"):
        data.train_dataset(examples, batch_size=241)
    with pytest.raises(UserError, match="d_steps=3"):
        data.train_dataset(examples, batch_size=81, d_steps=3)


def test_unfinished_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="finished data folder"):
        data.train_dataset(tmp_path, batch_size=1)


def corrupt_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_at_a_record(path):
    """TensorFlow reads a file cut between records without an error."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little") + 16
    path.write_bytes(content[:-length])


@pytest.mark.parametrize("damage", [corrupt_byte, cut_at_a_record, lambda path: path.unlink()])
def test_damaged_shard_is_found_and_named(tmp_path, damage):
    folder = write_examples(tmp_path / "examples", {"train": 30, "test": 10})
    info = records.DatasetInfo.read(folder)
    info.verify(folder)
    damage(folder / info.shards[0].name)
    with pytest.raises(UserError, match=info.shards[0].name):
        info.verify(folder)
