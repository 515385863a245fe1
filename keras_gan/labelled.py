"""Images with labels beside images without: what a semi-supervised step is fed."""

import os

import numpy as np
import tensorflow as tf

from keras_gan import data, records
from keras_gan.few_labels import FewLabels, choose_labelled
from keras_gan.interfaces import UserError

Labelled = tuple[np.ndarray, np.ndarray]  # images, float32 [n, H, W, C] in [0, 1]; labels, int [n]


def load_labelled(options: FewLabels, examples: str | os.PathLike[str]) -> Labelled:
    """Read the training images whose labels are known, and these labels alone.

    Raises:
        UserError: if the data have no labels, or too few of a class.
    """
    info = records.DatasetInfo.read(examples)
    counted = int(records.read_statistics(examples)["label_counts"].sum())
    if not info.classes or counted != info.counts["train"]:
        raise UserError(
            f"Expected a label for each of the {info.counts['train']} training images of "
            f"{examples}, from which some are chosen; received {counted if info.classes else 0}. "
            "Try images in a folder for each class."
        )
    labels = data.load_labels(examples, "train")
    rows = choose_labelled(labels, options.labels, len(info.classes), options.seed)
    return data.load_split(examples, "train")[rows], labels[rows]


def labelled_batches(
    labelled: Labelled,
    *,
    batch_size: int,
    first_step: int,
    seed: int,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Draw from the labelled images for ever, from any step on, in an order of (seed, pass) alone.

    Args:
        labelled: images and labels.
        batch_size: images in a batch; all of them, where there are fewer.
        first_step: batches that were already drawn.
        seed: of the order.
        context: which replicas this pipeline feeds, as `distribute_datasets_from_function` tells.

    Returns:
        Pairs of images, float32 [B, H, W, C], and labels, int64 [B]; for R replicas each comes as R
        parts of [B / R, ...].

    Raises:
        UserError: if the batch size is no multiple of the replicas.
    """
    images, labels = tf.constant(labelled[0]), tf.constant(labelled[1], tf.int64)
    batch_size = min(batch_size, len(images))
    steps = len(images) // batch_size
    data.expect_shares(batch_size, context.num_replicas_in_sync if context else 1)

    def one_pass(number: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(images)), (tf.constant(seed, tf.int64), number)
        )
        batches = tf.data.Dataset.from_tensor_slices(order).batch(batch_size, drop_remainder=True)
        return batches.skip(tf.cast(number == first_step // steps, tf.int64) * (first_step % steps))

    passes = tf.data.Dataset.range(first_step // steps, np.iinfo(np.int64).max)
    batches = passes.flat_map(one_pass)
    if context:
        batches = data.shares(batches, context)
    return batches.map(lambda rows: (tf.gather(images, rows), tf.gather(labels, rows)))


def feed(
    options: FewLabels,
    labelled: Labelled,
    examples: str | os.PathLike[str],
    step: int,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Make the data from a step on: labelled images, their labels, and images without labels."""
    size, seed = options.batch_size, options.seed
    known = labelled_batches(labelled, batch_size=size, first_step=step, seed=seed, context=context)
    if not options.unlabelled_weight:
        return known.prefetch(8)
    unlabelled = data.train_dataset(  # which reads no labels
        examples, batch_size=size, first_step=step, seed=seed, context=context
    )
    return tf.data.Dataset.zip((known, unlabelled)).map(lambda pair, images: (*pair, images))
