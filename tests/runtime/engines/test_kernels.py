"""Kernels are selected by name, and their activations are accurate."""

import numpy as np
import pytest
from numpy.typing import NDArray
from textgen_runtime.engines.base import State
from textgen_runtime.engines.native import NativeEngine

from tests.helpers.damaged_models import set_values
from tests.helpers.int8_models import make_int8_model, quantize_model
from tests.helpers.make_tiny_model import make_model
from tests.helpers.native_engines import KERNELS, content_of, engines, symbols

# A layer of so many units has several tiles of weights.
UNITS, VOCABULARY, LANES = 80, 70, 31


def engine_of(bits: int, kernels: str) -> NativeEngine:
    make = make_int8_model if bits == 8 else make_model
    model = make(symbols(VOCABULARY), scale=0.1, units=UNITS, layers=2)
    return NativeEngine(model.SerializeToString(), kernels=kernels)


def logits_of(engine: NativeEngine, lanes: int) -> NDArray[np.float32]:
    """Return the logits after three tokens in each lane. The tokens of a lane depend only on its number."""
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (LANES, 3)).T[:, :lanes]
    return engine.forward(tokens, engine.initial_state(lanes))[0]


def test_kernel_names_must_be_str_without_nul() -> None:
    with pytest.raises(ValueError, match="kernels must be one of"):
        NativeEngine(content_of(59, 16), kernels=f"{KERNELS[0]}\0more")
    with pytest.raises(TypeError, match="kernels must be a str or None, not bytes"):
        NativeEngine(content_of(59, 16), kernels=KERNELS[0].encode())  # type: ignore[arg-type]


ALWAYS = np.float32(100)


def activation(name: str, values: NDArray[np.float32], bits: int, kernels: str) -> NDArray[np.float32]:
    """Return sigmoid or tanh of values, from an LSTM of as many units whose other gates are 0 or 1."""
    model = make_model("ab", units=len(values), embedding=1)
    set_values("input_0", np.zeros((1, 4 * len(values), 1)))(model)
    set_values("recurrent_0", np.zeros((1, 4 * len(values), len(values))))(model)
    # ONNX's order: input, output, forget, cell. The cell state stays as it is.
    bias = np.zeros((8, len(values)), np.float32)
    bias[0], bias[1], bias[2] = -ALWAYS, values if name == "sigmoid" else ALWAYS, ALWAYS
    set_values("bias_0", bias.reshape(1, -1))(model)
    engine = NativeEngine(
        (model if bits == 32 else quantize_model(model)).SerializeToString(), kernels=kernels
    )
    cell = values if name == "tanh" else np.full_like(values, ALWAYS)
    shape = (1, 1, len(values))
    state = State({"hidden": np.zeros(shape, np.float32), "cell": cell.reshape(shape)})
    return np.asarray(engine.forward(np.array([[0]]), state)[1]["hidden"]).ravel()


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(
    ("name", "bits", "bound"),
    [("tanh", 32, 3e-7), ("sigmoid", 32, 3e-7), ("tanh", 8, 1e-4), ("sigmoid", 8, 9e-5)],
)
def test_activations_are_accurate(kernels: str, name: str, bits: int, bound: float) -> None:
    """The absolute error is limited on a grid and at the ends of the range."""
    grid = np.concatenate([np.linspace(0, 20, 200), np.geomspace(1e-38, 3e38, 31)])
    values = np.concatenate([grid, -grid, [0.0, -0.0]]).astype(np.float32)
    if name == "tanh":
        values = np.append(values, np.array([np.inf, -np.inf], np.float32))
    with np.errstate(over="ignore"):
        expected = np.tanh(values, dtype=float) if name == "tanh" else 1 / (1 + np.exp(-values.astype(float)))
    found = activation(name, values, bits, kernels)
    assert np.abs(found - expected).max() <= bound
    assert np.abs(found).max() <= 1
    if (name, bits) == ("tanh", 32):
        assert np.isnan(activation(name, np.full(4, np.nan, np.float32), bits, kernels)).all()


def test_kernels_are_selected_by_name() -> None:
    assert "baseline" in KERNELS
    with pytest.raises(
        ValueError, match=r"kernels must be one of .*baseline on this processor, not 'abacus'"
    ):
        engines(59, 16, 1, "abacus")
    for name in KERNELS:
        assert NativeEngine(content_of(12, 4), kernels=name).name == f"native ({name})"


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("bits", [32, 8])
def test_logits_are_equal_to_the_bit_with_any_number_of_lanes(bits: int, kernels: str) -> None:
    engine = engine_of(bits, kernels)
    expected = logits_of(engine, LANES)
    for lanes in range(1, LANES):
        np.testing.assert_array_equal(logits_of(engine, lanes), expected[:, :lanes], strict=True)
