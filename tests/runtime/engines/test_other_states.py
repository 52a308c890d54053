"""The onnxruntime engine runs graphs with any declared state."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from onnx import TensorProto, helper, numpy_helper
from textgen_runtime import Model
from textgen_runtime.model import open_model

from tests.helpers.damaged_models import (
    state_of_another_size,
    state_of_two_dimensions,
    state_of_unknown_size,
    tokens_of_another_type,
)
from tests.helpers.make_tiny_model import make_model

SYMBOLS = "abcdefg"


def state_value(name: str, layers: int, units: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [layers, "batch", units])


def counting_model(name: str = "read count") -> bytes:
    """Return the LSTM of the tests with a third state array, which counts the tokens."""
    model = make_model(SYMBOLS)
    graph = model.graph
    graph.input.append(state_value(name, 2, 3))
    graph.output.append(state_value(f"next_{name}", 2, 3))
    graph.node.extend(
        [
            helper.make_node("Shape", ["token"], ["time"], end=1),
            helper.make_node("Cast", ["time"], ["steps"], to=TensorProto.FLOAT),
            helper.make_node("Add", [name, "steps"], [f"next_{name}"]),
        ]
    )
    return model.SerializeToString()


def generate_step_by_step(model: Model, prompt: str, length: int) -> str:
    sampler, state = textgen.Sampler(1.0, 4), model.engine.initial_state()
    text = prompt
    for read in range(len(prompt) + length - 1):
        token = model.tokenizer.encode(text[read])[0]
        logits, state = model.engine.forward(np.array([[token]]), state)
        if read >= len(prompt) - 1:
            text += SYMBOLS[sampler.draw(logits[0, 0])]
    return text[len(prompt) :]


def test_any_state_is_carried() -> None:
    """``test_bundled.py`` has files of networks without the state of an LSTM."""
    model = open_model(counting_model(), "onnxruntime")
    state = {"hidden": (1, 4), "cell": (1, 4), "read count": (2, 3)}
    assert model.engine.core.state_shapes == state
    expected = generate_step_by_step(model, "abc", 60)
    assert model.generate("abc", length=60, temperature=1.0, seed=4) == expected
    assert model.generate(["abc", "cab"], length=60, temperature=1.0, seed=4)[0] == expected
    generation = model.start("abc", temperature=1.0, seed=4)
    assert {name: array.shape for name, array in generation.state.items()} == {
        name: (layers, 1, units) for name, (layers, units) in state.items()
    }
    generation.take(7)
    assert (generation.state["read count"] == 10).all()


@pytest.mark.parametrize("name", ["description", "file", "state hidden", "a/b"])
def test_a_state_array_of_any_name_is_saved(name: str, tmp_path: Path) -> None:
    model = open_model(counting_model(name), "onnxruntime")
    generation = model.start("abc", seed=1)
    textgen.save(generation, tmp_path / "saved")
    resumed = textgen.resume(model, tmp_path / "saved")
    assert (resumed.state[name] == 3).all()
    assert resumed.take(20) == generation.take(20)


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["next_cell"], ["after_cell"]))
    model.graph.output[2].name = "after_cell"


def drop_state(model: onnx.ModelProto) -> None:
    zeros = numpy_helper.from_array(np.zeros((1, 1, 4), np.float32))
    for value in list(model.graph.input[1:]):
        zeros.name = value.name
        model.graph.initializer.append(zeros)
        model.graph.input.remove(value)


def double_state(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.DOUBLE, [1, "batch", 4]))
    model.graph.output.append(helper.make_tensor_value_info("next_more", TensorProto.DOUBLE, [1, "batch", 4]))
    model.graph.node.append(helper.make_node("Identity", ["more"], ["next_more"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename_output, "for each state input x an output next_x"),
        (drop_state, "not a text generator"),
        (double_state, r"the input 'more' must be tensor\(float\) of 3 dimensions, .*not tensor\(double\)"),
        (state_of_unknown_size, "the input 'hidden' must be .* with fixed rows and units"),
        (state_of_two_dimensions, "the input 'hidden' must be .* of 3 dimensions"),
        (state_of_another_size, "onnxruntime cannot run the graph"),
        (tokens_of_another_type, "the input 'token' must be"),
    ],
)
def test_an_invalid_declaration_of_the_state_is_an_error(
    change: object, message: str, tiny_proto: onnx.ModelProto
) -> None:
    assert callable(change)
    change(tiny_proto)
    with pytest.raises(textgen.ModelFileError, match=message) as caught:
        open_model(tiny_proto.SerializeToString(), "onnxruntime")
    assert "\n" not in str(caught.value)
