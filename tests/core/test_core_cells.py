"""The C core reads and runs LSTMs, and rejects other networks."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from textgen_runtime.model_file.reader import ModelFile

from tests.helpers.c_programs import CORE, EXACT, PROGRAMS, WARNINGS, Build, link, run
from tests.helpers.core_reader import DAMAGED_MODEL, UNKNOWN_GRAPH, refusal, run_all
from tests.helpers.damaged_models import set_tensor, set_values, tensor
from tests.helpers.int8_models import quantize_model
from tests.helpers.make_tiny_model import make_model

PROMPT = "é€ж𝄞\nabc"

# Hashes of the logits of a random network, with and without fused multiply-adds.
GOLDEN = "87c707bc3d386c46", "29e61189b258d5c4"


def model_of(**sizes: Any) -> onnx.ModelProto:
    return make_model(**{"layers": 3, "residual": True, **sizes})


def by_name(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.name == name)


def test_layers_and_state_are_described(core_reader: Path) -> None:
    content = model_of().SerializeToString()
    network = ModelFile(content).network
    ((*_, lines),) = [run_all(core_reader, [content])]
    found = [line for line in lines if line.startswith(("layer", "state"))]
    expected = [
        *(f"layer {layer.kind} '{layer.name}' {layer.inputs} {layer.outputs}" for layer in network.layers),
        *(f"state {name} {rows} {units}" for name, (rows, units) in network.state.items()),
    ]
    assert [line.startswith(start) for line, start in zip(found, expected, strict=True)] == [True] * len(
        found
    )


def without_a_table(build: Build, objects: Path, folder: Path) -> Path:
    """A core whose first layer multiplies its weights by the embedding in each step."""
    # Another test may be linking a program there.
    copied = shutil.copytree(objects, folder / "objects", ignore=shutil.ignore_patterns("*.new", "*.gcda"))
    flags = [*WARNINGS, "-DTEXTGEN_MAX_TABLE_BYTES=0"]
    run(*build.command, *flags, "-c", CORE / "pack.c", "-o", copied / "pack.o")
    return copied


def test_texts_are_the_same_without_a_table_of_the_first_layer(
    build: Build, objects: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model_of().SerializeToString())
    arguments = (path, "", PROMPT, "300", "5", "0", "1")
    others = without_a_table(build, objects, tmp_path)
    programs = [link(build, each, PROGRAMS / "texts.c") for each in (others, objects)]
    first, second = (run(program, *arguments) for program in programs)
    assert first == second


def recur_the_biases(model: onnx.ModelProto) -> None:
    """Move the biases of the inputs to the hidden state. Their sums stay the same."""
    for i in range(3):
        bias = numpy_helper.to_array(tensor(model, f"bias_{i}"))
        set_values(f"bias_{i}", np.roll(bias, bias.size // 2))(model)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("build", EXACT, indirect=True, ids=str)
def test_logits_are_the_same_to_the_last_bit(
    build: Build, objects: Path, recurrent: bool, tmp_path: Path
) -> None:
    path, model = tmp_path / "model.onnx", model_of(units=40, embedding=20, scale=0.2)
    if recurrent:
        recur_the_biases(model)
    path.write_bytes(model.SerializeToString())
    lines = run(link(build, objects, PROGRAMS / "exact.c"), path).splitlines()
    hashes = dict(line.split() for line in lines[3:])
    fused, unfused = GOLDEN
    assert hashes.pop("baseline") in (fused, unfused)
    assert set(hashes.values()) <= {fused}


Change = Callable[[onnx.ModelProto], None]


def set_input(name: str, index: int, value: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        by_name(model, name).input[index] = value

    return change


def swap_inputs(name: str, other: str, index: int = 0, other_index: int = 0) -> Change:
    def change(model: onnx.ModelProto) -> None:
        one, two = by_name(model, name).input, by_name(model, other).input
        one[index], two[other_index] = two[other_index], one[index]

    return change


def set_node(name: str, field: str, value: str) -> Change:
    return lambda model: setattr(by_name(model, name), field, value)


def set_attribute(name: str, attribute: str, value: int | None) -> Change:
    """None removes it."""

    def change(model: onnx.ModelProto) -> None:
        (found,) = (each for each in by_name(model, name).attribute if each.name == attribute)
        if value is None:
            by_name(model, name).attribute.remove(found)
        else:
            found.i = value

    return change


def declare(index: int, dimension: int, value: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[index].type.tensor_type.shape.dim[dimension].dim_value = value

    return change


def declare_another_type(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT32


def import_other_operators(model: onnx.ModelProto) -> None:
    model.opset_import[0].domain = "com.example"


def add_an_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [1, "batch", 4]))
    model.graph.output.append(
        helper.make_tensor_value_info("next_more", onnx.TensorProto.FLOAT, [1, "batch", 4])
    )


@pytest.mark.parametrize(
    "change",
    [
        swap_inputs("residual_1", "residual_1", 0, 1),
        # The connection skips a layer.
        set_input("residual_2", 1, "output_0"),
        add_an_input,
        set_tensor("direction_axis", raw_data=np.array([0], "<i8").tobytes()),
        set_input("lstm_1", 4, "lengths"),
        swap_inputs("join_cell", "join_cell", 0, 1),
        swap_inputs("split_hidden", "split_cell"),
        declare_another_type,
        declare(1, 1, 2),
        declare(2, 0, 2),
        import_other_operators,
        set_node("lstm_1", "domain", "com.example"),
    ],
)
def test_graphs_that_compute_something_else_are_unknown(core_reader: Path, change: Change) -> None:
    model = model_of()
    change(model)
    assert refusal(core_reader, model.SerializeToString())[0] == UNKNOWN_GRAPH


@pytest.mark.parametrize("cell", ["gru", "conv"])
def test_other_kinds_of_layers_are_unknown(core_reader: Path, cell: str) -> None:
    for layers in (1, 2):
        model = make_model(cell=cell, layers=layers, residual=True)
        for content in (model, quantize_model(model, ["embedding", "output_weights"])):
            assert refusal(core_reader, content.SerializeToString())[0] == UNKNOWN_GRAPH


def test_a_residual_connection_of_the_first_layer_is_unknown(core_reader: Path) -> None:
    model = model_of(embedding=4, layers=2, residual=False)
    squeeze = by_name(model, "squeeze_0")
    squeeze.output[0] = "first"
    add = helper.make_node("Add", ["first", "embedded"], ["output_0"], "residual_0")
    model.graph.node.insert(list(model.graph.node).index(squeeze) + 1, add)
    code, line = refusal(core_reader, model.SerializeToString())
    assert (code, line) == (UNKNOWN_GRAPH, "the first layer has a residual connection")


@pytest.mark.parametrize(
    ("name", "values"),
    [("bias_1", np.zeros((1, 31))), ("bias_1", np.zeros((2, 32))), ("input_0", np.zeros((1, 16, 4)))],
)
def test_weights_of_wrong_shapes_are_damage(core_reader: Path, name: str, values: np.ndarray) -> None:
    model = model_of()
    set_values(name, values)(model)
    assert refusal(core_reader, model.SerializeToString())[0] == DAMAGED_MODEL


def test_weights_that_are_not_finite_are_damage(core_reader: Path) -> None:
    for name in ("input_2", "recurrent_2", "bias_2"):
        model = model_of()
        values = numpy_helper.to_array(tensor(model, name)).copy()
        values.flat[-1] = np.nan
        set_values(name, values)(model)
        code, line = refusal(core_reader, model.SerializeToString())
        assert (code, f"'{name}' contain NaN or infinity" in line) == (DAMAGED_MODEL, True)


@pytest.mark.parametrize("name", ["embedding", "bias_1"])
def test_sums_of_weights_that_overflow_are_damage(core_reader: Path, name: str) -> None:
    """The embedding is multiplied by weights, and an LSTM has two biases."""
    model = model_of()
    values = np.full_like(numpy_helper.to_array(tensor(model, name)), 3e38)
    set_values(name, values)(model)
    code, line = refusal(core_reader, model.SerializeToString())
    assert (code, f"'{name}'" in line) == (DAMAGED_MODEL, True)
