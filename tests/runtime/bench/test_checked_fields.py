"""``textgen-bench`` passes to onnxruntime only the fields that the core has checked."""

import onnx
import pytest
import textgen_runtime as textgen
from onnx import TensorProto, helper, numpy_helper
from textgen_runtime.bench.checked_fields import checked_fields
from textgen_runtime.generation.loading import open_model

from tests.helpers.damaged_models import node
from tests.helpers.make_tiny_model import make_model


@pytest.mark.parametrize("layers", [1, 3])
def test_a_file_without_other_fields_is_unchanged(layers: int) -> None:
    model = make_model(layers=layers)
    kept = onnx.load_from_string(checked_fields(model.SerializeToString()))
    onnx.checker.check_model(kept, full_check=True)
    model.ClearField("producer_name")
    model.ClearField("producer_version")
    assert kept == model


def test_fields_that_the_core_skips_are_removed(tiny_proto: onnx.ModelProto) -> None:
    """They may affect onnxruntime: a model-local function Add would replace the operator."""
    clean = checked_fields(tiny_proto.SerializeToString())
    node(tiny_proto, "LSTM").doc_string = "smuggled"
    node(tiny_proto, "LSTM").attribute[0].floats.append(1.0)
    tiny_proto.graph.value_info.append(helper.make_tensor_value_info("smuggled", TensorProto.FLOAT, [1]))
    replacement = [helper.make_node("Mul", ["a", "b"], ["c"])]
    tiny_proto.functions.append(
        helper.make_function("", "Add", ["a", "b"], ["c"], replacement, tiny_proto.opset_import)
    )
    content = tiny_proto.SerializeToString()
    # The core accepts the file.
    open_model(content)
    assert checked_fields(content) == clean


def test_fields_of_unexpected_types_are_removed() -> None:
    """The protobuf library also treats a known field number with another wire type as an unknown field."""
    content = make_model().SerializeToString()
    # ir_version as a fixed32, and graph as a varint.
    assert checked_fields(content + b"\x0d\x01\x02\x03\x04" + b"\x38\x07") == checked_fields(content)


def test_packed_and_unpacked_numbers_are_kept(tiny_proto: onnx.ModelProto, tiny: textgen.Model) -> None:
    for tensor in tiny_proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        tensor.ClearField("raw_data")
        packed = tensor.int64_data if tensor.data_type == TensorProto.INT64 else tensor.float_data
        packed.extend(values.ravel())
    kept = onnx.load_from_string(checked_fields(tiny_proto.SerializeToString()))
    assert kept.graph == tiny_proto.graph
    model = open_model(checked_fields(tiny_proto.SerializeToString()))
    assert model.generate("abc", length=50, seed=1) == tiny.generate("abc", length=50, seed=1)


@pytest.mark.parametrize("damage", [b"\x0b", b"\x3a\x7f", b"\x80" * 20 + bytes(2), b"\x08", b"\x0d\x01"])
def test_damage_in_skipped_fields_is_an_error(damage: bytes) -> None:
    with pytest.raises(
        textgen.ModelFileError, match="the file is damaged in a field that only onnxruntime reads"
    ):
        checked_fields(make_model().SerializeToString() + damage)
