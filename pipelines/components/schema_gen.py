"""SchemaGen: the schema that was given, the one known for the data set, or what the data show."""

from keras_gan import records
from pipelines import blessing, schema
from pipelines.components import statistics
from pipelines.components.component import Outcome, Work


def run(work: Work) -> Outcome:
    """Write `schema.pbtxt`."""
    info = records.DatasetInfo.read(work.inputs["examples"])
    found = statistics.read(work.inputs["statistics"])
    chosen = blessing.choose_schema(info, work.arguments["schema"], found)
    (work.outputs["schema"] / records.SCHEMA_FILE).write_text(schema.to_text(chosen))
    return Outcome({"given": bool(work.arguments["schema"])})
