"""What a component is given and what it gives back."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple


class Work(NamedTuple):
    """What a component is given.

    Args:
        inputs: input key -> the artifact's folder.
        outputs: output key -> an empty folder to fill, which appears whole or not at all.
        parameters: what decides the result besides the inputs.
        arguments: what does not: where things are.
        scratch: a folder, not made yet, that is the same when a killed step runs again.
        properties: input key -> what is known of the artifact.
        lineage: gives what the inputs come from, as JSON can hold it.
    """

    inputs: dict[str, pathlib.Path]
    outputs: dict[str, pathlib.Path]
    parameters: dict[str, Any]
    arguments: dict[str, Any]
    scratch: pathlib.Path
    properties: dict[str, dict[str, Any]]
    lineage: Callable[[], dict[str, Any]]


class Outcome(NamedTuple):
    """What a component gives back.

    Args:
        properties: of its outputs, as JSON can hold them; `blessed` 0 with a `reason` ends the
            chain.
        place: where the output is, of a component that makes it outside the chain's folder.
    """

    properties: dict[str, Any]
    place: pathlib.Path | None = None
