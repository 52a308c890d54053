"""Each of the kernels is chosen by its name, and its activations are within their bound."""

import math
from typing import Any

import numpy as np
import pytest
from textgen_runtime.engines.kernels import activation
from textgen_runtime.engines.native import NativeEngine

from tests.helpers.native_engines import KERNELS, content_of, engines


@pytest.mark.parametrize("values", [np.zeros(3), b"1234567", np.zeros((2, 2), np.float32)])
def test_activations_take_a_row_of_float32(values: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        activation("tanh", values, KERNELS[0])


def test_kernels_are_named_by_a_whole_text() -> None:
    with pytest.raises(ValueError, match="this processor runs the kernels"):
        activation("tanh", np.zeros(1, np.float32), f"{KERNELS[0]}\0more")
    with pytest.raises(TypeError, match="kernels must be a str or None, not bytes"):
        NativeEngine(content_of(59, 16), kernels=KERNELS[0].encode())  # type: ignore[arg-type]


def test_there_is_no_other_activation() -> None:
    with pytest.raises(ValueError, match="the kernels compute 'sigmoid' and 'tanh', not 'relu'"):
        activation("relu", np.zeros(1, np.float32), KERNELS[0])


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(("name", "function"), [("tanh", math.tanh), ("sigmoid", None)])
def test_activations_are_within_their_bound(kernels: str, name: str, function: Any) -> None:
    """At most 2e-7 absolute, as kernel_body.h says, on a dense grid and at the ends of the range."""
    grid = np.concatenate([np.linspace(-20, 20, 400_001), np.geomspace(1e-38, 3e38, 2001)])
    values = np.concatenate([grid, -grid, [0.0, -0.0, np.inf, -np.inf]]).astype(np.float32)
    exact = values.astype(np.float64)
    with np.errstate(over="ignore"):
        expected = np.tanh(exact) if function else 1 / (1 + np.exp(-exact))
    assert np.abs(activation(name, values, kernels) - expected).max() <= 2e-7
    assert np.isnan(activation(name, np.array([np.nan], np.float32), kernels)).all()


def test_kernels_by_name() -> None:
    assert "baseline" in KERNELS
    with pytest.raises(ValueError, match=r"runs the kernels .*baseline, not 'abacus'"):
        engines(59, 16, 1, "abacus")
    for name in KERNELS:
        assert NativeEngine(content_of(12, 4), kernels=name).name == f"native ({name})"
