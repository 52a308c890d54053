"""The C core runs networks with 8-bit weights, with the same results everywhere, and rejects damaged ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from onnx import helper, numpy_helper
from textgen_runtime._core import kernel_names

from tests.core.test_core_cells import set_attribute, set_input, without_a_table
from tests.helpers.c_programs import EMULATOR, EXACT, PROGRAMS, Build, link, run
from tests.helpers.core_reader import DAMAGED_MODEL, TOO_LARGE, UNKNOWN_GRAPH, refusal, run_all
from tests.helpers.damaged_models import Damage, drop_tensor, tensor
from tests.helpers.int8_models import make_int8_model, quantize_model
from tests.helpers.make_tiny_model import SYMBOLS, make_model
from tests.helpers.paths import TINY_INT8, TINY_INT8_TEXT

# Hashes of the logits and the states of random networks.
GOLDEN = {
    ("lstm", 1): "ab0d5da3bbb4421f",
    ("lstm", 3): "a58d160aab9e7cbd",
    ("gru", 1): "25d1af563b9e064e",
    ("gru", 3): "5726fcc167ab6735",
}

each_network = pytest.mark.parametrize(("cell", "layers"), GOLDEN)


def write_model(folder: Path, cell: str, layers: int) -> Path:
    """Write a model with residual connections, and sizes that are no multiples of the sizes of vectors."""
    model = make_int8_model(cell=cell, layers=layers, residual=True, units=37, embedding=19, scale=0.3)
    written = folder / "model.onnx"
    written.write_bytes(model.SerializeToString())
    return written


@pytest.fixture
def path(cell: str, layers: int, tmp_path: Path) -> Path:
    """A model of ``write_model``."""
    return write_model(tmp_path, cell, layers)


def hashes(program: Path, path: Path) -> dict[str, str]:
    """Return the hash of each instruction set."""
    return dict(line.split() for line in run(program, path).splitlines())


@each_network
@pytest.mark.parametrize("build", EXACT, indirect=True, ids=str)
def test_results_are_the_same_to_the_last_bit_in_all_instruction_sets(
    build: Build, objects: Path, cell: str, layers: int, path: Path
) -> None:
    found = hashes(link(build, objects, PROGRAMS / "int8.c"), path)
    assert "baseline" in found
    assert set(found.values()) == {GOLDEN[cell, layers]}


@each_network
def test_results_are_the_same_without_a_table_of_the_first_layer(
    build: Build, objects: Path, cell: str, layers: int, path: Path
) -> None:
    others = without_a_table(build, objects, path.parent)
    found = hashes(link(build, others, PROGRAMS / "int8.c"), path)
    assert set(found.values()) == {GOLDEN[cell, layers]}


@pytest.mark.parametrize("build", EXACT, indirect=True, ids=str)
def test_the_golden_text_is_the_same_everywhere(build: Build, objects: Path) -> None:
    program = link(build, objects, PROGRAMS / "texts.c")
    text = TINY_INT8_TEXT.read_bytes().decode()
    only_baseline = EMULATOR or build.variant in ("plain C", "32 bits")
    for kernels in ["", "baseline"] if only_baseline else ["", *kernel_names()]:
        assert run(program, TINY_INT8, kernels, "abc", "400", "7", "1") == text + "\0", kernels


def test_python_generates_the_golden_text() -> None:
    text = TINY_INT8_TEXT.read_bytes().decode()
    assert textgen.load(TINY_INT8).start("abc", temperature=1.0, seed=7).take(400) == text


def dequantize(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.name == f"{name}_dequantize")


def set_weight(name: str, index: tuple[int | slice, ...], values: list[int]) -> Damage:
    """Return a change of neighboring 8-bit weights."""

    def damage(model: onnx.ModelProto) -> None:
        array = numpy_helper.to_array(tensor(model, f"{name}_int8")).copy()
        array[index] = values
        tensor(model, f"{name}_int8").CopyFrom(numpy_helper.from_array(array, f"{name}_int8"))

    return damage


def set_scale(name: str, value: float) -> Damage:
    def damage(model: onnx.ModelProto) -> None:
        scales = numpy_helper.to_array(tensor(model, f"{name}_scale")).copy()
        scales[-1] = value
        tensor(model, f"{name}_scale").CopyFrom(numpy_helper.from_array(scales, f"{name}_scale"))

    return damage


def set_array(name: str, array: np.ndarray) -> Damage:
    return lambda model: tensor(model, name).CopyFrom(numpy_helper.from_array(array, name))


def store_integers_apart(model: onnx.ModelProto) -> None:
    weight = tensor(model, "input_0_int8")
    weight.int32_data.extend(numpy_helper.to_array(weight).ravel().tolist())
    weight.ClearField("raw_data")


BOUND = "exceed the limits of 8-bit weights: quantize the model again"
SCALE = "contain a number that is not positive, or too small: quantize the model again"
FIRST = (0, 0, slice(0, 2))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *(
            (set_weight(name, FIRST, [65, 65]), f"the weights '{name}_int8' {BOUND}")
            for name in ("input_0", "recurrent_0", "recurrent_1")
        ),
        (set_weight("input_1", (0, 79, slice(2, 4)), [-127, -3]), f"'input_1_int8' {BOUND}"),
        (set_weight("recurrent_0", (0, 3, slice(0, 2)), [-128, 0]), f"'recurrent_0_int8' {BOUND}"),
        (set_weight("input_0", (0, 3, slice(12, 13)), [-128]), f"'input_0_int8' {BOUND}"),
        (set_weight("output_weights", (slice(4, 6), 11), [100, 30]), f"'output_weights_int8' {BOUND}"),
        (set_weight("embedding", (2, slice(0, 2)), [-128, 0]), f"'embedding_int8' {BOUND}"),
        *(
            (set_scale(name, 1e-39), f"the scales '{name}_scale' {SCALE}")
            for name in ("embedding", "input_0", "recurrent_1", "output_weights")
        ),
        (set_scale("input_1", -0.5), f"the scales 'input_1_scale' {SCALE}"),
        (set_scale("input_1", np.nan), "the weights 'input_1_scale' contain NaN or infinity"),
        (set_scale("embedding", 3e38), "overflow float32"),
    ],
)
def test_values_beyond_their_bounds_are_damage(core_reader: Path, damage: Damage, message: str) -> None:
    model = make_int8_model(units=20, embedding=13, layers=2, scale=0.5)
    damage(model)
    code, line = refusal(core_reader, model.SerializeToString())
    assert (code, message in line) == (DAMAGED_MODEL, True), line


def test_weights_at_their_bounds_are_accepted(core_reader: Path) -> None:
    model = make_int8_model(units=20, embedding=13, layers=2, scale=0.5)
    for values in ([127, 2], [-127, -2], [127, -127], [64, 65]):
        set_weight("recurrent_0", FIRST, values)(model)
        ((*_, last),) = run_all(core_reader, [model.SerializeToString()])
        assert last == "state cell 2 20"


@pytest.mark.parametrize(
    ("damage", "code", "message"),
    [
        (drop_tensor("input_0_int8"), DAMAGED_MODEL, "'input_0_int8' are missing"),
        (drop_tensor("input_0_scale"), DAMAGED_MODEL, "'input_0_scale' are missing"),
        (
            set_array("recurrent_0_scale", np.ones(79, np.float32)),
            DAMAGED_MODEL,
            "the scales 'recurrent_0_scale' have shape [79]; expected [80]",
        ),
        (
            set_array("embedding_scale", np.ones(20, np.float32)),
            DAMAGED_MODEL,
            "have shape [20]; expected [12]",
        ),
        (set_array("output_weights_scale", np.ones(20, np.float32)), DAMAGED_MODEL, "expected [12]"),
        (
            set_array("input_0_scale", np.array(1, np.float32)),
            DAMAGED_MODEL,
            "'input_0_scale' have ONNX type 1 and shape []; expected type 1 and 1 dimensions",
        ),
        (set_array("input_0_scale", np.ones(80)), DAMAGED_MODEL, "type 11 and shape [80]; expected type 1"),
        (set_array("input_0_int8", np.zeros((1, 80, 12), np.uint8)), DAMAGED_MODEL, "type 2 and shape"),
        (set_array("input_0_int8", np.zeros((1, 80, 12), np.float32)), DAMAGED_MODEL, "expected type 3"),
        (set_array("input_1_int8", np.zeros((1, 79, 20), np.int8)), DAMAGED_MODEL, "weights have shapes"),
        (set_array("embedding_int8", np.zeros((11, 12), np.int8)), DAMAGED_MODEL, "different vocabulary"),
        (
            lambda model: setattr(tensor(model, "input_0_int8"), "raw_data", b"12"),
            DAMAGED_MODEL,
            "have 2 bytes, which does not match their shape [1, 80, 12]",
        ),
        (store_integers_apart, UNKNOWN_GRAPH, "stored in several parts"),
    ],
)
def test_wrong_initializers_are_refused(core_reader: Path, damage: Damage, code: int, message: str) -> None:
    model = make_int8_model(units=20, embedding=12, layers=2)
    damage(model)
    found, line = refusal(core_reader, model.SerializeToString())
    assert found == code
    assert message in line


def add_a_zero_point(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(80, np.int8), "zero"))
    dequantize(model, "input_0").input.append("zero")


def compute_scales(model: onnx.ModelProto) -> None:
    scales = tensor(model, "input_0_scale")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["input_0_scale"], value=scales))
    model.graph.initializer.remove(scales)


def declare_the_weights_as_an_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(
        helper.make_tensor_value_info("input_0_int8", onnx.TensorProto.INT8, [1, 80, 12])
    )
    model.graph.output.append(
        helper.make_tensor_value_info("next_input_0_int8", onnx.TensorProto.INT8, [1, 80, 12])
    )


def scale_twice(model: onnx.ModelProto) -> None:
    node = dequantize(model, "input_0")
    model.graph.node.insert(1, helper.make_node("DequantizeLinear", node.input, ["again"]))


def quantize_the_bias(model: onnx.ModelProto) -> None:
    model.graph.initializer.remove(tensor(model, "output_bias"))
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.zeros(12, np.int8), "bias_int8"),
            numpy_helper.from_array(np.array(1, np.float32), "bias_scale"),
        ]
    )
    node = helper.make_node("DequantizeLinear", ["bias_int8", "bias_scale"], ["output_bias"])
    model.graph.node.insert(0, node)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (add_a_zero_point, "unexpected inputs or attributes of a DequantizeLinear node"),
        (
            set_attribute("recurrent_0_dequantize", "axis", 2),
            "unexpected inputs or attributes of a DequantizeLinear node",
        ),
        (set_attribute("embedding_dequantize", "axis", None), "a DequantizeLinear node has no axis"),
        (set_input("input_0_dequantize", 1, ""), "a DequantizeLinear node has no scales"),
        (set_input("recurrent_0_dequantize", 1, "input_0_scale"), "several layers share weights"),
        (set_input("recurrent_0_dequantize", 0, "recurrent_1_int8"), "several layers share weights"),
        (compute_scales, "the weights 'input_0_scale' are not an initializer"),
        (declare_the_weights_as_an_input, "a weight is also a graph input"),
        (scale_twice, "unexpected nodes"),
        (quantize_the_bias, "the weights 'output_bias' are not an initializer"),
    ],
)
def test_graphs_that_compute_something_else_are_unknown(
    core_reader: Path, change: Callable[[onnx.ModelProto], None], message: str
) -> None:
    model = make_int8_model(units=20, embedding=12, layers=2)
    change(model)
    code, line = refusal(core_reader, model.SerializeToString())
    assert (code, message in line) == (UNKNOWN_GRAPH, True), line


@pytest.mark.parametrize("name", ["embedding", "input_0", "recurrent_1", "output_weights"])
def test_weights_of_different_types_are_unknown(core_reader: Path, name: str) -> None:
    sizes: dict[str, Any] = {"units": 20, "embedding": 12, "layers": 2}
    model, original = make_int8_model(**sizes), make_model(**sizes)
    model.graph.node.remove(dequantize(model, name))
    model.graph.initializer.append(tensor(original, name))
    for part in ("int8", "scale"):
        model.graph.initializer.remove(tensor(model, f"{name}_{part}"))
    assert refusal(core_reader, model.SerializeToString()) == (
        UNKNOWN_GRAPH,
        "some weights have 8 bits, and others have 32",
    )


def test_convolutions_with_8_bit_weights_are_unknown(core_reader: Path) -> None:
    model = make_model(cell="conv", layers=2)
    quantized = quantize_model(model, ["embedding", "output_weights"])
    assert refusal(core_reader, quantized.SerializeToString()) == (
        UNKNOWN_GRAPH,
        "convolutions with 8-bit weights are not supported",
    )


def test_layers_with_too_many_inputs_are_refused(core_reader: Path) -> None:
    model = make_int8_model(SYMBOLS[:2], units=1, embedding=65537)
    assert refusal(core_reader, model.SerializeToString()) == (
        TOO_LARGE,
        "a layer with 8-bit weights has more than 65,536 units or inputs",
    )
