"""Is a data folder fit to train on? Statistics against a schema; then, and only then, its name."""

import dataclasses
import hashlib
import os
import pathlib

from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from keras_gan import records
from keras_gan.interfaces import UserError
from pipelines import schema as schemas
from pipelines import storage
from pipelines.options import Checks, Options
from pipelines.schema import Anomaly, Statistics


def expect_possible(options: Options, checks: Checks) -> None:
    """Refuse flags that could only fail at the end."""
    schemas.expect_known(checks.allow)
    if options.schema:
        schemas.load(pathlib.Path(options.schema))
    if checks.baseline:
        records.DatasetInfo.read(checks.baseline)


def judge(
    info: records.DatasetInfo, options: Options, checks: Checks, folder: str
) -> tuple[records.DatasetInfo, list[Anomaly]]:
    """Check a written folder and give it its description: blessed, or not.

    Args:
        info: what was written.
        options: what it was written with.
        checks: what it must pass.
        folder: where it is.

    Returns:
        (the description, anomalies that are not accepted); with any, the folder stays unblessed.
    """
    statistics = read_statistics(folder, info)
    schema = _choose(info, options, statistics)
    text = schemas.to_text(schema).encode()
    with storage.create(storage.join(folder, records.SCHEMA_FILE)) as file:
        file.write(text)
    baseline = None
    if checks.baseline:
        baseline = read_statistics(checks.baseline, records.DatasetInfo.read(checks.baseline))
    anomalies = schemas.validate(
        schema, statistics, info.image_shape, info.quality["overlap"], baseline
    )
    rejected, read = info.quality["rejected"], info.quality["read"]
    if rejected > checks.max_rejected * read:
        share = f"more than {checks.max_rejected:.1%}: see rejected.tsv, --max_rejected"
        text_ = f"{rejected:,} of {read:,} files, {share}"
        anomalies.append(Anomaly("too_many_rejected", "all", text_))
    refused = [anomaly for anomaly in anomalies if anomaly.name not in checks.allow]
    info = dataclasses.replace(
        info,
        quality={
            **info.quality,
            "schema_sha256": hashlib.sha256(text).hexdigest(),
            "statistics_sha256": {
                name: hashlib.sha256(storage.read(storage.join(folder, name))).hexdigest()
                for name in statistics_files(info)
            },
            "anomalies": [dataclasses.asdict(anomaly) for anomaly in anomalies],
            "allowed": sorted({a.name for a in anomalies} & set(checks.allow)),
        },
    )
    names = (records.INFO_FILE, records.UNBLESSED_FILE)
    name, other = reversed(names) if refused else names
    with storage.create(storage.join(folder, name)) as file:
        file.write(info.to_json().encode())
    storage.delete(storage.join(folder, other))
    return info, refused


def expect_blessed(
    info: records.DatasetInfo, refused: list[Anomaly], out: str | os.PathLike[str]
) -> records.DatasetInfo:
    """Return the description of a blessed folder.

    Raises:
        UserError: if it is not; a table of what is wrong is logged before.
    """
    if not refused:
        return info
    width = max(len(anomaly.name) for anomaly in refused)
    where = max(len(anomaly.split) for anomaly in refused)
    lines = [f"  {a.name:<{width}}  {a.split:<{where}}  {a.text}" for a in refused]
    logging.warning("Anomalies of %s:\n%s", info.dataset, "\n".join(lines))
    names = ",".join(dict.fromkeys(anomaly.name for anomaly in refused))
    raise UserError(
        f"Expected data without anomalies; received {names}. {out} stays unblessed, and training "
        "refuses it. Try better data, another --schema, or python -m pipelines.preprocess with "
        f"the same images, --out={out} and --allow={names}."
    )


def statistics_files(info: records.DatasetInfo) -> list[str]:
    """Name a data folder's statistics."""
    return [records.STATISTICS_FILE, *map(records.split_statistics, sorted(info.counts))]


def read_statistics(folder: str, info: records.DatasetInfo) -> Statistics:
    """Read the statistics of each split of a data folder."""
    found = {}
    for split in info.counts:
        path = storage.join(folder, records.split_statistics(split))
        proto = statistics_pb2.DatasetFeatureStatisticsList.FromString(storage.read(path))
        found[split] = proto.datasets[0]
    return found


def _choose(
    info: records.DatasetInfo, options: Options, statistics: Statistics
) -> schema_pb2.Schema:
    """Take the schema that was given, the one known for the data set, or what the data show."""
    if options.schema:
        return schemas.load(pathlib.Path(options.schema))
    known = schemas.known(options.dataset)
    # A data set that is changed by flags is another one.
    plain = not (options.size or options.channels or options.splits)
    if known and plain:
        return schemas.load(known)
    return schemas.infer(statistics, info.image_shape, info.classes)
