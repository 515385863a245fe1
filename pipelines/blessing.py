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
    schema = choose_schema(info, options.schema, statistics)
    text = schemas.to_text(schema).encode()
    with storage.create(storage.join(folder, records.SCHEMA_FILE)) as file:
        file.write(text)
    baseline = None
    if checks.baseline:
        baseline = read_statistics(checks.baseline, records.DatasetInfo.read(checks.baseline))
    anomalies = find_anomalies(info, schema, statistics, checks.max_rejected, baseline)
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


def find_anomalies(
    info: records.DatasetInfo,
    schema: schema_pb2.Schema,
    statistics: Statistics,
    max_rejected: float,
    baseline: Statistics | None = None,
) -> list[Anomaly]:
    """List what does not hold of written data.

    Args:
        info: what was written.
        schema: what was expected.
        statistics: of each split.
        max_rejected: share of the images that may have been unusable.
        baseline: the statistics of an earlier data folder.
    """
    anomalies = schemas.validate(
        schema, statistics, info.image_shape, info.quality["overlap"], baseline
    )
    rejected, read = info.quality["rejected"], info.quality["read"]
    if rejected > max_rejected * read:
        share = f"more than {max_rejected:.1%}: see rejected.tsv, --max_rejected"
        text = f"{rejected:,} of {read:,} files, {share}"
        anomalies.append(Anomaly("too_many_rejected", "all", text))
    return anomalies


def log_table(dataset: str, refused: list[Anomaly]) -> str:
    """Log anomalies as a table; return their names with commas between."""
    width = max(len(anomaly.name) for anomaly in refused)
    where = max(len(anomaly.split) for anomaly in refused)
    lines = [f"  {a.name:<{width}}  {a.split:<{where}}  {a.text}" for a in refused]
    logging.warning("Anomalies of %s:\n%s", dataset, "\n".join(lines))
    return ",".join(dict.fromkeys(anomaly.name for anomaly in refused))


def expect_blessed(
    info: records.DatasetInfo, refused: list[Anomaly], out: str | os.PathLike[str]
) -> records.DatasetInfo:
    """Return the description of a blessed folder.

    Raises:
        UserError: if it is not; a table of what is wrong is logged before.
    """
    if not refused:
        return info
    names = log_table(info.dataset, refused)
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


def choose_schema(
    info: records.DatasetInfo, given: str | None, statistics: Statistics
) -> schema_pb2.Schema:
    """Take the schema that was given, the one known for the data set, or what the data show."""
    if given:
        return schemas.load(pathlib.Path(given))
    made_with = info.parameters
    known = schemas.known(made_with.get("dataset") or "")
    # A data set that is changed by flags is another one.
    if known and not any(made_with.get(name) for name in ("size", "channels", "splits")):
        return schemas.load(known)
    return schemas.infer(statistics, info.image_shape, info.classes)
