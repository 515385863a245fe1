"""ExampleValidator: statistics against the schema; what does not hold must be allowed."""

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from keras_gan import records
from keras_gan.interfaces import UserError
from pipelines import blessing, schema
from pipelines.components import statistics
from pipelines.components.component import Outcome, Work
from pipelines.schema import Anomaly

LEAST_VALIDATION = 4  # of which half choose the Parzen window's width, and half decide

FEATURES = {  # what each anomaly is one of; of the others, the whole data set
    "value_range": "image/value",
    "near_constant": "image/contrast",
    "brightness_drift": "image/brightness",
    "label_missing": "label",
    "label_domain": "label",
    "class_missing": "label",
    "class_drift": "label",
}


def run(work: Work) -> Outcome:
    """Write each split's `Split-NAME/SchemaDiff.pb`."""
    info = records.DatasetInfo.read(work.inputs["examples"])
    if info.counts.get("validation", 0) < LEAST_VALIDATION:  # better known before training
        raise UserError(
            f"Expected at least {LEAST_VALIDATION} validation images, on which a generator is "
            f"blessed; received {info.counts} of {info.dataset}. Try --set=validation=hash:0.1."
        )
    expected = schema.load(work.inputs["schema"] / records.SCHEMA_FILE)
    found = blessing.find_anomalies(
        info, expected, statistics.read(work.inputs["statistics"]), work.parameters["max_rejected"]
    )
    allowed = set(work.parameters["allow"])
    for split in info.counts:
        own = [anomaly for anomaly in found if anomaly.split in (split, "all")]
        (work.outputs["anomalies"] / f"Split-{split}").mkdir()
        path = work.outputs["anomalies"] / f"Split-{split}" / "SchemaDiff.pb"
        path.write_bytes(_to_proto(expected, own, allowed).SerializeToString(deterministic=True))
    refused = [anomaly for anomaly in found if anomaly.name not in allowed]
    reason = ""
    if refused:
        names = blessing.log_table(info.dataset, refused)
        told = "; ".join(f"{a.name} ({a.split}: {a.text})" for a in refused)
        reason = (
            f"Expected data without anomalies; received {told}. Nothing was trained. Try better "
            f"data, another --schema, or --allow={names}."
        )
    return Outcome(
        {
            "blessed": int(not refused),
            "reason": reason,
            "anomalies": sorted({anomaly.name for anomaly in found}),
        }
    )


def _to_proto(
    expected: schema_pb2.Schema, found: list[Anomaly], allowed: set[str]
) -> anomalies_pb2.Anomalies:
    """Write a split's anomalies in TensorFlow Metadata's form; what is allowed is a warning."""
    result = anomalies_pb2.Anomalies(baseline=expected)
    result.anomaly_name_format = anomalies_pb2.Anomalies.SERIALIZED_PATH
    for anomaly in found:
        feature = FEATURES.get(anomaly.name)
        info = result.anomaly_info[feature] if feature else result.dataset_anomaly_info
        if feature:
            info.path.step[:] = [feature]
        severity = anomalies_pb2.AnomalyInfo.WARNING
        if anomaly.name not in allowed:
            severity = anomalies_pb2.AnomalyInfo.ERROR
        info.severity = max(info.severity, severity)
        several = bool(info.reason)
        info.short_description = "Multiple errors" if several else schema.NAMES[anomaly.name]
        info.description = " ".join(filter(None, (info.description, f"{anomaly.text}.")))
        info.reason.add(
            type=anomalies_pb2.AnomalyInfo.CUSTOM_VALIDATION,
            short_description=schema.NAMES[anomaly.name],
            description=f"{anomaly.name}: {anomaly.text}",
        )
    return result
