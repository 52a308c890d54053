"""The native engine runs networks with 8-bit weights exactly as their arithmetic is defined."""

from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from textgen_runtime.engine import NativeEngine

from tests.helpers.int8_models import make_int8_model, quantize_model
from tests.helpers.make_tiny_model import make_model
from tests.helpers.native_engines import KERNELS, assert_states_equal
from tests.helpers.paths import TINY_INT8

Floats: TypeAlias = NDArray[Any]
ONE, HALF, LEVELS = np.float32(1), np.float32(0.5), np.float32(127)

# tanh(x) is nearly x P(x^2) / Q(x^2) for |x| up to LIMIT: runtime/core/kernels/int8_body.h.
P = [np.float32(value) for value in (0.9997998, 0.101587944, 6.514394e-4)]
Q = [ONE, np.float32(0.4343434), np.float32(0.012600881)]
LIMIT = np.float32(5)


def tanh(x: Floats) -> Floats:
    x = np.clip(x, -LIMIT, LIMIT)
    square = x * x
    return np.asarray(x * (square * (square * P[2] + P[1]) + P[0]) / (square * (square * Q[2] + Q[1]) + Q[0]))


def sigmoid(x: Floats) -> Floats:
    return tanh(x * HALF) * HALF + HALF


def quantize(x: Floats, bound: int) -> NDArray[np.int64]:
    """Round to levels from -127 to 127, ties to even."""
    limit = np.float32(bound)
    return np.asarray(np.rint(np.clip(x, -limit, limit) * (LEVELS / limit)), np.int64)


def scaled(sums: NDArray[np.int64], scales: Floats) -> Floats:
    return sums.astype(np.float32) * scales


class Int8Network:
    """A network of LSTM layers, read from a model file."""

    def __init__(self, content: bytes) -> None:
        model = onnx.load_from_string(content)
        self.arrays = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        self.layers = sum(name.startswith("bias_") for name in self.arrays)
        self.residual = {node.name for node in model.graph.node}

    def weight(self, name: str) -> tuple[NDArray[np.int64], Floats]:
        values = self.arrays[f"{name}_int8"].astype(np.int64)
        return values.reshape(-1, values.shape[-1]), self.arrays[f"{name}_scale"]

    def initial_state(self) -> dict[str, Floats]:
        units = self.arrays["output_weights_int8"].shape[0]
        return {name: np.zeros((self.layers, units), np.float32) for name in ("hidden", "cell")}

    def step(self, token: int, state: dict[str, Floats]) -> Floats:
        """Run one token, update the state in place and return the logits."""
        embedding, embedding_scales = self.weight("embedding")
        inputs, scale, bound = embedding[token], embedding_scales[token], 0
        output = np.zeros(0, np.float32)
        for layer in range(self.layers):
            if layer:
                inputs, scale = quantize(output, bound), np.float32(bound) / LEVELS
            hidden = self.run_layer(layer, inputs, scale, state)
            residual = f"residual_{layer}" in self.residual
            bound = bound + 1 if residual else 1
            output = hidden + output if residual else hidden
        weights, scales = self.weight("output_weights")
        sums = quantize(output, bound) @ weights
        return self.arrays["output_bias"] + scaled(sums, np.float32(bound) / LEVELS * scales)

    def run_layer(self, layer: int, inputs: NDArray[Any], scale: Any, state: dict[str, Floats]) -> Floats:
        weights, scales = self.weight(f"input_{layer}")
        bias = np.add(*np.split(self.arrays[f"bias_{layer}"][0], 2))
        gates = bias + scaled(weights @ inputs, scale * scales)
        weights, scales = self.weight(f"recurrent_{layer}")
        before = state["hidden"][layer]
        recurrent = scaled(weights @ quantize(before, 1), scales * (ONE / LEVELS))
        # ONNX's order: input, output, forget, cell.
        i, o, f, c = np.split(gates + recurrent, 4)
        kept = sigmoid(f) * state["cell"][layer]
        state["cell"][layer] = kept + sigmoid(i) * tanh(c)
        state["hidden"][layer] = sigmoid(o) * tanh(state["cell"][layer])
        return np.array(state["hidden"][layer])


each_kernels = pytest.mark.parametrize("kernels", KERNELS)


@each_kernels
@pytest.mark.parametrize(
    "sizes",
    [
        {"units": 20, "embedding": 12, "scale": 0.5},
        {"units": 37, "embedding": 19, "layers": 3, "residual": True, "scale": 0.3},
    ],
    ids=str,
)
def test_logits_and_states_equal_the_definition_to_the_last_bit(kernels: str, sizes: dict[str, Any]) -> None:
    content = make_int8_model(**sizes).SerializeToString()
    engine, reference = NativeEngine(content, kernels=kernels), Int8Network(content)
    tokens = np.random.default_rng(1).integers(0, 12, 60)
    logits, state = engine.forward(tokens[:, None], engine.initial_state())
    expected_state = reference.initial_state()
    expected = [reference.step(token, expected_state) for token in tokens]
    np.testing.assert_array_equal(logits[:, 0], expected)
    for name in state:
        np.testing.assert_array_equal(state[name][:, 0], expected_state[name])


@each_kernels
def test_a_state_beyond_the_bounds_of_its_layer_is_limited(kernels: str) -> None:
    """Also NaN has one result on all processors."""
    engine = NativeEngine(TINY_INT8.read_bytes(), kernels=kernels)
    zeros = engine.initial_state()["cell"]
    hidden = np.resize(np.array([1e30, -2.0, np.nan, 0.5], np.float32), zeros.shape)
    limited = np.where(np.isnan(hidden), np.float32(1), hidden.clip(-1, 1))
    token = np.array([[1]])
    logits, after = engine.forward(token, {"hidden": hidden, "cell": zeros})
    expected, expected_after = engine.forward(token, {"hidden": limited, "cell": zeros})
    np.testing.assert_array_equal(logits, expected)
    assert_states_equal(after, expected_after)


def test_the_network_has_8_bits_and_the_parameters_of_the_original() -> None:
    original = make_model(units=20, embedding=12, layers=2)
    contents = [model.SerializeToString() for model in (original, quantize_model(original))]
    natives = [NativeEngine(content) for content in contents]
    assert [native.core.bits for native in natives] == [32, 8]
    assert natives[0].core.size == natives[1].core.size
    assert natives[0].core.parameters == natives[1].core.parameters > 6000
