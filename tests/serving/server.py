"""A server of TensorFlow Serving's protocols over TensorFlow's C++ loader, for tests.

    python -m tests.serving.server --base=saved_models/mnist --name=mnist

PredictionService and ModelService over gRPC, built on the published stubs, and the REST routes; on
loopback only. What is tested against it is that the client, the exports and the protocols agree: it
is not TensorFlow Serving. Prints one line of JSON, its ports, when a version is loaded.
"""

import argparse
import base64
import concurrent.futures
import http.server
import json
import pathlib
import re
import signal
import sys
import threading
import time

import grpc
import numpy as np
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from keras_gan import card, loader, messages
from keras_gan.interfaces import UserError
from keras_gan.servable import INVALID_ARGUMENT, Servable, ServingError

NOT_FOUND, UNAVAILABLE = 5, 14
HTTP = {INVALID_ARGUMENT: 400, NOT_FOUND: 404, UNAVAILABLE: 503, 4: 504}
CODES = {code.value[0]: code for code in grpc.StatusCode}


class Versions:
    """The loaded versions of one model: the newest, or all, as a folder has them."""

    def __init__(self, base, name, keep_all, labels):
        self.base, self.name, self.keep_all = pathlib.Path(base), name, keep_all
        self.labels = labels
        self.loaded: dict[int, Servable] = {}
        self.folders: dict[int, tuple[int, int]] = {}
        self.failed: dict[int, str] = {}

    def poll(self):
        """Load what is new; then let go of what is no longer wanted."""
        present = card.versions(self.base)
        wanted = present if self.keep_all else present[-1:]
        for number in wanted:
            try:
                folder = identity(self.base / str(number))
                if self.folders.get(number) != folder or number not in self.loaded:
                    servable = load(self.base / str(number))
                    if identity(self.base / str(number)) != folder:
                        raise UserError(f"version {number} was replaced while it was loaded")
                    self.loaded[number], self.folders[number] = servable, folder
                    self.failed.pop(number, None)
            except (UserError, OSError) as error:  # the older ones go on
                self.failed[number] = str(error)
        if any(number in self.loaded for number in wanted):
            # A session is freed with the last request that uses it.
            self.loaded = {n: each for n, each in self.loaded.items() if n in wanted}

    def find(self, name, number=None, label=""):
        """Return (version, servable) as TensorFlow Serving chooses it."""
        if label:
            if label not in self.labels:
                raise ServingError(NOT_FOUND, f"Unrecognized servable version label: {label}")
            number = self.labels[label]
        loaded = dict(self.loaded)
        chosen = max(loaded, default=-1) if number is None else number
        if name != self.name or chosen not in loaded:
            wanted = f"Specific({name}, {number})" if number is not None else f"Latest({name})"
            raise ServingError(NOT_FOUND, f"Servable not found for request: {wanted}")
        return chosen, loaded[chosen]


def identity(folder):
    """What tells a folder from another one that later has its name."""
    found = folder.stat()
    return found.st_ino, found.st_ctime_ns


def load(folder):
    """Load a version; its warm-up requests, where it has them, must all have answers."""
    servable = Servable(folder)
    if (folder / card.WARM_UP).is_file():
        for request in loader.warm_up_requests(folder):
            inputs = {key: messages.read_tensor(value) for key, value in request.inputs.items()}
            try:
                servable.run(request.model_spec.signature_name, inputs)
            except ServingError as error:
                raise UserError(f"warm-up: {error}") from error
    return servable


class Faults:
    """What goes wrong on purpose, as a JSON file says: {"delay": seconds, "unavailable": times}."""

    def __init__(self, path):
        self.path = pathlib.Path(path) if path else None
        self.lock = threading.Lock()
        self.text, self.wanted = "", {}

    def happen(self, seconds_left=None):
        if self.path is None or not self.path.is_file():
            return
        with self.lock:
            text = self.path.read_text()
            if text != self.text:
                self.text, self.wanted = text, json.loads(text)
            refuse = self.wanted.get("unavailable", 0) > 0
            self.wanted["unavailable"] = self.wanted.get("unavailable", 0) - 1
            with self.path.with_name("asked").open("a") as file:
                file.write(f"{seconds_left}\n")
        time.sleep(self.wanted.get("delay", 0))
        if refuse:
            raise ServingError(UNAVAILABLE, "on purpose")


def requested(spec):
    """Read a ModelSpec: name, version or None, label."""
    number = spec.version.value if spec.HasField("version") else None
    return spec.name, number, spec.version_label


class Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, versions, faults):
        self.versions, self.faults = versions, faults

    def Predict(self, request, context):  # noqa: N802
        try:
            self.faults.happen(context.time_remaining())
            number, servable = self.versions.find(*requested(request.model_spec))
            signature = request.model_spec.signature_name or "serving_default"
            inputs = {key: read(value) for key, value in request.inputs.items()}
            answer = predict_pb2.PredictResponse()
            answer.model_spec.name = self.versions.name
            answer.model_spec.version.value = number
            answer.model_spec.signature_name = signature
            for key, array in servable.run(signature, inputs).items():
                tensor = messages.PredictResponse().outputs["x"]
                messages.fill_tensor(tensor, array)
                answer.outputs[key].ParseFromString(tensor.SerializeToString())
            return answer
        except ServingError as error:
            context.abort(CODES[error.code], str(error))

    def GetModelMetadata(self, request, context):  # noqa: N802
        try:
            number, servable = self.versions.find(*requested(request.model_spec))
        except ServingError as error:
            context.abort(CODES[error.code], str(error))
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.model_spec.name = self.versions.name
        answer.model_spec.version.value = number
        answer.metadata["signature_def"].Pack(signature_map(servable))
        return answer


class Models(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, versions):
        self.versions = versions

    def GetModelStatus(self, request, context):  # noqa: N802
        try:
            return status(self.versions, *requested(request.model_spec)[:2])
        except ServingError as error:
            context.abort(CODES[error.code], str(error))


def signature_map(servable):
    found = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in servable.signatures.items():
        for ours, theirs in zip(
            signature, (found.signature_def[name].inputs, found.signature_def[name].outputs),
            strict=True,
        ):  # fmt: skip
            for key, info in ours.items():
                theirs[key].ParseFromString(info.SerializeToString())
    return found


def status(versions, name, number):
    if name != versions.name:
        raise ServingError(NOT_FOUND, f"Could not find any versions of model {name}")
    answer = get_model_status_pb2.GetModelStatusResponse()
    for each in sorted({*versions.loaded, *versions.failed}, reverse=True):
        if number in (None, each):
            loaded = each in versions.loaded
            one = answer.model_version_status.add(version=each, state=30 if loaded else 50)
            one.status.error_message = versions.failed.get(each, "")
    if not answer.model_version_status:
        raise ServingError(NOT_FOUND, f"Could not find version {number} of model {name}")
    return answer


def read(tensor):
    ours = messages.PredictRequest().inputs["x"]
    ours.ParseFromString(tensor.SerializeToString())
    try:
        return messages.read_tensor(ours)
    except ValueError as error:
        raise ServingError(INVALID_ARGUMENT, str(error)) from error


ROUTE = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>:predict|/metadata|)"
)


def rest_handler(versions, faults):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # head and body in one packet: else each answer waits 40 ms for the other end

        def do_GET(self):
            self.answer(self.get)

        def do_POST(self):
            self.answer(self.post)

        def answer(self, act):
            length = int(self.headers.get("Content-Length") or 0)
            self.body = self.rfile.read(length)
            try:
                match = ROUTE.fullmatch(self.path)
                if match is None:
                    raise ServingError(INVALID_ARGUMENT, f"Malformed request: {self.path}")
                number = None if match["version"] is None else int(match["version"])
                code, found = 200, act(match["verb"], match["name"], number, match["label"] or "")
            except ServingError as error:
                code, found = HTTP.get(error.code, 500), {"error": str(error)}
            content = json.dumps(found).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def get(self, verb, name, number, label):
            if verb == ":predict":
                raise ServingError(INVALID_ARGUMENT, f"Malformed request: GET {self.path}")
            if verb == "":
                number = versions.find(name, number, label)[0] if label else number
                return as_json(status(versions, name, number))
            found, servable = versions.find(name, number, label)
            spec = {"name": name, "signature_name": "", "version": str(found)}
            return {
                "model_spec": spec,
                "metadata": {"signature_def": as_json(signature_map(servable))},
            }

        def post(self, verb, name, number, label):
            faults.happen()
            if verb != ":predict":
                raise ServingError(INVALID_ARGUMENT, f"Malformed request: {self.path}")
            _, servable = versions.find(name, number, label)
            try:
                body = json.loads(self.body)
                signature = body.get("signature_name", "serving_default")
                columns = "inputs" in body
                given = body["inputs"] if columns else body["instances"]
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise ServingError(INVALID_ARGUMENT, f"JSON parse error: {error!r}") from error
            expected = servable.signatures.get(signature)
            if expected is None:
                servable.run(signature, {})  # says so
            if not columns and given and isinstance(given[0], dict):
                given = {key: [row[key] for row in given] for key in given[0]}
            if not isinstance(given, dict):
                given = {next(iter(expected.inputs)): given}
            inputs = {
                key: numbers(key, value, expected.inputs[key]) if key in expected.inputs else value
                for key, value in given.items()
            }
            if set(inputs) != set(expected.inputs):
                raise ServingError(
                    INVALID_ARGUMENT,
                    f"Expected inputs {sorted(expected.inputs)} for {signature}; received "
                    f"{sorted(inputs)}.",
                )
            answer = {k: plain(k, v) for k, v in servable.run(signature, inputs).items()}
            if columns:
                return {"outputs": next(iter(answer.values())) if len(answer) == 1 else answer}
            rows = [dict(zip(answer, row, strict=True)) for row in zip(*answer.values())]  # noqa: B905
            one = len(answer) == 1
            return {"predictions": [next(iter(r.values())) for r in rows] if one else rows}

        def log_message(self, *arguments):
            pass

    return Handler


def numbers(key, value, info):
    """Read what JSON has for an input."""
    dtype = messages.DTYPES[info.dtype]
    try:
        found = np.array(value)
        fits = found.dtype.kind in "iuf" and np.can_cast(found.dtype, dtype, "same_kind")
        if found.size and not fits:
            raise ValueError(f"received {found.dtype}")
        return np.array(value, dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise ServingError(INVALID_ARGUMENT, f"Expected {key} of {dtype}: {error}") from error


def as_json(message):
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def plain(name, array):
    if array.dtype != object:
        return array.tolist()
    assert name.endswith("_bytes")  # or TensorFlow Serving would take it for text
    return [{"b64": base64.b64encode(text).decode()} for text in array]


def main():
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--base", required=True, help="folder of the versions")
    parser.add_argument("--name", required=True, help="what the model is called")
    parser.add_argument("--port", type=int, default=0, help="of gRPC (default: any free one)")
    parser.add_argument("--rest_port", type=int, default=0, help="of REST")
    parser.add_argument("--all", action="store_true", help="serve every version, not the newest")
    parser.add_argument("--labels", type=json.loads, default={}, help='as in {"stable": 2}')
    parser.add_argument("--poll", type=float, default=0.2, help="seconds between two looks")
    parser.add_argument("--faults", default="")
    parser.add_argument("--key", default="")
    parser.add_argument("--certificate", default="")
    flags = parser.parse_args()
    versions = Versions(flags.base, flags.name, flags.all, flags.labels)
    faults = Faults(flags.faults)
    versions.poll()
    for label, number in versions.labels.items():
        if number not in versions.loaded:
            parser.error(f"label {label!r} is of version {number}; loaded are {[*versions.loaded]}")
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(8),
        options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Predictions(versions, faults), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(versions), server)
    secure = 0
    if flags.key:
        pair = (pathlib.Path(flags.key).read_bytes(), pathlib.Path(flags.certificate).read_bytes())
        credentials = grpc.ssl_server_credentials([pair])
        secure = server.add_secure_port("127.0.0.1:0", credentials)
    port = server.add_insecure_port(f"127.0.0.1:{flags.port}")
    server.start()
    rest = http.server.ThreadingHTTPServer(
        ("127.0.0.1", flags.rest_port), rest_handler(versions, faults)
    )
    rest.daemon_threads = True
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    ports = {"grpc": port, "grpcs": secure, "rest": rest.server_address[1]}
    print(json.dumps(ports), flush=True)  # noqa: T201
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    while not stop.wait(flags.poll):
        versions.poll()
    sys.stdout.flush()


if __name__ == "__main__":
    main()
