"""Two ways to ask a server of TensorFlow Serving's protocols: gRPC and REST. No TensorFlow here."""

import base64
import contextlib
import json
import pathlib
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import requests
import urllib3

from keras_gan import messages
from keras_gan.interfaces import UserError

FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0  # seconds between two tries

CHUNK = 2**16  # bytes read at once

# What HTTP calls gRPC's codes in TensorFlow Serving's answers.
_CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


class ServerError(UserError):
    """A request that a server did not answer; `code` is gRPC's name of the reason."""

    def __init__(self, code: str, sentence: str):
        super().__init__(sentence)
        self.code = code


class Description(NamedTuple):
    """What a server says of a model: the version that answers, and each signature's inputs."""

    version: int
    signatures: dict[str, set[str]]


class Transport(Protocol):
    """One way to ask a server."""

    prefers_png: bool

    def predict(
        self, spec: Any, inputs: dict[str, np.ndarray], output: str, seconds: float
    ) -> np.ndarray:
        """Return one output of what `messages.model_spec` named, within so many seconds."""
        ...

    def describe(self, spec: Any, seconds: float) -> Description:
        """Say which version answers, and how it can be asked."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Grpc:
    """gRPC, with the few messages of keras_gan.messages."""

    prefers_png = False  # numbers travel as they are, and a server is faster without encoding

    def __init__(self, host: str, port: int, tls: bool, certificates: str | None):
        try:
            import grpc
        except ImportError as error:
            raise UserError(
                "Expected grpcio for a grpc:// address; received none. Try pip install "
                "'keras_gan[serving]', or http:// with the server's REST port."
            ) from error
        self._error = grpc.RpcError
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.enable_retries", 0),  # the client's own rule is the only one
            ("grpc.initial_reconnect_backoff_ms", int(FIRST_WAIT * 1000)),
            ("grpc.max_reconnect_backoff_ms", int(LONGEST_WAIT * 1000)),
        ]
        if tls:
            roots = _read(certificates) if certificates else None
            credentials = grpc.ssl_channel_credentials(root_certificates=roots)
            self._channel = grpc.secure_channel(address, credentials, options)
        else:
            self._channel = grpc.insecure_channel(address, options)
        service = "/tensorflow.serving.PredictionService/"
        self._predict = self._channel.unary_unary(
            service + "Predict",
            request_serializer=messages.PredictRequest.SerializeToString,
            response_deserializer=messages.PredictResponse.FromString,
        )
        self._metadata = self._channel.unary_unary(
            service + "GetModelMetadata",
            request_serializer=messages.GetModelMetadataRequest.SerializeToString,
            response_deserializer=messages.GetModelMetadataResponse.FromString,
        )

    def predict(
        self, spec: Any, inputs: dict[str, np.ndarray], output: str, seconds: float
    ) -> np.ndarray:
        """Send a PredictRequest."""
        request = messages.predict_request(inputs, spec)
        answer = self._called(self._predict, request, seconds)
        with _understanding():
            return messages.read_tensor(answer.outputs[output])  # one not there has no type

    def describe(self, spec: Any, seconds: float) -> Description:
        """Send a GetModelMetadataRequest."""
        request = messages.GetModelMetadataRequest(
            model_spec=spec, metadata_field=["signature_def"]
        )
        answer = self._called(self._metadata, request, seconds)
        with _understanding():
            found = messages.SignatureMap.FromString(answer.metadata["signature_def"].value)
        signatures = {name: set(each.inputs) for name, each in found.signature_def.items()}
        return Description(answer.model_spec.version.value, signatures)

    def close(self) -> None:
        """Let go of connections."""
        self._channel.close()

    def _called(self, method: Any, request: Any, seconds: float) -> Any:
        try:
            return method(request, timeout=seconds)
        except self._error as error:
            raise ServerError(error.code().name, str(error.details())) from error


class Rest:
    """TensorFlow Serving's REST routes."""

    prefers_png = True  # a pixel as decimal text is a dozen bytes

    def __init__(self, host: str, port: int, tls: bool, certificates: str | None):
        name = f"[{host}]" if ":" in host else host
        self._root = f"{'https' if tls else 'http'}://{name}:{port}/v1/models/"
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, other certificates or .netrc from elsewhere
        if certificates:
            _read(certificates)
            self._session.verify = certificates

    def predict(
        self, spec: Any, inputs: dict[str, np.ndarray], output: str, seconds: float
    ) -> np.ndarray:
        """Post to :predict, in columns."""
        body = {
            "signature_name": spec.signature_name,
            "inputs": {name: array.tolist() for name, array in inputs.items()},
        }
        found = self._called("POST", f"{_path(spec)}:predict", seconds, json=body)
        with _understanding():
            column = found["outputs"]
            if isinstance(column, dict):  # several of them; one alone comes without its name
                column = column[output]
            if output.endswith("_bytes"):
                texts = [base64.b64decode(each["b64"]) for each in column]
                return np.array([*texts, None], object)[:-1]
            return np.array(column, np.float32)

    def describe(self, spec: Any, seconds: float) -> Description:
        """Get the metadata page."""
        found = self._called("GET", f"{_path(spec)}/metadata", seconds)
        with _understanding():
            signatures = found["metadata"]["signature_def"]["signature_def"]
            return Description(
                int(found["model_spec"]["version"]),
                {name: set(each["inputs"]) for name, each in signatures.items()},
            )

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()

    def _called(self, method: str, path: str, seconds: float, **arguments: Any) -> Any:
        deadline = time.monotonic() + seconds
        content = bytearray()
        try:
            with self._session.request(
                method,
                self._root + path,
                timeout=seconds,
                allow_redirects=False,
                stream=True,
                **arguments,
            ) as answer:
                # The time-out of requests is of each read; this is of all of them.
                while chunk := answer.raw.read1(CHUNK, decode_content=True):
                    content += chunk
                    if time.monotonic() > deadline:
                        raise ServerError("DEADLINE_EXCEEDED", "the answer came too slowly")
        except (requests.Timeout, urllib3.exceptions.ReadTimeoutError) as error:
            raise ServerError("DEADLINE_EXCEEDED", str(error)) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ServerError("UNAVAILABLE", str(error)) from error
        text = content.decode(errors="replace")
        try:
            found = json.loads(text)
        except ValueError:
            found = {"error": f"{answer.status_code} {text[:200]!r}, which is no JSON"}
        if answer.status_code != 200 or not isinstance(found, dict) or "error" in found:
            code = _CODES.get(answer.status_code, "UNKNOWN")
            said = found.get("error", text[:200]) if isinstance(found, dict) else text[:200]
            raise ServerError(code, f"{said} (HTTP {answer.status_code})")
        return found


@contextlib.contextmanager
def _understanding() -> Iterator[None]:
    """Give what cannot be read of an answer a code and a sentence."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, messages.DecodeError) as error:
        raise ServerError("UNKNOWN", f"an answer that cannot be read, {error!r}") from error


def _path(spec: Any) -> str:
    name = urllib.parse.quote(spec.name, safe="")
    if spec.HasField("version"):
        return f"{name}/versions/{spec.version.value}"
    if spec.version_label:
        return f"{name}/labels/{urllib.parse.quote(spec.version_label, safe='')}"
    return name


def _read(path: str) -> bytes:
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise UserError(
            f"Expected a PEM file of certificates; received {path}: {error.strerror}."
        ) from error
