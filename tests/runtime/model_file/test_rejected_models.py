"""A damaged file, or one that is not a text generator, is an error of one line."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from onnx import TensorProto, helper, numpy_helper

from tests.helpers.damaged_models import Damage
from tests.helpers.paths import TINY
from tests.helpers.rejections import assert_rejected


def test_random_bytes_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "random.onnx"
    path.write_bytes(np.random.default_rng(0).bytes(4096))
    assert_rejected(path, "the file is not an ONNX model")


def test_a_truncated_file_is_rejected(tmp_path: Path) -> None:
    content = TINY.read_bytes()
    path = tmp_path / "cut.onnx"
    for length in range(1, len(content), 37):
        path.write_bytes(content[:length])
        assert_rejected(path, ".")
    assert_rejected(
        path, r"the file is cut short or damaged \(at byte \d+, a field is longer than its message\)$"
    )


@pytest.mark.parametrize(
    "beginning", [b"The will to truth", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"\x1f\x8b\x08"]
)
def test_a_file_of_another_kind_is_no_model(beginning: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(beginning + bytes(range(256)))
    assert_rejected(path, r"the file is not an ONNX model \(at byte \d+, .*\)$")


def test_another_onnx_model_is_rejected(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "other",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    path = tmp_path / "other.onnx"
    path.write_bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
        ).SerializeToString()
    )
    assert_rejected(path, r"not a text generator: the ONNX file has no 'textgen.format' metadata")
    assert_rejected(path, r"not a text generator: the inputs are \['x'\]", "onnxruntime")


def drop_metadata(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def set_metadata(key: str, value: str) -> Damage:
    def damage(model: onnx.ModelProto) -> None:
        next(entry for entry in model.metadata_props if entry.key == key).value = value

    return damage


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = model.graph.node[-1].output[0] = "other_logits"


def tokens_of_another_type(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32


def state_of_unknown_size(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input[1:], *model.graph.output[1:]):
        value.type.tensor_type.shape.dim[2].dim_param = "units"


def state_of_another_size(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input[1:], *model.graph.output[1:]):
        value.type.tensor_type.shape.dim[2].dim_value = 5


def state_of_two_dimensions(model: onnx.ModelProto) -> None:
    del model.graph.input[1].type.tensor_type.shape.dim[2]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_metadata, "has no 'textgen.format' metadata"),
        (
            set_metadata("textgen.format", "9"),
            "the file has format 9, but this version supports formats up to 2: upgrade",
        ),
        (set_metadata("textgen.vocabulary", "{"), "is not valid JSON"),
        (
            set_metadata("textgen.vocabulary", '["a", "b"]'),
            "the vocabulary has 2 characters, but the graph has 12 logits",
        ),
        (set_metadata("textgen.level", '"morpheme"'), "upgrade"),
        (rename_output, "unexpected graph outputs"),
        (tokens_of_another_type, "the native engine does not support the graph"),
        (state_of_unknown_size, "the native engine does not support the graph"),
        (state_of_another_size, "of the graph inputs do not match the weights"),
        (state_of_two_dimensions, "of the graph inputs do not match the weights"),
    ],
)
def test_damaged_models_are_rejected(
    damage: Damage, message: str, tiny_proto: onnx.ModelProto, tmp_path: Path
) -> None:
    damage(tiny_proto)
    path = tmp_path / "damaged.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    assert_rejected(path, message)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_metadata, "has no 'textgen.format' metadata"),
        (rename_output, "the outputs"),
        (tokens_of_another_type, "'token' must be"),
        (state_of_unknown_size, "must have a fixed number of layers and units"),
        (state_of_another_size, "onnxruntime cannot run the graph"),
        (state_of_two_dimensions, "'hidden' must be .* of 3 dimensions"),
    ],
)
def test_onnxruntime_rejects_damaged_models(
    damage: Damage, message: str, tiny_proto: onnx.ModelProto, tmp_path: Path
) -> None:
    damage(tiny_proto)
    path = tmp_path / "damaged.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    assert_rejected(path, message, "onnxruntime")


def test_metadata_is_checked_before_weights_are_packed(
    tiny_proto: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_metadata("textgen.vocabulary", '["a", "b"]')(tiny_proto)
    path = tmp_path / "short.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    monkeypatch.delattr("textgen_runtime.engines.native.CoreNetwork")
    assert_rejected(path, "the vocabulary has 2 characters, but the graph has 12 logits")


def test_a_vocabulary_must_have_as_many_entries_as_the_graph_has_logits(
    tiny_proto: onnx.ModelProto, tmp_path: Path
) -> None:
    set_metadata("textgen.prompts", "[]")(tiny_proto)
    set_metadata("textgen.vocabulary", '["a", "b"]')(tiny_proto)
    path = tmp_path / "short.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    assert_rejected(path, "the vocabulary has 2 characters, but the graph has 12 logits")


def test_weights_that_are_nan_are_an_error(tiny_proto: onnx.ModelProto, tmp_path: Path) -> None:
    bias = next(tensor for tensor in tiny_proto.graph.initializer if tensor.name == "output_bias")
    bias.CopyFrom(numpy_helper.from_array(np.full(12, np.nan, np.float32), bias.name))
    path = tmp_path / "nan.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    with pytest.raises(textgen.SamplingError, match="logits contain NaN"):
        textgen.load(path, engine="onnxruntime").generate("abc", length=1)
    assert_rejected(path, "the weights 'output_bias' contain NaN or infinity")
