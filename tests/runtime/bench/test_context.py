"""The model under measurement: the fields that onnxruntime gets, and texts that do not end at any level."""

import onnx
import pytest
import textgen_runtime as textgen
from onnx import TensorProto, helper, numpy_helper
from textgen_runtime.bench.context import BenchContext, checked_fields
from textgen_runtime.bench.report import describe_model, format_vocabulary
from textgen_runtime.bench.rounds import NO_DEADLINE
from textgen_runtime.bench.sections import measure
from textgen_runtime.cli._bench_outputs import model_heading
from textgen_runtime.generation.loading import open_model
from textgen_runtime.text.token_names import unit_of

from tests.helpers.damaged_models import node
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY
from tests.helpers.record_models import LEVELS, record_content


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


def test_packed_and_unpacked_numbers_are_kept(tiny_proto: onnx.ModelProto) -> None:
    for tensor in tiny_proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        tensor.ClearField("raw_data")
        packed = tensor.int64_data if tensor.data_type == TensorProto.INT64 else tensor.float_data
        packed.extend(values.ravel())
    kept = onnx.load_from_string(checked_fields(tiny_proto.SerializeToString()))
    assert kept.graph == tiny_proto.graph


@pytest.mark.parametrize("damage", [b"\x0b", b"\x3a\x7f", b"\x80" * 20 + bytes(2), b"\x08", b"\x0d\x01"])
def test_damage_in_skipped_fields_is_an_error(damage: bytes) -> None:
    with pytest.raises(
        textgen.ModelFileError, match="the file is damaged in a field that only onnxruntime reads"
    ):
        checked_fields(make_model().SerializeToString() + damage)


@pytest.mark.parametrize("level", LEVELS)
def test_texts_that_are_measured_do_not_end(level: str) -> None:
    context = BenchContext(record_content(level, end_bias=20.0), ("native",), 2.0, 0.001, 1, 500)
    model = context.model("native")
    generation = model.start(sampling=context.sampling(model), seed=1)
    generation.take(500)
    assert generation.ending == "length"


@pytest.mark.parametrize(("level", "unit"), [("character", "character"), ("byte", "byte"), ("word", "token")])
def test_tables_name_the_tokens_of_the_level(level: str, unit: str) -> None:
    content = record_content(level)
    model = open_model(content, "native")
    assert unit_of(model.tokenizer) == unit
    context = BenchContext(content, ("native",), 0.5, 0.001, 1, 500, unit)
    (section,) = [section for _, section in measure(context, ["prompts"], NO_DEADLINE)]
    assert f"prompt of 512 {unit}s" in str(section)
    assert f"per {unit}" in str(section)


@pytest.mark.parametrize(
    ("level", "size"),
    [
        ("character", "7 characters and 3 special tokens"),
        ("byte", "256 bytes and 2 special tokens"),
        ("word", "13 tokens, 3 of them special"),
    ],
)
def test_special_tokens_are_no_characters(level: str, size: str) -> None:
    description = describe_model("m.onnx", open_model(record_content(level), "native"))
    assert format_vocabulary(description) == size
    assert f"units, {size}, temperature 0.5" in model_heading(description, 0.5)


def test_a_vocabulary_without_special_tokens_has_characters_only() -> None:
    assert format_vocabulary(describe_model("m.onnx", open_model(TINY.read_bytes()))) == "12 characters"
    assert format_vocabulary({"vocabulary": 57}) == "57 characters"
    assert format_vocabulary({"vocabulary": 58, "special_tokens": 1}) == "57 characters and 1 special token"
