"""From a data folder's TFRecord shards to batches of images: `tf.data`, shuffled by epoch."""

import os
import pathlib

import numpy as np
import tensorflow as tf

from keras_gan import images, records
from keras_gan.interfaces import UserError

# Serialised records kept for shuffling. A set that fits is shuffled perfectly in every epoch.
SHUFFLE_BYTES = 2**29


def train_dataset(
    root: str | os.PathLike[str],
    *,
    batch_size: int,
    d_steps: int = 1,
    first_step: int = 0,
    seed: int = 0,
    labels: bool = False,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Read the training split for ever, from any step on.

    Epoch e has the same order whether or not the process was restarted: its shuffle's seed is a
    function of (seed, e). An epoch's last images, too few for a step, are left out of it.

    Args:
        root: a finished data folder.
        batch_size: m of Algorithm 1.
        d_steps: k of Algorithm 1; a batch holds k * m rows, which the step splits.
        first_step: steps that were already trained.
        seed: of the order.
        labels: whether to read labels as well.
        context: which replicas this pipeline feeds, as `distribute_datasets_from_function` tells.

    Returns:
        Batches of float32 images [k * m, H, W, C] in [0, 1], or of pairs with int64 labels. For R
        replicas each batch comes as R parts of [k * m / R, H, W, C]: a replica's part of each of
        the k steps, so that the images of a step do not depend on how many replicas there are.

    Raises:
        UserError: if the folder is unfinished, has fewer images than a batch, or the batch size is
            no multiple of the replicas.
    """
    info = records.DatasetInfo.read(root)
    rows = batch_size * d_steps
    replicas = context.num_replicas_in_sync if context else 1
    expect_shares(batch_size, replicas)
    steps = steps_per_epoch(info, batch_size=batch_size, d_steps=d_steps)
    files = [
        str(pathlib.Path(root) / shard.name) for shard in info.shards if shard.split == "train"
    ]
    record_bytes = int(np.prod(info.image_shape)) + 64
    buffer = max(rows, min(info.counts["train"], SHUFFLE_BYTES // record_bytes))

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        # A user's tf.random.set_seed would be mixed into the shuffle's seed.
        tf.compat.v1.get_default_graph().seed = None
        epoch_seed = tf.random.stateless_uniform(
            (), (tf.constant(seed, tf.int64), number), minval=None, maxval=None, dtype=tf.int64
        )
        order = tf.random.experimental.stateless_shuffle(
            tf.constant(files), (tf.constant(seed, tf.int64), number)
        )
        shards = tf.data.Dataset.from_tensor_slices(order).interleave(
            lambda file: tf.data.TFRecordDataset(file, info.compression),
            cycle_length=4,
            block_length=16,
        )
        batches = shards.shuffle(buffer, seed=epoch_seed).batch(rows, drop_remainder=True)
        done = tf.cast(number == first_step // steps, tf.int64) * (first_step % steps)
        return batches.skip(done)

    dataset = tf.data.Dataset.range(first_step // steps, np.iinfo(np.int64).max).flat_map(epoch)
    if context and replicas > 1:
        dataset = shares(dataset, context, d_steps)
    dataset = dataset.map(lambda batch: _parse(batch, info, labels))
    return dataset.prefetch(32)


class Waiting:
    """Measures how long a process waits for its data.

    The clock is read where a batch is asked for and where it is there, inside the data set: steps
    that are compiled into one call cannot tell. Under op determinism TensorFlow refuses to read a
    clock, and nothing is measured.
    """

    def __init__(self) -> None:
        try:
            tf.timestamp()
            self.measures = True
        except tf.errors.OpError:
            self.measures = False
        with tf.device("CPU:0"):
            self._seconds = tf.Variable(0.0, dtype=tf.float64)

    @property
    def seconds(self) -> float:
        """Seconds that were waited since this was made."""
        return float(self._seconds.numpy())

    def watch(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Return the same data, measured."""
        if not self.measures:
            return dataset

        def count(asked: tf.Tensor, batch: object, came: tf.Tensor) -> object:
            self._seconds.assign_add(came - asked)
            return batch

        clock = tf.data.Dataset.range(np.iinfo(np.int64).max).map(lambda _: tf.timestamp())
        measured = tf.data.Dataset.zip((clock, dataset, clock)).map(count)  # asked in this order
        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False  # which would wait in its stead
        return measured.with_options(options)


def shares(
    batches: tf.data.Dataset, context: tf.distribute.InputContext, d_steps: int = 1
) -> tf.data.Dataset:
    """Cut each batch, [k * m], into what this pipeline's replicas get, one after another."""
    replicas = context.num_replicas_in_sync
    mine = replicas // context.num_input_pipelines
    first = mine * context.input_pipeline_id

    def cut(batch: tf.Tensor) -> tf.data.Dataset:
        parts = tf.reshape(batch, (d_steps, replicas, -1))  # [k, R, m / R]
        parts = tf.transpose(parts, (1, 0, 2))[first : first + mine]
        share = len(batch) // replicas
        return tf.data.Dataset.from_tensor_slices(tf.reshape(parts, (mine, share)))

    return batches.flat_map(cut)


def steps_per_epoch(info: records.DatasetInfo, *, batch_size: int, d_steps: int = 1) -> int:
    """Count the steps in which the training split is read once.

    Raises:
        UserError: if one step needs more images than there are.
    """
    rows, count = batch_size * d_steps, info.counts.get("train", 0)
    if rows > count:
        raise UserError(
            f"Expected batch_size * d_steps of at most the {count} training images of "
            f"{info.dataset}; received batch_size={batch_size}, d_steps={d_steps}."
        )
    return count // rows


def expect_shares(batch_size: int, replicas: int) -> None:
    """Fail if replicas cannot share a batch equally.

    Raises:
        UserError: with a batch size that they can.
    """
    if batch_size % replicas:
        raise UserError(
            f"Expected a batch_size that {replicas} replicas can share, counted over all of them; "
            f"received batch_size={batch_size}. Try {max(1, batch_size // replicas) * replicas}."
        )


def load_split(root: str | os.PathLike[str], split: str, limit: int | None = None) -> np.ndarray:
    """Read a split's first images, in order, into memory: float32 [n, H, W, C] in [0, 1]."""
    batches = _batches(root, split, limit, labels=False)
    return np.concatenate(list(batches.as_numpy_iterator()))


def load_labels(root: str | os.PathLike[str], split: str, limit: int | None = None) -> np.ndarray:
    """Read the labels of the images that `load_split` reads: int64 [n].

    Raises:
        UserError: if some have none.
    """
    batches = _batches(root, split, limit, labels=True).map(lambda images, labels: labels)
    labels = np.concatenate(list(batches.as_numpy_iterator()))
    if (labels < 0).any():
        raise UserError(
            f"Expected a label for each image of {split} in {root}; received "
            f"{(labels < 0).sum():,} of {len(labels):,} without. Try images in a folder for each "
            "class, in every split."
        )
    return labels


def _batches(
    root: str | os.PathLike[str], split: str, limit: int | None, *, labels: bool
) -> tf.data.Dataset:
    """Read a split in order, in batches."""
    info = records.DatasetInfo.read(root)
    if not info.counts.get(split):
        known = ", ".join(name for name, count in info.counts.items() if count)
        hint = f" Try preprocessing with --{split}=hash:0.1, and training on that anew."
        raise UserError(
            f"Expected a split of {info.dataset} ({known}); received split={split!r}.{hint}"
        )
    files = [str(pathlib.Path(root) / shard.name) for shard in info.shards if shard.split == split]
    dataset = tf.data.TFRecordDataset(files, info.compression)
    if limit is not None:
        dataset = dataset.take(limit)
    return dataset.batch(1000).map(lambda batch: _parse(batch, info, labels))


def _parse(serialized: tf.Tensor, info: records.DatasetInfo, labels: bool) -> object:
    parsed = records.parse(serialized, info, labels=labels)
    if labels:
        return images.to_float(parsed[0]), parsed[1]
    return images.to_float(parsed)
