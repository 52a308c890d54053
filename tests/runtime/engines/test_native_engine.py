"""The native engine computes what onnxruntime does, and generates by drawing and stepping."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Sampler
from textgen_runtime.engines.core import CoreNetwork
from textgen_runtime.engines.native import NativeEngine

from tests.helpers.native_engines import (
    KERNELS,
    assert_states_equal,
    content_of,
    engines,
    lanes,
    samplers,
    symbols,
    zeros,
)

# Vocabulary, units and layers that fill the kernels' blocks, just miss them, or exceed them.
SIZES = [
    (1, 1, 1),
    (2, 1, 5),
    (12, 4, 1),
    (64, 16, 1),
    (65, 17, 1),
    (130, 40, 2),
    (9, 33, 3),
    (59, 128, 1),
    (300, 48, 1),
]


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(("vocabulary", "units", "layers"), SIZES)
def test_logits_are_those_of_onnxruntime(vocabulary: int, units: int, layers: int, kernels: str) -> None:
    native, reference = engines(vocabulary, units, layers, kernels)
    assert native.network.state == {"hidden": (layers, units), "cell": (layers, units)}
    assert native.network.vocabulary == native.vocabulary_size == vocabulary
    tokens = np.random.default_rng(0).integers(vocabulary, size=(40, 7))
    logits, state = native.forward(tokens, native.initial_state(7))
    expected, expected_state = reference.forward(tokens, reference.initial_state(7))
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    for name in ("hidden", "cell"):
        np.testing.assert_allclose(state[name], expected_state[name], atol=1e-5)


@pytest.mark.parametrize("kernels", KERNELS)
def test_logits_stay_together_over_ten_thousand_chained_steps(kernels: str) -> None:
    native, reference = engines(59, 32, 2, kernels)
    tokens = np.random.default_rng(1).integers(59, size=(10_000, 1))
    logits, _ = native.forward(tokens, native.initial_state())
    expected, _ = reference.forward(tokens, reference.initial_state())
    assert np.abs(logits - expected).max() < 1e-4


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_texts_are_those_of_onnxruntime(temperature: float, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content_of(59, 64))
    native, reference = textgen.load(path, engine="native"), textgen.load(path, engine="onnxruntime")
    options: dict[str, Any] = {"length": 2000, "temperature": temperature, "seed": 5}
    assert native.generate(symbols(1)[0], **options) == reference.generate(symbols(1)[0], **options)


@pytest.mark.parametrize("kernels", KERNELS)
def test_generating_is_drawing_and_stepping(kernels: str) -> None:
    native, _ = engines(65, 17, 2, kernels)
    logits, state = native.forward(np.array([[3]]), native.initial_state())
    (generated,) = native.generate(lanes(native, samplers(1), 100, logits[0, 0], state), 100)
    sampler = samplers(1)[0]
    for token in generated.tokens:
        assert sampler.draw(logits[0, 0]) == token
        logits, state = native.forward(np.array([[token]]), state)
    np.testing.assert_array_equal(generated.logits, logits[0, 0])
    assert_states_equal(generated.state, state)


def test_the_loop_draws_what_a_sampler_draws() -> None:
    """A million times over, at several temperatures: both call the same functions."""
    native = NativeEngine(content_of(12, 4, scale=1.0))
    for temperature, seed in ((0.0, 1), (0.3, 2), (1.0, 3), (1.5, 4)):
        looped, alone = Sampler(temperature, seed), Sampler(temperature, seed)
        (generated,) = native.generate(lanes(native, [looped], 250_000), 250_000)
        tokens = np.array(generated.tokens)
        logits, _ = native.forward(tokens[:-1, np.newaxis], native.initial_state())
        drawn = alone.draw_batch(np.concatenate([zeros(12)[np.newaxis], logits[:, 0]]))
        np.testing.assert_array_equal(tokens, drawn)
        assert looped.position == alone.position == 250_000


@pytest.mark.parametrize("kernels", KERNELS)
def test_feeding_is_reading_up_to_the_last_token(kernels: str) -> None:
    native, _ = engines(65, 17, 2, kernels)
    tokens = [1, 64, 3, 0, 3]
    logits, state = native.feed(tokens, native.initial_state())
    expected, after = native.forward(np.array(tokens)[:, np.newaxis], native.initial_state())
    np.testing.assert_array_equal(logits, expected[-1, 0])
    assert_states_equal(state, after)


def test_what_is_handed_over_is_not_changed() -> None:
    native = NativeEngine(content_of(12, 4, 2))
    logits, state = native.feed([1, 2], native.initial_state())
    before = bytes(logits), {name: bytes(buffer) for name, buffer in state.buffers.items()}
    native.feed([1, 2], state)
    native.forward(np.array([[1]]), state)
    native.generate(lanes(native, samplers(3), 5, logits, state), 5)
    assert before == (bytes(logits), {name: bytes(buffer) for name, buffer in state.buffers.items()})


def test_a_token_is_never_drawn() -> None:
    native = NativeEngine(content_of(5, 4), never_drawn=2)
    logits, _ = native.feed([2, 1], native.initial_state())
    assert memoryview(logits)[2] == -math.inf
    # Whatever logits the caller brings.
    generated = native.generate(lanes(native, samplers(4), 500), 500)
    for each in generated:
        assert set(each.tokens) == {0, 1, 3, 4}
        assert memoryview(each.logits)[2] == -math.inf
    # It may be read, and is scored as any other.
    scored, _ = native.forward(np.array([[2], [1]]), native.initial_state())
    assert np.isfinite(scored).all()
    for wrong in (-1, 5):
        with pytest.raises(ValueError, match="is not in the vocabulary of 5"):
            NativeEngine(content_of(5, 4), never_drawn=wrong)


def test_no_steps_are_none() -> None:
    native = NativeEngine(content_of(5, 4))
    logits, state = native.feed([1], native.initial_state())
    (generated,) = native.generate(lanes(native, samplers(1), 3, logits, state), 0)
    assert (list(generated.tokens), generated.ending) == ([], None)
    np.testing.assert_array_equal(generated.logits, logits)
    assert_states_equal(generated.state, state)


def test_weights_are_read_and_nothing_else() -> None:
    """And the figure of what a step reads is that of the file, padded."""
    core = CoreNetwork(content_of(64, 16))
    # Gates of a token, 4 x 16 recurrent rows, and 64 logits with their bias.
    assert core.step_bytes == 4 * (64 + 64 * 16 + 64 * 16 + 64)
    assert math.isfinite(core.read_weights(2))
