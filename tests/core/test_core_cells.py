"""The C core reads, runs and rejects networks of every kind of layer."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.helpers.c_programs import CORE, EXACT, PROGRAMS, WARNINGS, Build, link, run
from tests.helpers.core_reader import DAMAGED_MODEL, TOO_LARGE, UNKNOWN_GRAPH, refusal, run_all
from tests.helpers.damaged_models import set_tensor, set_values, tensor
from tests.helpers.make_tiny_model import describe_network, make_model

CELLS = ("lstm", "gru", "conv")
PROMPT = "é€ж𝄞\nabc"

each_cell = pytest.mark.parametrize("cell", CELLS)

# Hashes of the logits of a random network, with and without fused multiply-adds.
GOLDEN = {
    "gru": ("9f5c1e7c955d89bf", "ae5ce044df321903"),
    "conv": ("c0687098bc5ed897", "3e59d53d684ff7c1"),
}


def model_of(cell: str, **sizes: Any) -> onnx.ModelProto:
    return make_model(cell=cell, **{"layers": 3, "residual": True, **sizes})


@pytest.fixture
def cell_path(cell: str, tmp_path: Path) -> Path:
    path = tmp_path / f"{cell}.onnx"
    path.write_bytes(model_of(cell).SerializeToString())
    return path


def by_name(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.name == name)


@each_cell
def test_layers_and_state_are_described(core_reader: Path, cell: str) -> None:
    content = model_of(cell).SerializeToString()
    network = describe_network(12, cell=cell, layers=3, residual=True)
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
    run(*build.command, *flags, "-c", CORE / "pack_plan.c", "-o", copied / "pack_plan.o")
    return copied


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_texts_are_the_same_without_a_table_of_the_first_layer(
    build: Build, objects: Path, cell_path: Path
) -> None:
    arguments = (cell_path, "", PROMPT, "300", "5", "0", "1")
    others = without_a_table(build, objects, cell_path.parent)
    programs = [link(build, each, PROGRAMS / "texts.c") for each in (others, objects)]
    first, second = (run(program, *arguments) for program in programs)
    assert first == second


@pytest.mark.parametrize("cell", ["gru", "conv"])
def test_lanes_end_as_their_constraints_and_stop_texts_say(
    build: Build, objects: Path, cell_path: Path
) -> None:
    run(link(build, objects, PROGRAMS / "endings.c"), cell_path)


@pytest.mark.parametrize("cell", GOLDEN)
@pytest.mark.parametrize("build", EXACT, indirect=True, ids=str)
def test_logits_are_the_same_to_the_last_bit(build: Build, objects: Path, cell: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model_of(cell, units=40, embedding=20, scale=0.2).SerializeToString())
    lines = run(link(build, objects, PROGRAMS / "exact.c"), path).splitlines()
    hashes = dict(line.split() for line in lines[3:])
    fused, unfused = GOLDEN[cell]
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


def slice_another_axis(model: onnx.ModelProto) -> None:
    set_input("older_1", 3, "two")(model)
    model.graph.initializer.append(numpy_helper.from_array(np.array([2]), "two"))


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
    ("cell", "change"),
    [
        ("gru", swap_inputs("residual_1", "residual_1", 0, 1)),
        # The connection skips a layer.
        ("conv", set_input("residual_2", 1, "output_0")),
        ("conv", add_an_input),
        ("lstm", set_tensor("direction_axis", raw_data=np.array([0], "<i8").tobytes())),
        ("lstm", set_input("lstm_1", 4, "lengths")),
        ("lstm", swap_inputs("join_cell", "join_cell", 0, 1)),
        ("lstm", swap_inputs("split_hidden", "split_cell")),
        ("lstm", declare_another_type),
        ("lstm", declare(1, 1, 2)),
        ("lstm", import_other_operators),
        ("lstm", set_node("lstm_1", "domain", "com.example")),
        # Both formulas of a GRU are common.
        ("gru", set_attribute("gru_1", "linear_before_reset", 0)),
        ("gru", set_attribute("gru_1", "linear_before_reset", None)),
        ("conv", set_input("last_1", 1, "older_end_0")),
        ("conv", set_input("last_1", 0, "buffer_2")),
        ("conv", set_input("older_1", 1, "older_end_1")),
        ("conv", swap_inputs("taps_1", "taps_1", 0, 1)),
        ("conv", swap_inputs("tanh_1", "sigmoid_1")),
        ("conv", set_attribute("split_1", "axis", 1)),
        ("conv", set_attribute("split_1", "axis", None)),
        # Both arrays have four units; the declared shapes are those of the other layer.
        ("conv", swap_inputs("buffer_1", "buffer_2")),
        ("conv", set_node("tanh_1", "op_type", "Sigmoid")),
        ("conv", slice_another_axis),
        ("conv", declare(2, 0, 3)),
    ],
)
def test_graphs_that_compute_something_else_are_unknown(core_reader: Path, cell: str, change: Change) -> None:
    model = model_of(cell)
    change(model)
    assert refusal(core_reader, model.SerializeToString())[0] == UNKNOWN_GRAPH


def test_layers_of_several_kinds_are_unknown(core_reader: Path) -> None:
    model = model_of("lstm", residual=False)
    gru = by_name(model, "lstm_2")
    gru.op_type = "GRU"
    gru.attribute.append(helper.make_attribute("linear_before_reset", 1))
    del gru.input[-1], gru.output[-1]
    assert refusal(core_reader, model.SerializeToString()) == (
        UNKNOWN_GRAPH,
        "the layers are of several kinds",
    )


def test_a_residual_connection_of_the_first_layer_is_unknown(core_reader: Path) -> None:
    model = model_of("gru", embedding=4, layers=2, residual=False)
    squeeze = by_name(model, "squeeze_0")
    squeeze.output[0] = "first"
    add = helper.make_node("Add", ["first", "embedded"], ["output_0"], "residual_0")
    model.graph.node.insert(list(model.graph.node).index(squeeze) + 1, add)
    code, line = refusal(core_reader, model.SerializeToString())
    assert (code, line) == (UNKNOWN_GRAPH, "the first layer has a residual connection")


@pytest.mark.parametrize(
    ("cell", "name", "values", "message"),
    [
        (
            "gru",
            "bias_1",
            np.zeros((1, 23)),
            "the GRU weights have shapes [1, 12, 4], [1, 12, 4] and [1, 23]",
        ),
        ("gru", "bias_1", np.zeros((2, 24)), "the GRU weights have several directions"),
        (
            "conv",
            "weights_1",
            np.zeros((8, 9)),
            "the convolution weights have shapes [8, 9] and [8]; expected",
        ),
        ("conv", "bias_1", np.zeros(9), "the convolution weights have shapes [8, 8] and [9]"),
        ("conv", "weights_0", np.zeros((8, 8)), "expected [6, 8] and [8]"),
    ],
)
def test_weights_of_wrong_shapes_are_damage(
    core_reader: Path, cell: str, name: str, values: np.ndarray, message: str
) -> None:
    model = model_of(cell)
    set_values(name, values)(model)
    code, line = refusal(core_reader, model.SerializeToString())
    assert code == DAMAGED_MODEL
    assert message in line


@each_cell
def test_weights_that_are_not_finite_are_damage(core_reader: Path, cell: str) -> None:
    for name in {"conv": ("weights_2", "bias_2")}.get(cell, ("input_2", "recurrent_2", "bias_2")):
        model = model_of(cell)
        values = numpy_helper.to_array(tensor(model, name)).copy()
        values.flat[-1] = np.nan
        set_values(name, values)(model)
        code, line = refusal(core_reader, model.SerializeToString())
        assert (code, f"'{name}' contain NaN or infinity" in line) == (DAMAGED_MODEL, True)


@pytest.mark.parametrize("name", ["embedding", "bias_1"])
def test_sums_of_weights_that_overflow_are_damage(core_reader: Path, name: str) -> None:
    """The embedding is multiplied by weights, and an LSTM has two biases."""
    model = model_of("lstm")
    values = np.full_like(numpy_helper.to_array(tensor(model, name)), 3e38)
    set_values(name, values)(model)
    code, line = refusal(core_reader, model.SerializeToString())
    assert (code, line) == (DAMAGED_MODEL, "sums of the weights overflow float32: export the model again")


def with_dilations(layers: int, dilation: int) -> bytes:
    """A model whose convolutions all have one dilation, with weights of a few hundred bytes."""
    model = model_of("conv", layers=layers, residual=False, units=1, embedding=1)
    for i in range(layers):
        set_tensor(f"older_end_{i}", raw_data=np.array([-dilation], "<i8").tobytes())(model)
        model.graph.input[1 + i].type.tensor_type.shape.dim[0].dim_value = dilation
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("dilation", [0, -1, 65537, 2**40, 2**63 - 1])
def test_an_unusable_dilation_is_unknown(core_reader: Path, dilation: int) -> None:
    assert refusal(core_reader, with_dilations(1, dilation)) == (
        UNKNOWN_GRAPH,
        "a Slice node has an unexpected start or end",
    )


def test_the_state_of_a_small_file_is_limited(core_reader: Path) -> None:
    accepted, refused = run_all(core_reader, [with_dilations(1, 65536), with_dilations(15, 65536)])
    assert accepted[-1].startswith("state inputs_0 65536")
    assert refused[-1].startswith(f"{TOO_LARGE} ")
    assert "many times more memory" in refused[-1]
