"""Native engines with small random models, and lanes for them."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from textgen_runtime import Sampler
from textgen_runtime.engines.base import Lane, State
from textgen_runtime.engines.core import kernel_names
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.engines.onnxruntime import OnnxEngine

from tests.helpers.make_tiny_model import make_model

KERNELS = kernel_names()


def symbols(count: int) -> list[str]:
    return [chr(0x4E00 + i) for i in range(count)]


def content_of(vocabulary: int, units: int, layers: int = 1, scale: float = 0.3) -> bytes:
    model = make_model(symbols(vocabulary), units=units, layers=layers, scale=scale)
    return bytes(model.SerializeToString())


def engines(vocabulary: int, units: int, layers: int, kernels: str) -> tuple[NativeEngine, OnnxEngine]:
    # Larger weights make a network chaotic, so that rounding differences between engines grow.
    scale = 1.2 / math.sqrt(units)
    content = content_of(vocabulary, units, layers, scale)
    return NativeEngine(content, kernels=kernels), OnnxEngine(content)


def samplers(count: int, temperature: float = 1.0, seed: int = 1) -> list[Sampler]:
    return [Sampler(temperature, seed, substream=i) for i in range(count)]


def zeros(vocabulary: int) -> NDArray[np.float32]:
    return np.zeros(vocabulary, np.float32)


def lanes(
    native: NativeEngine,
    drawing: list[Sampler],
    length: int,
    logits: Any = None,
    state: State | None = None,
) -> list[Lane]:
    """Return one lane per sampler, all with the same logits and state."""
    logits = zeros(native.vocabulary_size) if logits is None else logits
    return [Lane(sampler, logits, state or native.initial_state(), length) for sampler in drawing]


def generate(
    native: NativeEngine, drawing: list[Sampler], length: int, logits: Any = None, state: State | None = None
) -> list[list[int]]:
    return [
        list(result.tokens)
        for result in native.generate(lanes(native, drawing, length, logits, state), length)
    ]


def assert_states_equal(one: State, other: State) -> None:
    assert list(one) == list(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
