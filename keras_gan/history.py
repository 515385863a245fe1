"""What a run wrote to TensorBoard, read back without TensorFlow.

A run that was resumed has event files of several processes. Steps that were trained twice count as
they were written last, and what a process wrote at steps after a later training process began is
void: those weights were thrown away.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_gan import records

# What only training writes: a command that judges an earlier checkpoint makes nothing void.
# D may rest for a while.
TRAINING = ("d_loss", "g_loss")
_FILE = re.compile(r"events\.out\.tfevents\.(\d+)\.(.+)\.(\d+)\.(\d+)\.v2")


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Counts between edges.

    Args:
        edges: float64 [n + 1].
        counts: float64 [n].
    """

    edges: np.ndarray
    counts: np.ndarray


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image as it was written.

    Args:
        width: in pixels.
        height: in pixels.
        png: the file.
    """

    width: int
    height: int
    png: bytes


@dataclasses.dataclass(frozen=True)
class Curve:
    """One scalar over a run.

    Args:
        steps: int64 [n], rising.
        values: float64 [n].
    """

    steps: np.ndarray
    values: np.ndarray


@dataclasses.dataclass
class History:
    """All that a run logged, by tag; steps rise.

    Args:
        scalars: numbers.
        histograms: (step, histogram) pairs.
        images: (step, picture) pairs; the first picture of each step.
        texts: (step, text) pairs; several of one step are all kept.
        descriptions: what was said of a tag, where something was.
    """

    scalars: dict[str, Curve] = dataclasses.field(default_factory=dict)
    histograms: dict[str, list[tuple[int, Histogram]]] = dataclasses.field(default_factory=dict)
    images: dict[str, list[tuple[int, Picture]]] = dataclasses.field(default_factory=dict)
    texts: dict[str, list[tuple[int, str]]] = dataclasses.field(default_factory=dict)
    descriptions: dict[str, str] = dataclasses.field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.scalars or self.histograms or self.images or self.texts)

    @property
    def last_step(self) -> int:
        """The last step of which anything is known."""
        curves = [int(curve.steps[-1]) for curve in self.scalars.values()]
        others: list[list[tuple[int, Any]]] = [
            *self.histograms.values(),
            *self.images.values(),
            *self.texts.values(),
        ]
        return max([*curves, *(pairs[-1][0] for pairs in others)], default=0)


@dataclasses.dataclass(frozen=True)
class _Event:
    """One value: when it was written, of which step and tag, by which plugin; what it is."""

    time: float
    step: int
    tag: str
    plugin: str
    tensor: Any
    description: str


def read(folder: str | os.PathLike[str]) -> History:
    """Read every event file of a folder; of a file that is cut short, what is whole.

    Args:
        folder: of one run; empty or not there, it gives an empty history.
    """
    processes = [
        sorted((event for path in paths for event in _events(path)), key=lambda event: event.time)
        for paths in _processes(pathlib.Path(folder))
    ]
    # Each process goes back to where its first line of training is.
    processes = sorted((events for events in processes if events), key=lambda each: each[0].time)
    found: dict[tuple[str, str], dict[int, list[Any]]] = {}
    for events in processes:
        trained = [event.step for event in events if event.tag in TRAINING]
        if trained:
            for values in found.values():
                for step in [step for step in values if step > min(trained)]:
                    del values[step]
        written: dict[tuple[str, str], dict[int, list[Any]]] = {}
        for event in events:
            values = written.setdefault((event.plugin, event.tag), {})
            values.setdefault(event.step, []).append(event.tensor)
        for key, values in written.items():
            found.setdefault(key, {}).update(values)
    history = _history({key: values for key, values in found.items() if values})
    every = (event for events in processes for event in events)
    history.descriptions = {event.tag: event.description for event in every if event.description}
    return history


def _processes(folder: pathlib.Path) -> list[list[pathlib.Path]]:
    """Tell which files are of one process: it numbers them, from 0 on."""
    grouped: dict[tuple[str, ...], list[tuple[int, int, pathlib.Path]]] = {}
    for path in sorted(folder.glob("*.tfevents.*")):
        named = _FILE.fullmatch(path.name)
        if named:
            key = (named[2], named[3])
            grouped.setdefault(key, []).append((int(named[1]), int(named[4]), path))
        else:
            grouped[(path.name,)] = [(0, 0, path)]
    processes: list[list[pathlib.Path]] = []
    for files in grouped.values():
        before = -1
        for number, path in ((number, path) for _, number, path in sorted(files)):
            if number <= before or before < 0:  # in a container all have the same process id
                processes.append([])
            processes[-1].append(path)
            before = number
    return processes


def _events(path: pathlib.Path) -> Iterator[_Event]:
    """Read the values of one event file up to where it is cut short."""
    from tensorboard.compat.proto import event_pb2

    plugins: dict[str, str] = {}
    try:
        for record in records.unframe(path.read_bytes()):
            event = event_pb2.Event.FromString(record)
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name or plugins.get(value.tag, "")
                plugins[value.tag] = plugin
                yield _Event(
                    event.wall_time,
                    event.step,
                    value.tag,
                    plugin,
                    value.tensor,
                    value.metadata.summary_description,
                )
    except (OSError, ValueError):  # it is still being written, or its process was killed
        return


def _history(found: dict[tuple[str, str], dict[int, list[Any]]]) -> History:
    """Decode what counts."""
    from tensorboard.util.tensor_util import make_ndarray

    history = History()
    for (plugin, tag), values in found.items():
        steps = sorted(values)
        latest = ((step, make_ndarray(values[step][-1])) for step in steps)
        if plugin == "scalars":
            numbers = np.array([float(array) for _, array in latest])
            history.scalars[tag] = Curve(np.array(steps, np.int64), numbers)
        elif plugin == "histograms":
            history.histograms[tag] = [
                (step, _histogram(array))
                for step, array in latest
                if array.size and np.isfinite(array).all() and array[:, 2].sum() > 0
            ]
        elif plugin == "images":
            history.images[tag] = [
                (step, Picture(int(array[0]), int(array[1]), bytes(array[2])))
                for step, array in latest
                if array.size > 2
            ]
        elif plugin == "text":
            history.texts[tag] = [
                (step, _text(make_ndarray(tensor))) for step in steps for tensor in values[step]
            ]
    for kept in (history.histograms, history.images):
        for tag in [tag for tag, pairs in kept.items() if not pairs]:
            del kept[tag]
    return history


def _histogram(buckets: np.ndarray) -> Histogram:
    """Read rows of left edge, right edge and count."""
    buckets = buckets.astype(np.float64)
    return Histogram(np.append(buckets[:, 0], buckets[-1, 1]), buckets[:, 2])


def _text(array: np.ndarray) -> str:
    parts = [part.decode(errors="replace") for part in array.ravel().tolist()]
    return "\n".join(parts)
