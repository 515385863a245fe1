"""Statistics as StatisticsGen left them."""

import pathlib

from tensorflow_metadata.proto.v0 import statistics_pb2

from pipelines.schema import Statistics


def read(folder: pathlib.Path) -> Statistics:
    """Read each split's `Split-NAME/FeatureStats.pb`."""
    found = {}
    for path in sorted(folder.glob("Split-*/FeatureStats.pb")):
        listed = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes())
        found[path.parent.name.removeprefix("Split-")] = listed.datasets[0]
    return found
