"""The onnxruntime engine rejects graphs that fail or change their shapes."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import textgen_runtime as textgen
from onnx import TensorProto, helper, numpy_helper
from textgen_runtime.cli.run import main
from textgen_runtime.model import open_model

from tests.helpers.commands import Captured, run_here

Change = Callable[[onnx.ModelProto], None]


def store(model: onnx.ModelProto, name: str, values: object) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.array(values), name))
    return name


def rename(model: onnx.ModelProto, output: str) -> str:
    """Rename an output, so that new nodes can compute an output of the old name."""
    for node in model.graph.node:
        for i, name in enumerate(node.output):
            if name == output:
                node.output[i] = f"plain_{output}"
    return f"plain_{output}"


def cut_by_time(output: str, axis: int) -> Change:
    """Shorten an output by one value for a single step. The check during loading runs two steps."""

    def change(model: onnx.ModelProto) -> None:
        plain = rename(model, output)
        value_info = model.graph.output[[value.name for value in model.graph.output].index(output)]
        length = value_info.type.tensor_type.shape.dim[axis].dim_value
        nodes = [
            helper.make_node("Shape", ["token"], ["time"], end=1),
            helper.make_node("Add", ["time", store(model, "offset", [length - 2])], ["end"]),
            helper.make_node(
                "Slice", [plain, store(model, "start", [0]), "end", store(model, "axis", [axis])], [output]
            ),
        ]
        model.graph.node.extend(nodes)

    return change


def fail_on_some_tokens(model: onnx.ModelProto) -> None:
    """Look up each token in a table that has rows for only two tokens."""
    plain = rename(model, "logits")
    table = store(model, "table", np.zeros((2, 1), np.float32))
    model.graph.node.append(helper.make_node("Gather", [table, "token"], ["looked_up"]))
    model.graph.node.append(helper.make_node("Add", [plain, "looked_up"], ["logits"]))


def output_doubles(model: onnx.ModelProto) -> None:
    plain = rename(model, "logits")
    model.graph.node.append(helper.make_node("Cast", [plain], ["logits"], to=TensorProto.DOUBLE))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def output_a_sequence(model: onnx.ModelProto) -> None:
    plain = rename(model, "logits")
    model.graph.node.append(helper.make_node("SequenceConstruct", [plain], ["logits"]))
    model.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("logits", TensorProto.FLOAT, None))


def state_of_a_zettabyte(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input[1:], *model.graph.output[1:]):
        value.type.tensor_type.shape.dim[2].dim_value = 2**62


def state_of_another_size(model: onnx.ModelProto) -> None:
    plain = rename(model, "next_cell")
    model.graph.node.append(helper.make_node("Concat", [plain, plain], ["next_cell"], axis=2))
    model.graph.output[2].type.tensor_type.shape.dim[2].dim_value = 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut_by_time("logits", 2), "the graph returned arrays of other shapes"),
        (cut_by_time("next_hidden", 2), "the graph returned arrays of other shapes"),
        (cut_by_time("next_cell", 2), "the graph returned arrays of other shapes"),
        (fail_on_some_tokens, "onnxruntime cannot run the graph: "),
    ],
)
def test_a_graph_that_fails_during_generation_is_an_error_of_one_line(
    change: Change, message: str, tiny_proto: onnx.ModelProto, tmp_path: Path, capsys: Captured
) -> None:
    change(tiny_proto)
    path = tmp_path / "later.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    model = textgen.load(path, engine="onnxruntime")
    with pytest.raises(textgen.ModelFileError, match=message) as caught:
        model.generate("\n", length=200, temperature=1.0, seed=1)
    assert "\n" not in str(caught.value)
    code, _, err = run_here(
        main, capsys, str(path), "--engine", "onnxruntime", "--prompt", "\n", "--temp", "1"
    )
    assert code == 1
    assert err.startswith("textgen-run: error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (output_doubles, "must all be float32 tensors"),
        (output_a_sequence, "must all be float32 tensors"),
        (state_of_a_zettabyte, "the state is too large"),
        (state_of_another_size, "the state outputs must have the shapes of the state inputs"),
    ],
)
def test_a_graph_with_invalid_outputs_is_rejected_when_it_is_loaded(
    change: Change, message: str, tiny_proto: onnx.ModelProto
) -> None:
    change(tiny_proto)
    with pytest.raises(textgen.ModelFileError, match=message) as caught:
        open_model(tiny_proto.SerializeToString(), "onnxruntime")
    assert "\n" not in str(caught.value)


def test_names_that_are_not_utf8_are_an_error(tiny_proto: onnx.ModelProto) -> None:
    content = tiny_proto.SerializeToString()
    assert b"batch" in content
    damaged = content.replace(b"batch", b"b\xfftch")
    with pytest.raises(textgen.ModelFileError):
        open_model(damaged)
    with pytest.raises(textgen.ModelFileError, match="cannot read the ONNX model"):
        open_model(damaged, "onnxruntime")


def test_a_memory_error_is_not_reported_as_a_model_error(
    monkeypatch: pytest.MonkeyPatch, tiny_path: Path
) -> None:
    engine = textgen.load(tiny_path, engine="onnxruntime").engine

    class Session:
        def run(self, *_: object) -> None:
            raise MemoryError

    monkeypatch.setattr(engine, "_session", Session())
    with pytest.raises(MemoryError):
        engine.forward(np.array([[1]]), engine.initial_state())


def test_8_bit_weights_are_converted_once_and_not_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    create = onnxruntime.InferenceSession

    def record(model: bytes, options: onnxruntime.SessionOptions, **settings: object) -> object:
        used.append(options.get_session_config_entry("session.disable_quant_qdq"))
        return create(model, options, **settings)

    monkeypatch.setattr(onnxruntime, "InferenceSession", record)
    textgen.load("nietzsche", engine="onnxruntime")
    assert used == ["1"]


def test_a_missing_onnxruntime_is_an_error_of_one_line(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tiny_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "textgen_runtime.onnxruntime", raising=False)
    code, _, err = run_here(main, capsys, str(tiny_path), "--engine", "onnxruntime")
    assert code == 1
    assert err.startswith("textgen-run: error: cannot import onnxruntime (")
    assert err.endswith("pip install numpy onnxruntime, or omit --engine onnxruntime\n")
    assert err.count("\n") == 1
