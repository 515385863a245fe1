"""TensorFlow Serving's messages, without TensorFlow.

The published stubs (tensorflow-serving-api) import all of TensorFlow, which takes seconds and half
a gigabyte. Protocol buffers are told apart by field numbers alone, so that the few messages of a
client are declared here, under names of their own; `tests/test_messages.py` compares them with the
published ones.
"""

import math
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

__all__ = ["DecodeError"]  # what FromString raises

_PACKAGE = "keras_gan"

# Message -> field -> (number, type); "[X]" is repeated, "{X}" a map from strings. Enumerations are
# int32, which looks the same on the wire.
_FIELDS: dict[str, dict[str, tuple[int, str]]] = {
    # tensorflow/core/framework: types.proto, tensor_shape.proto, tensor.proto
    "Dimension": {"size": (1, "int64")},
    "TensorShape": {"dim": (2, "[Dimension]"), "unknown_rank": (3, "bool")},
    "Tensor": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "TensorShape"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "[float]"),
        "double_val": (6, "[double]"),
        "int_val": (7, "[int32]"),
        "string_val": (8, "[bytes]"),
        "int64_val": (10, "[int64]"),
        "bool_val": (11, "[bool]"),
    },
    # tensorflow/core/protobuf: meta_graph.proto, saver.proto, saved_model.proto,
    # saved_object_graph.proto; tensorflow/core/framework: graph.proto, op_def.proto, ...
    "TensorInfo": {
        "name": (1, "string"),
        "dtype": (2, "int32"),
        "tensor_shape": (3, "TensorShape"),
    },
    "Signature": {
        "inputs": (1, "{TensorInfo}"),
        "outputs": (2, "{TensorInfo}"),
        "method_name": (3, "string"),
    },
    "FunctionName": {"name": (1, "string")},
    "FunctionNames": {"func": (9, "[FunctionName]")},
    "Attribute": {"list": (1, "FunctionNames"), "func": (10, "FunctionName")},
    "Node": {
        "name": (1, "string"),
        "op": (2, "string"),
        "input": (3, "[string]"),
        "attr": (5, "{Attribute}"),
    },
    "Operation": {"name": (1, "string"), "is_stateful": (17, "bool")},
    "Operations": {"op": (1, "[Operation]")},
    "Function": {"signature": (1, "Operation"), "node_def": (3, "[Node]")},
    "FunctionLibrary": {"function": (1, "[Function]")},
    "Graph": {"node": (1, "[Node]"), "library": (2, "FunctionLibrary")},
    "Saver": {"restore_op_name": (3, "string")},
    "Names": {"value": (1, "[string]")},
    "Collection": {"node_list": (1, "Names")},
    "Child": {"local_name": (2, "string")},
    "SavedFunction": {"concrete_functions": (1, "[string]")},
    "BareFunction": {"concrete_function_name": (1, "string")},
    "ConcreteFunction": {"bound_inputs": (2, "[int32]")},
    "SavedObject": {
        "children": (1, "[Child]"),
        "function": (6, "SavedFunction"),
        "bare_concrete_function": (8, "BareFunction"),
    },
    "SavedObjectGraph": {
        "nodes": (1, "[SavedObject]"),
        "concrete_functions": (2, "{ConcreteFunction}"),
    },
    "MetaGraph": {
        "graph_def": (2, "Graph"),
        "saver_def": (3, "Saver"),
        "collection_def": (4, "{Collection}"),
        "signature_def": (5, "{Signature}"),
        "object_graph_def": (7, "SavedObjectGraph"),
    },
    "SavedModel": {"meta_graphs": (2, "[MetaGraph]")},
    # tensorflow_serving/apis: model.proto, predict.proto, prediction_log.proto,
    # get_model_metadata.proto
    "Version": {"value": (1, "int64")},
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "Version"),
        "signature_name": (3, "string"),
        "version_label": (4, "string"),
    },
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "{Tensor}")},
    "PredictResponse": {"outputs": (1, "{Tensor}"), "model_spec": (2, "ModelSpec")},
    "PredictLog": {"request": (1, "PredictRequest")},
    "PredictionLog": {"predict_log": (6, "PredictLog")},
    "GetModelMetadataRequest": {
        "model_spec": (1, "ModelSpec"),
        "metadata_field": (2, "[string]"),
    },
    "Any": {"type_url": (1, "string"), "value": (2, "bytes")},
    "GetModelMetadataResponse": {"model_spec": (1, "ModelSpec"), "metadata": (2, "{Any}")},
    "SignatureMap": {"signature_def": (1, "{Signature}")},
}

# TensorFlow's DataType -> numpy's.
DTYPES: dict[int, np.dtype] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.float64),
    3: np.dtype(np.int32),
    4: np.dtype(np.uint8),
    9: np.dtype(np.int64),
    10: np.dtype(bool),
}
STRING = 7
_NUMBER_OF = {dtype: number for number, dtype in DTYPES.items()}


def _build() -> Any:
    """Make the classes of all messages."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="keras_gan/messages.proto", package=_PACKAGE, syntax="proto3"
    )

    def add(message: Any, name: str, number: int, kind: str, repeated: bool = False) -> None:
        scalar = getattr(field, f"TYPE_{kind.upper()}", None)
        message.field.add(
            name=name,
            number=number,
            label=field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL,
            type=scalar or field.TYPE_MESSAGE,
            type_name=None if scalar else f".{_PACKAGE}.{kind}",
        )

    for title, fields in _FIELDS.items():
        message = file.message_type.add(name=title)
        for name, (number, kind) in fields.items():
            if not kind.startswith("{"):
                add(message, name, number, kind.strip("[]"), kind.startswith("["))
                continue
            entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
            entry.options.map_entry = True
            add(entry, "key", 1, "string")
            add(entry, "value", 2, kind.strip("{}"))
            add(message, name, number, f"{title}.{entry.name}", repeated=True)
    pool = descriptor_pool.DescriptorPool()  # its own: TensorFlow fills the default one
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles([file.name], pool)


_CLASSES = _build()
SavedModel = _CLASSES["keras_gan.SavedModel"]
Operations = _CLASSES["keras_gan.Operations"]
MetaGraph = _CLASSES["keras_gan.MetaGraph"]
SignatureMap = _CLASSES["keras_gan.SignatureMap"]
ModelSpec = _CLASSES["keras_gan.ModelSpec"]
PredictRequest = _CLASSES["keras_gan.PredictRequest"]
PredictResponse = _CLASSES["keras_gan.PredictResponse"]
PredictionLog = _CLASSES["keras_gan.PredictionLog"]
GetModelMetadataRequest = _CLASSES["keras_gan.GetModelMetadataRequest"]
GetModelMetadataResponse = _CLASSES["keras_gan.GetModelMetadataResponse"]


def fill_tensor(message: Any, array: np.ndarray) -> None:
    """Write an array of numbers into a Tensor message, or one of bytes objects."""
    for size in array.shape:
        message.tensor_shape.dim.add(size=size)
    if array.dtype == object:
        message.dtype = STRING
        message.string_val.extend(array.ravel().tolist())
    elif array.dtype not in _NUMBER_OF:
        known = ", ".join(dtype.name for dtype in _NUMBER_OF)
        raise ValueError(f"Expected numbers of {known}; received {array.dtype}.")
    else:
        message.dtype = _NUMBER_OF[array.dtype]
        message.tensor_content = array.astype(array.dtype.newbyteorder("<")).tobytes()


def read_tensor(message: Any) -> np.ndarray:
    """Read a Tensor message; strings become an object array of bytes.

    Raises:
        ValueError: if it holds another number of values than its shape says, or unknown ones.
    """
    shape = tuple(dim.size for dim in message.tensor_shape.dim)
    if message.dtype == STRING:
        strings = np.empty(len(message.string_val), object)
        strings[:] = message.string_val
        return strings.reshape(shape)  # a ValueError if they do not fill it
    if message.dtype not in DTYPES:
        raise ValueError(f"Expected numbers or strings; received data type {message.dtype}.")
    dtype = DTYPES[message.dtype]
    count = math.prod(shape)
    found: Any = np.frombuffer(message.tensor_content, np.uint8)
    if len(found) == count * dtype.itemsize:
        return found.view(dtype.newbyteorder("<")).reshape(shape)
    fields = ("float_val", "double_val", "int_val", "int64_val", "bool_val")
    found = np.array([value for name in fields for value in getattr(message, name)], dtype)
    if not 0 < len(found) <= count:
        raise ValueError(f"Expected {count} values of {dtype}; received others.")
    # The last value stands for all that follow.
    return np.pad(found, (0, count - len(found)), mode="edge").reshape(shape)


def describe(name: str, info: Any) -> str:
    """Write a TensorInfo as people read it: "seed int64 [N]"."""
    dtype = "string" if info.dtype == STRING else DTYPES[info.dtype].name
    sizes = ["N" if dim.size < 0 else str(dim.size) for dim in info.tensor_shape.dim]
    return f"{name} {dtype} [{', '.join(sizes)}]"


def model_spec(name: str, version: int | None = None, label: str = "", signature: str = "") -> Any:
    """Name a model, or one of its versions by number or label, and a signature of it."""
    spec = ModelSpec(name=name, signature_name=signature, version_label=label)
    if version is not None:
        spec.version.value = version
    return spec


def predict_request(inputs: dict[str, np.ndarray], spec: Any) -> Any:
    """Make a PredictRequest to what `model_spec` named."""
    request = PredictRequest(model_spec=spec)
    for name, array in inputs.items():
        fill_tensor(request.inputs[name], array)
    return request
