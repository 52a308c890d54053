"""Kernels are selected by name, and their activations are accurate."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from textgen_runtime.engines.core import activation
from textgen_runtime.engines.native import NativeEngine

from tests.helpers.int8_models import make_int8_model
from tests.helpers.make_tiny_model import make_model
from tests.helpers.native_engines import KERNELS, content_of, engines, symbols

# A layer of so many units has several tiles of weights.
UNITS, VOCABULARY, LANES = 80, 70, 31


def cell_engine(cell: str, kernels: str) -> NativeEngine:
    make = make_int8_model if cell.startswith("8-bit") else make_model
    model = make(symbols(VOCABULARY), scale=0.1, cell=cell.removeprefix("8-bit "), units=UNITS, layers=2)
    return NativeEngine(model.SerializeToString(), kernels=kernels)


def logits_of(engine: NativeEngine, lanes: int) -> NDArray[np.float32]:
    """Return the logits after three tokens in each lane. The tokens of a lane depend only on its number."""
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (LANES, 3)).T[:, :lanes]
    return engine.forward(tokens, engine.initial_state(lanes))[0]


@pytest.mark.parametrize("values", [np.zeros(3), b"1234567", np.zeros((2, 2), np.float32)])
def test_activations_accept_only_float32_of_one_dimension(values: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        activation("tanh", values, KERNELS[0])


def test_kernel_names_must_be_str_without_nul() -> None:
    with pytest.raises(ValueError, match="kernels must be one of"):
        activation("tanh", np.zeros(1, np.float32), f"{KERNELS[0]}\0more")
    with pytest.raises(TypeError, match="kernels must be a str or None, not bytes"):
        NativeEngine(content_of(59, 16), kernels=KERNELS[0].encode())  # type: ignore[arg-type]


def test_an_unknown_activation_is_an_error() -> None:
    with pytest.raises(ValueError, match="name must be 'sigmoid' or 'tanh', not 'relu'"):
        activation("relu", np.zeros(1, np.float32), KERNELS[0])


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(
    ("name", "bits", "bound"),
    [("tanh", 32, 2e-7), ("sigmoid", 32, 2e-7), ("tanh", 8, 5e-5), ("sigmoid", 8, 3e-5)],
)
def test_activations_are_accurate(kernels: str, name: str, bits: int, bound: float) -> None:
    """The absolute error is limited on a dense grid and at the ends of the range."""
    grid = np.concatenate([np.linspace(-20, 20, 400_001), np.geomspace(1e-38, 3e38, 2001)])
    values = np.concatenate([grid, -grid, [0.0, -0.0, np.inf, -np.inf]]).astype(np.float32)
    exact = values.astype(np.float64)
    with np.errstate(over="ignore"):
        expected = np.tanh(exact) if name == "tanh" else 1 / (1 + np.exp(-exact))
    found = np.asarray(activation(name, values, kernels, bits=bits))
    assert np.abs(found - expected).max() <= bound
    if bits == 8:
        assert np.abs(found).max() <= 1
        np.testing.assert_array_equal(found, activation(name, values, KERNELS[0], bits=8))
    else:
        assert np.isnan(activation(name, np.array([np.nan], np.float32), kernels)).all()


def test_kernels_are_selected_by_name() -> None:
    assert "baseline" in KERNELS
    with pytest.raises(
        ValueError, match=r"kernels must be one of .*baseline on this processor, not 'abacus'"
    ):
        engines(59, 16, 1, "abacus")
    for name in KERNELS:
        assert NativeEngine(content_of(12, 4), kernels=name).name == f"native ({name})"


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "conv", "8-bit lstm"])
def test_logits_are_equal_to_the_bit_with_any_number_of_lanes(cell: str, kernels: str) -> None:
    engine = cell_engine(cell, kernels)
    expected = logits_of(engine, LANES)
    for lanes in range(1, LANES):
        np.testing.assert_array_equal(logits_of(engine, lanes), expected[:, :lanes], strict=True)
