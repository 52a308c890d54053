"""What textgen-bench hands on to onnxruntime: what the core has checked, and nothing that it skips."""

import onnx
import pytest
import textgen_runtime as textgen
from onnx import TensorProto, helper, numpy_helper
from textgen_runtime.bench.checked_fields import checked_fields
from textgen_runtime.generation.loading import open_model

from tests.helpers.damaged_models import node
from tests.helpers.make_tiny_model import make_model


@pytest.mark.parametrize("layers", [1, 3])
def test_a_clean_file_stays_as_it_is(layers: int) -> None:
    model = make_model(layers=layers)
    kept = onnx.load_from_string(checked_fields(model.SerializeToString()))
    onnx.checker.check_model(kept, full_check=True)
    model.ClearField("producer_name")
    model.ClearField("producer_version")
    assert kept == model


def test_what_the_core_skips_is_left_out(tiny_proto: onnx.ModelProto) -> None:
    """It could mean something to onnxruntime, such as another Add."""
    clean = checked_fields(tiny_proto.SerializeToString())
    node(tiny_proto, "LSTM").doc_string = "smuggled"
    node(tiny_proto, "LSTM").attribute[0].floats.append(1.0)
    tiny_proto.graph.value_info.append(helper.make_tensor_value_info("smuggled", TensorProto.FLOAT, [1]))
    replacement = [helper.make_node("Mul", ["a", "b"], ["c"])]
    tiny_proto.functions.append(
        helper.make_function("", "Add", ["a", "b"], ["c"], replacement, tiny_proto.opset_import)
    )
    content = tiny_proto.SerializeToString()
    # The core takes no offence at it.
    open_model(content)
    assert checked_fields(content) == clean


def test_fields_of_other_types_are_left_out() -> None:
    """protobuf, too, takes a known number of another type for an unknown field."""
    content = make_model().SerializeToString()
    # ir_version of four bytes, and a graph that is a number.
    assert checked_fields(content + b"\x0d\x01\x02\x03\x04" + b"\x38\x07") == checked_fields(content)


def test_numbers_one_by_one_or_packed_are_kept(tiny_proto: onnx.ModelProto, tiny: textgen.Model) -> None:
    for each in tiny_proto.graph.initializer:
        values = numpy_helper.to_array(each)
        each.ClearField("raw_data")
        packed = each.int64_data if each.data_type == TensorProto.INT64 else each.float_data
        packed.extend(values.ravel())
    kept = onnx.load_from_string(checked_fields(tiny_proto.SerializeToString()))
    assert kept.graph == tiny_proto.graph
    model = open_model(checked_fields(tiny_proto.SerializeToString()))
    assert model.generate("abc", length=50, seed=1) == tiny.generate("abc", length=50, seed=1)


@pytest.mark.parametrize("damage", [b"\x0b", b"\x3a\x7f", b"\x80" * 20 + bytes(2), b"\x08", b"\x0d\x01"])
def test_damage_is_an_error_of_its_own(damage: bytes) -> None:
    with pytest.raises(textgen.ModelFileError, match="a part of it that onnxruntime needs is damaged"):
        checked_fields(make_model().SerializeToString() + damage)
