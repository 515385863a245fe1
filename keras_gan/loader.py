"""Load an export as TensorFlow Serving does, and answer its warm-up requests.

    python -m keras_gan.loader saved_models/mnist

Takes one version's folder, or a folder of versions, whose newest is loaded.
This is TensorFlow's own C++ loader: neither Keras nor TensorFlow's Python is in the process. Prints
a line for each request; exit code 2 and a sentence if one has no answer, or none that is finite.
"""

import os
import pathlib
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from absl import flags

from keras_gan import card, cli, files, messages, records
from keras_gan.interfaces import UserError
from keras_gan.servable import Servable, ServingError

FLAGS = flags.FlagValues()
flags.DEFINE_string("out", None, "Write the answers to this .npz file too.", flag_values=FLAGS)


def warm_up_requests(folder: str | os.PathLike[str]) -> Iterator[Any]:
    """Read an export's warm-up requests, PredictRequest messages.

    Raises:
        UserError: if there are none, or the file is not whole.
    """
    path = pathlib.Path(folder) / card.WARM_UP
    if not path.is_file():
        raise UserError(f"Expected warm-up requests in {path}; received no such file.")
    try:
        for record in records.unframe(path.read_bytes()):
            yield messages.PredictionLog.FromString(record).predict_log.request
    except (ValueError, messages.DecodeError) as error:
        raise UserError(f"Expected whole requests in {path}; received: {error}") from error


def replay(folder: str | os.PathLike[str]) -> Iterator[tuple[str, dict[str, np.ndarray], float]]:
    """Load an export and answer its warm-up requests.

    Yields:
        (signature, answer, seconds) for each request.

    Raises:
        UserError: if one has no answer, or one that is not finite.
    """
    with cli.without_chatter():
        servable = Servable(folder)
    requests = list(warm_up_requests(folder))
    untested = set(servable.signatures) - {r.model_spec.signature_name for r in requests}
    if untested:
        raise UserError(
            f"Expected {pathlib.Path(folder) / card.WARM_UP} to have requests for every signature; "
            f"received none for {', '.join(sorted(untested))}."
        )
    for request in requests:
        name = request.model_spec.signature_name
        inputs = {key: messages.read_tensor(value) for key, value in request.inputs.items()}
        start = time.perf_counter()
        try:
            answer = servable.run(name, inputs)
        except ServingError as error:
            raise UserError(f"Expected an answer of {name}; received: {error}") from error
        seconds = time.perf_counter() - start
        for key, array in answer.items():
            if array.dtype != object and not np.isfinite(array).all():
                raise UserError(f"Expected finite {key} of {name}; received others.")
        yield name, answer, seconds


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Run the command with its parsed flags."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise UserError(f"Expected one export; received {' '.join(arguments) or 'none'}.")
    answers: dict[str, Any] = {}
    for number, (name, answer, seconds) in enumerate(replay(card.find(arguments[0]))):
        shapes = ", ".join(f"{key} {list(array.shape)}" for key, array in answer.items())
        print(f"{name:<20}{seconds * 1e3:8.1f} ms  {shapes}")  # noqa: T201
        for key, array in answer.items():
            answers[f"{number}/{key}"] = array.astype(bytes) if array.dtype == object else array
    if values.out:
        with files.replacing(values.out) as temporary, temporary.open("wb") as file:
            np.savez(file, **answers)


def run() -> int:
    """Run the command line."""
    return cli.run(main, FLAGS, __doc__ or "", pass_on=True)


if __name__ == "__main__":
    sys.exit(run())
