"""The native engine runs LSTMs as onnxruntime does, in every instruction set; others run in onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime.engines.base import State
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.engines.onnxruntime import OnnxEngine
from textgen_runtime.generation.loading import open_model

from tests.helpers.make_tiny_model import make_model
from tests.helpers.native_engines import KERNELS, assert_states_equal, symbols

# Vocabulary, units, embedding and layers that fill the blocks of the kernels, or are a little less or more.
SIZES = [
    (1, 1, 3, 1),
    (2, 1, 3, 5),
    (12, 4, 3, 1),
    (64, 16, 3, 1),
    (65, 17, 3, 1),
    (130, 40, 3, 2),
    (9, 33, 3, 3),
    (59, 128, 3, 1),
    (300, 48, 3, 1),
    (30, 4, 3, 2),
    (30, 33, 5, 2),
    (30, 48, 20, 5),
]


def content_of(*, vocabulary: int = 30, units: int = 20, embedding: int = 7, layers: int = 3) -> bytes:
    """Return a model whose layers have residual connections if their number is odd."""
    # Larger weights make a network chaotic, so that rounding differences between engines grow.
    options: dict[str, Any] = {"residual": layers % 2 == 1 and layers > 1, "scale": 1.2 / units**0.5}
    model = make_model(symbols(vocabulary), units=units, embedding=embedding, layers=layers, **options)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(("vocabulary", "units", "embedding", "layers"), SIZES)
def test_logits_and_states_equal_those_of_onnxruntime(
    kernels: str, vocabulary: int, units: int, embedding: int, layers: int
) -> None:
    content = content_of(vocabulary=vocabulary, units=units, embedding=embedding, layers=layers)
    native, reference = NativeEngine(content, kernels=kernels), OnnxEngine(content)
    assert native.network.state == reference.network.state
    assert native.network.depth_and_units == (layers, units)
    assert native.network.vocabulary == native.vocabulary_size == vocabulary
    rng = np.random.default_rng(0)
    tokens = rng.integers(vocabulary, size=(40, 7))
    state = State(
        {
            name: rng.normal(size=(rows, 7, width)).astype(np.float32)
            for name, (rows, width) in native.network.state.items()
        }
    )
    logits, next_state = native.forward(tokens, state)
    expected, expected_state = reference.forward(tokens, state)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    for name in expected_state:
        np.testing.assert_allclose(next_state[name], expected_state[name], atol=1e-5)


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_text_in_parts_equals_the_text_at_once(kernels: str) -> None:
    native = NativeEngine(content_of(layers=4), kernels=kernels)
    tokens = np.random.default_rng(0).integers(30, size=(25, 5))
    expected, expected_state = native.forward(tokens, native.initial_state(5))
    parts, state = [], native.initial_state(5)
    for part in np.split(tokens, [1, 2, 5, 14]):
        logits, state = native.forward(part, state)
        parts.append(logits)
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert_states_equal(state, expected_state)


@pytest.mark.parametrize("cell", ["lstm", "gru", "conv"])
def test_a_saved_generation_continues(cell: str, tmp_path: Path) -> None:
    model = open_model(
        make_model(cell=cell, layers=3, residual=True).SerializeToString(),
        "native" if cell == "lstm" else "onnxruntime",
    )
    expected = model.start("abc", seed=3, temperature=1.0).take(40)
    generation = model.start("abc", seed=3, temperature=1.0)
    first = generation.take(15)
    textgen.save(generation, tmp_path / "saved")
    assert first + textgen.resume(model, tmp_path / "saved").take(25) == expected
