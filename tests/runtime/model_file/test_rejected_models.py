"""A damaged file, or one that is not a text generator, is an error of one line.

``tests/core/test_core_reader.py`` has all kinds of damage; Python passes the message of the core on.
"""

from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from onnx import TensorProto, helper

from tests.helpers.damaged_models import set_values
from tests.helpers.rejections import assert_rejected


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


def test_metadata_is_checked_before_weights_are_packed(
    tiny_proto: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (vocabulary,) = (entry for entry in tiny_proto.metadata_props if entry.key == "textgen.vocabulary")
    vocabulary.value = '["a", "b"]'
    path = tmp_path / "short.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    monkeypatch.delattr("textgen_runtime.engines.native.CoreNetwork")
    assert_rejected(path, "the vocabulary has 2 characters, but the graph has 12 logits")
    assert_rejected(path, "the vocabulary has 2 characters, but the graph has 12 logits", "onnxruntime")


def test_weights_that_are_nan_are_an_error(tiny_proto: onnx.ModelProto, tmp_path: Path) -> None:
    set_values("output_bias", np.full(12, np.nan))(tiny_proto)
    path = tmp_path / "nan.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    with pytest.raises(textgen.SamplingError, match="logits contain NaN"):
        textgen.load(path, engine="onnxruntime").generate("abc", length=1)
    assert_rejected(path, "the weights 'output_bias' contain NaN or infinity")
