"""TensorFlow's own C++ loader, which TensorFlow Serving runs, through the C API of the library.

Neither Keras nor Python's TensorFlow is needed to load an export; this is where that is proved.
"""

import ctypes
import functools
import importlib.util
import os
import pathlib
import weakref
from typing import Any, NamedTuple

import numpy as np

from keras_gan import harmless, messages
from keras_gan.interfaces import UserError

TAGS = ("serve",)

INVALID_ARGUMENT = 3  # of google.rpc.Code


class ServingError(Exception):
    """A request without an answer; the code is one of gRPC's."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code


class Signature(NamedTuple):
    """What a signature takes and gives: TensorInfo messages by name."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]


def read_signatures(folder: str | os.PathLike[str]) -> dict[str, Signature]:
    """Read an export's signatures without loading it.

    Raises:
        UserError: if it is no SavedModel.
    """
    return _signatures(harmless.read(folder).meta_graphs[0])


def _signatures(meta: Any) -> dict[str, Signature]:
    return {
        name: Signature(dict(signature.inputs), dict(signature.outputs))
        for name, signature in meta.signature_def.items()
        if not name.startswith("__saved_model")
    }


class Servable:
    """One version of an export, loaded by TensorFlow's C++ loader.

    Args:
        folder: the version's folder.

    Raises:
        UserError: if it cannot be loaded, or holds operations that reach out of the graph.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        folder = pathlib.Path(folder)
        expect_harmless(folder)
        self._c = _library()
        self._graph = self._c.TF_NewGraph()
        found = self._c.TF_NewBuffer()
        options = self._c.TF_NewSessionOptions()
        status = self._c.TF_NewStatus()
        tags = (ctypes.c_char_p * len(TAGS))(*(tag.encode() for tag in TAGS))
        try:
            self._session = self._c.TF_LoadSessionFromSavedModel(
                options, None, os.fsencode(folder), tags, len(TAGS), self._graph, found, status
            )
            code, text = self._c.TF_GetCode(status), self._c.TF_Message(status).decode()
            if code:
                self._c.TF_DeleteGraph(self._graph)
                raise UserError(f"Expected an export that loads; received {folder}: {text}")
            content = ctypes.string_at(found.contents.data, found.contents.length)
        finally:
            self._c.TF_DeleteBuffer(found)
            self._c.TF_DeleteSessionOptions(options)
            self._c.TF_DeleteStatus(status)
        self._close = weakref.finalize(self, _free, self._c, self._session, self._graph)
        self.signatures = _signatures(messages.MetaGraph.FromString(content))
        for name, signature in self.signatures.items():
            for info in (*signature.inputs.values(), *signature.outputs.values()):
                place = self._output(info)
                outputs = self._c.TF_OperationNumOutputs(place.operation) if place.operation else 0
                if not 0 <= place.index < outputs:
                    raise UserError(
                        f"Expected an export whose signatures are of its graph; received {folder} "
                        f"with {info.name!r} in {name}."
                    )

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Answer a request.

        Args:
            signature: its name.
            inputs: numbers by the signature's names; their data types are the signature's.

        Returns:
            Arrays by the signature's names; strings are object arrays of bytes.

        Raises:
            ServingError: as TensorFlow Serving answers it.
        """
        if signature not in self.signatures:
            raise ServingError(
                INVALID_ARGUMENT,
                f"Serving signature name: {signature!r} not found in signature def. "
                f"Known: {', '.join(sorted(self.signatures))}.",
            )
        expected = self.signatures[signature]
        if set(inputs) != set(expected.inputs):
            raise ServingError(
                INVALID_ARGUMENT,
                f"Expected inputs {sorted(expected.inputs)} for {signature}; received "
                f"{sorted(inputs)}.",
            )
        for name, array in inputs.items():
            wanted = messages.DTYPES.get(expected.inputs[name].dtype)
            if array.dtype != wanted:
                raise ServingError(
                    INVALID_ARGUMENT, f"Expected {name} of {wanted}; received {array.dtype}."
                )
        feeds = [(self._output(expected.inputs[name]), array) for name, array in inputs.items()]
        names = sorted(expected.outputs)
        fetches = [self._output(expected.outputs[name]) for name in names]
        return dict(zip(names, self._run(feeds, fetches), strict=True))

    def close(self) -> None:
        """Free the session and the graph now; else it is done with the last reference."""
        self._close()

    def _output(self, info: Any) -> "_Output":
        operation, _, index = info.name.partition(":")
        index = index if index.isdecimal() else "0"
        found = self._c.TF_GraphOperationByName(self._graph, operation.encode())
        return _Output(found, int(index))

    def _run(
        self, feeds: list[tuple["_Output", np.ndarray]], fetches: list["_Output"]
    ) -> list[np.ndarray]:
        inputs = (_Output * len(feeds))(*(output for output, _ in feeds))
        values = (ctypes.c_void_p * len(feeds))(*(self._tensor(array) for _, array in feeds))
        outputs = (_Output * len(fetches))(*fetches)
        answers = (ctypes.c_void_p * len(fetches))()
        status = self._c.TF_NewStatus()
        try:
            self._c.TF_SessionRun(
                self._session, None, inputs, values, len(feeds), outputs, answers, len(fetches),
                None, 0, None, status,
            )  # fmt: skip
            code, text = self._c.TF_GetCode(status), self._c.TF_Message(status).decode()
            if code:
                raise ServingError(code, text)
            return [self._array(answer) for answer in answers if answer]
        finally:
            for tensor in (*values, *answers):
                if tensor:
                    self._c.TF_DeleteTensor(tensor)
            self._c.TF_DeleteStatus(status)

    def _tensor(self, array: np.ndarray) -> int:
        array = np.asarray(array, order="C")
        number = next(n for n, dtype in messages.DTYPES.items() if dtype == array.dtype)
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor = self._c.TF_AllocateTensor(number, shape, array.ndim, array.nbytes)
        ctypes.memmove(self._c.TF_TensorData(tensor), array.ctypes.data, array.nbytes)
        return tensor

    def _array(self, tensor: int) -> np.ndarray:
        rank = self._c.TF_NumDims(tensor)
        shape = tuple(self._c.TF_Dim(tensor, axis) for axis in range(rank))
        number, size = self._c.TF_TensorType(tensor), self._c.TF_TensorByteSize(tensor)
        data = self._c.TF_TensorData(tensor)
        if number != messages.STRING:
            flat = np.frombuffer(ctypes.string_at(data, size), messages.DTYPES[number])
            return flat.reshape(shape)
        count = int(np.prod(shape))
        strings = np.empty(count, object)
        for i in range(count):
            place = data + i * size // max(count, 1)
            strings[i] = ctypes.string_at(
                self._c.TF_StringGetDataPointer(place), self._c.TF_StringGetSize(place)
            )
        return strings.reshape(shape)


def _free(library: Any, session: int, graph: int) -> None:
    status = library.TF_NewStatus()
    library.TF_DeleteSession(session, status)
    library.TF_DeleteGraph(graph)
    library.TF_DeleteStatus(status)


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class _Buffer(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("deallocator", ctypes.c_void_p),
    )


@functools.cache
def _library() -> Any:
    """Open TensorFlow's library without its Python, and declare what is called in it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    spec = importlib.util.find_spec("tensorflow")  # finds, does not import
    places = [pathlib.Path(place) for place in (spec and spec.submodule_search_locations) or []]
    files = [file for place in places for file in sorted(place.glob("libtensorflow_cc.*"))]
    if not files:
        raise UserError(
            "Expected TensorFlow's C++ library (libtensorflow_cc) in the installed package; "
            f"received {places or 'no tensorflow'}. Try pip install tensorflow."
        )
    library = ctypes.CDLL(str(files[0]))
    pointer, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
    number, outputs = ctypes.c_int, ctypes.POINTER(_Output)
    tensors = ctypes.POINTER(pointer)
    buffer = ctypes.POINTER(_Buffer)
    for name, result, *arguments in (
        ("TF_NewStatus", pointer),
        ("TF_DeleteStatus", None, pointer),
        ("TF_GetCode", number, pointer),
        ("TF_Message", text, pointer),
        ("TF_NewGraph", pointer),
        ("TF_DeleteGraph", None, pointer),
        ("TF_NewBuffer", buffer),
        ("TF_DeleteBuffer", None, buffer),
        ("TF_NewSessionOptions", pointer),
        ("TF_DeleteSessionOptions", None, pointer),
        ("TF_LoadSessionFromSavedModel", pointer, pointer, buffer, text, ctypes.POINTER(text),
         number, pointer, buffer, pointer),
        ("TF_DeleteSession", None, pointer, pointer),
        ("TF_GetAllOpList", buffer),
        ("TF_OperationNumOutputs", number, pointer),
        ("TF_GraphOperationByName", pointer, pointer, text),
        ("TF_SessionRun", None, pointer, buffer, outputs, tensors, number, outputs, tensors,
         number, pointer, number, buffer, pointer),
        ("TF_AllocateTensor", pointer, number, ctypes.POINTER(ctypes.c_int64), number, size),
        ("TF_DeleteTensor", None, pointer),
        ("TF_TensorData", pointer, pointer),
        ("TF_TensorByteSize", size, pointer),
        ("TF_TensorType", number, pointer),
        ("TF_NumDims", number, pointer),
        ("TF_Dim", ctypes.c_int64, pointer, number),
        ("TF_StringGetDataPointer", pointer, pointer),
        ("TF_StringGetSize", size, pointer),
    ):  # fmt: skip
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def expect_harmless(folder: str | os.PathLike[str]) -> None:
    """Refuse an export that does more than compute; see `keras_gan.harmless`.

    Raises:
        UserError: naming what it would do, or if it is no SavedModel.
    """
    harmless.read(folder)  # before the library is opened
    found = _library().TF_GetAllOpList().contents
    known = messages.Operations.FromString(ctypes.string_at(found.data, found.length))
    stateful = frozenset(each.name for each in known.op if each.is_stateful)
    harmless.expect_harmless(folder, stateful)
