"""Check a data folder to the last record: shards, counts, classes, and no image in two splits.

    python -m pipelines.verify DIR

Prints what each split holds; a fault is named with its shard, and the exit code is 2.
"""

import pathlib
import sys

from absl import flags

from keras_gan import cli, records
from keras_gan.interfaces import UserError

FLAGS = flags.FlagValues()


def verify(folder: str) -> dict[str, int]:
    """Check a finished data folder.

    Args:
        folder: which.

    Returns:
        Images in each split, counted.

    Raises:
        UserError: naming the first shard, split or file that is not as the folder describes it.
    """
    info = records.DatasetInfo.read(folder)
    info.verify(folder)
    schema = pathlib.Path(folder) / records.SCHEMA_FILE
    expected = info.quality.get("schema_sha256")
    if not schema.is_file() or records.file_sha256(schema) != expected:
        raise UserError(
            f"Expected {schema} as {records.INFO_FILE} describes it. Try deleting {folder} and "
            "preprocessing the data again."
        )
    cli.import_tensorflow()  # which takes longer than finding a changed file
    return _verify_records(folder, info)


def _verify_records(folder: str, info: records.DatasetInfo) -> dict[str, int]:
    """Read every record: it is whole, counted, and in no other split."""
    import tensorflow as tf

    from pipelines import work

    seen: dict[bytes, str] = {}
    counts: dict[str, int] = dict.fromkeys(info.counts, 0)
    for shard in info.shards:
        path = str(pathlib.Path(folder) / shard.name)
        number = 0
        try:
            for batch in tf.data.TFRecordDataset(path, info.compression).batch(512):
                pictures = records.parse(batch, info, labels=False).numpy()
                for row in work.hash_images(pictures):
                    other = seen.setdefault(row.tobytes(), shard.split)
                    if other != shard.split:
                        raise UserError(
                            f"Expected no image in two splits; received one of {shard.name} that "
                            f"is also in {other}. Try preprocessing the data again."
                        )
                number += len(pictures)
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            raise UserError(f"Expected readable records in {path}; received: {error}") from error
        if number != shard.count:
            raise UserError(f"Expected {shard.count} images in {path}; received {number}.")
        counts[shard.split] += number
    if counts != info.counts:
        raise UserError(f"Expected {info.counts} images in {folder}; received {counts}.")
    return counts


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Run the command with its parsed flags."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise UserError(f"Expected one data folder; received {' '.join(arguments) or 'none'}.")
    folder = str(pathlib.Path(arguments[0]).expanduser())
    for split, number in sorted(verify(folder).items()):
        print(f"{split:<12}{number:>12,} images")  # noqa: T201
    info = records.DatasetInfo.read(folder)
    print(f"{folder}: {len(info.shards)} shards are whole, data hash {info.data_hash[:12]}...")  # noqa: T201


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "", pass_on=True)


if __name__ == "__main__":
    sys.exit(run())
