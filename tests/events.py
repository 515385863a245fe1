"""Event files as several processes leave them in one folder."""

import pathlib

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.util.tensor_util import make_tensor_proto

from keras_gan import records


def write_events(folder, events, *, start=100, host="host", pid=1, number=0):
    """Write one event file of a process.

    Args:
        folder: of the run.
        events: (step, tag, value) in the order of writing; floats are scalars, [k, 3] arrays are
            histograms, strings texts, lists of bytes images.
        start: second at which the file was made; its events follow.
        host: of the process.
        pid: of the process.
        number: of the file in its process.
    """
    header = event_pb2.Event(wall_time=start, file_version="brain.Event:2")
    frames = [records.frame(header.SerializeToString())]
    for i, (step, tag, value) in enumerate(events):
        array = np.asarray(value, object if isinstance(value, str | list) else np.float32)
        plugin = {str: "text", list: "images", np.ndarray: "histograms"}.get(type(value), "scalars")
        metadata = summary_pb2.SummaryMetadata()
        metadata.plugin_data.plugin_name = plugin
        one = summary_pb2.Summary.Value(tag=tag, tensor=make_tensor_proto(array), metadata=metadata)
        event = event_pb2.Event(wall_time=start + 0.001 * (i + 1), step=step)
        event.summary.value.append(one)
        frames.append(records.frame(event.SerializeToString()))
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{start}.{host}.{pid}.{number}.v2"
    path.write_bytes(b"".join(frames))
    return path
