"""Our messages against the published ones, byte for byte."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keras_gan import messages

SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
DTYPES = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_])


@settings(max_examples=100, deadline=None)
@given(DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, SHAPES)))
def test_tensors_are_tensorflows(array):
    import tensorflow as tf
    from tensorflow.core.framework import tensor_pb2

    ours = messages.PredictRequest().inputs["x"]
    messages.fill_tensor(ours, array)
    theirs = tensor_pb2.TensorProto.FromString(ours.SerializeToString())
    np.testing.assert_array_equal(tf.make_ndarray(theirs), array)
    back = messages.PredictRequest().inputs["x"]
    back.ParseFromString(tf.make_tensor_proto(array).SerializeToString())
    found = messages.read_tensor(back)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_strings_are_tensorflows():
    import tensorflow as tf

    array = np.array([[b"a", b"\x00\xff"], [b"", b"png"]], object)
    back = messages.PredictRequest().inputs["x"]
    back.ParseFromString(tf.make_tensor_proto(array).SerializeToString())
    assert messages.read_tensor(back).tolist() == array.tolist()
    ours = messages.PredictRequest().inputs["x"]
    messages.fill_tensor(ours, array)
    assert messages.read_tensor(ours).tolist() == array.tolist()


def test_a_last_value_may_stand_for_the_rest():
    message = messages.PredictRequest().inputs["x"]
    message.dtype = 1
    message.tensor_shape.dim.add(size=3)
    message.float_val.extend([1.5, 2.5])
    assert messages.read_tensor(message).tolist() == [1.5, 2.5, 2.5]


@pytest.mark.parametrize("content", [b"", b"abc"])
def test_values_that_do_not_fill_the_shape_are_refused(content):
    message = messages.PredictRequest().inputs["x"]
    message.dtype = 9
    message.tensor_shape.dim.add(size=3)
    message.tensor_content = content
    with pytest.raises(ValueError, match=r"Expected 3 values"):
        messages.read_tensor(message)
    message.dtype = 8  # complex
    message.tensor_content = b""
    with pytest.raises(ValueError, match="received data type 8"):
        messages.read_tensor(message)


def test_requests_are_the_published_ones():
    from tensorflow_serving.apis import predict_pb2

    spec = messages.model_spec("mnist", 7, signature="sample")
    ours = messages.predict_request({"seed": np.arange(3)}, spec)
    theirs = predict_pb2.PredictRequest.FromString(ours.SerializeToString())
    assert theirs.model_spec.name == "mnist"
    assert theirs.model_spec.version.value == 7
    assert theirs.model_spec.signature_name == "sample"
    assert list(theirs.inputs) == ["seed"]
    labelled = messages.predict_request({}, messages.model_spec("m", label="stable"))
    theirs = predict_pb2.PredictRequest.FromString(labelled.SerializeToString())
    assert theirs.model_spec.version_label == "stable"
    assert not theirs.model_spec.HasField("version")


PUBLISHED = {
    "Tensor": ("tensorflow.core.framework.tensor_pb2", "TensorProto"),
    "TensorShape": ("tensorflow.core.framework.tensor_shape_pb2", "TensorShapeProto"),
    "Dimension": ("tensorflow.core.framework.tensor_shape_pb2", "TensorShapeProto.Dim"),
    "TensorInfo": ("tensorflow.core.protobuf.meta_graph_pb2", "TensorInfo"),
    "Signature": ("tensorflow.core.protobuf.meta_graph_pb2", "SignatureDef"),
    "MetaGraph": ("tensorflow.core.protobuf.meta_graph_pb2", "MetaGraphDef"),
    "SavedModel": ("tensorflow.core.protobuf.saved_model_pb2", "SavedModel"),
    "Graph": ("tensorflow.core.framework.graph_pb2", "GraphDef"),
    "FunctionName": ("tensorflow.core.framework.attr_value_pb2", "NameAttrList"),
    "FunctionNames": ("tensorflow.core.framework.attr_value_pb2", "AttrValue.ListValue"),
    "Attribute": ("tensorflow.core.framework.attr_value_pb2", "AttrValue"),
    "Operation": ("tensorflow.core.framework.op_def_pb2", "OpDef"),
    "Operations": ("tensorflow.core.framework.op_def_pb2", "OpList"),
    "Saver": ("tensorflow.core.protobuf.saver_pb2", "SaverDef"),
    "Names": ("tensorflow.core.protobuf.meta_graph_pb2", "CollectionDef.NodeList"),
    "Collection": ("tensorflow.core.protobuf.meta_graph_pb2", "CollectionDef"),
    "Child": (
        "tensorflow.core.protobuf.trackable_object_graph_pb2",
        "TrackableObjectGraph.TrackableObject.ObjectReference",
    ),
    "SavedFunction": ("tensorflow.core.protobuf.saved_object_graph_pb2", "SavedFunction"),
    "BareFunction": (
        "tensorflow.core.protobuf.saved_object_graph_pb2",
        "SavedBareConcreteFunction",
    ),
    "ConcreteFunction": (
        "tensorflow.core.protobuf.saved_object_graph_pb2",
        "SavedConcreteFunction",
    ),
    "SavedObject": ("tensorflow.core.protobuf.saved_object_graph_pb2", "SavedObject"),
    "SavedObjectGraph": ("tensorflow.core.protobuf.saved_object_graph_pb2", "SavedObjectGraph"),
    "Node": ("tensorflow.core.framework.node_def_pb2", "NodeDef"),
    "Function": ("tensorflow.core.framework.function_pb2", "FunctionDef"),
    "FunctionLibrary": ("tensorflow.core.framework.function_pb2", "FunctionDefLibrary"),
    "Version": ("google.protobuf.wrappers_pb2", "Int64Value"),
    "Any": ("google.protobuf.any_pb2", "Any"),
    "ModelSpec": ("tensorflow_serving.apis.model_pb2", "ModelSpec"),
    "PredictRequest": ("tensorflow_serving.apis.predict_pb2", "PredictRequest"),
    "PredictResponse": ("tensorflow_serving.apis.predict_pb2", "PredictResponse"),
    "PredictLog": ("tensorflow_serving.apis.prediction_log_pb2", "PredictLog"),
    "PredictionLog": ("tensorflow_serving.apis.prediction_log_pb2", "PredictionLog"),
    "GetModelMetadataRequest": (
        "tensorflow_serving.apis.get_model_metadata_pb2",
        "GetModelMetadataRequest",
    ),
    "GetModelMetadataResponse": (
        "tensorflow_serving.apis.get_model_metadata_pb2",
        "GetModelMetadataResponse",
    ),
    "SignatureMap": ("tensorflow_serving.apis.get_model_metadata_pb2", "SignatureDefMap"),
}


@pytest.mark.parametrize("name", messages._FIELDS)
def test_every_field_is_where_the_published_message_has_it(name):
    import importlib

    module, path = PUBLISHED[name]
    published = importlib.import_module(module)
    for part in path.split("."):
        published = getattr(published, part)
    for field, (number, kind) in messages._FIELDS[name].items():
        theirs = published.DESCRIPTOR.fields_by_name[field]
        assert theirs.number == number
        assert theirs.is_repeated == (kind[0] in "[{")
        is_message = theirs.message_type is not None
        assert is_message == (kind[0] == "{" or kind.strip("[]") in messages._FIELDS)
