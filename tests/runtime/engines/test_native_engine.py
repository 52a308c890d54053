"""The native engine agrees with onnxruntime, and checks tokens, states and special tokens."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from textgen_runtime.engines.base import Lane, State, Stream
from textgen_runtime.engines.core import CoreNetwork
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.text.tokenizer import SpecialTokens

from tests.helpers.native_engines import KERNELS, content_of, engines, text_of


def test_logits_equal_those_of_onnxruntime_over_ten_thousand_steps() -> None:
    native, reference = engines(59, 32, 2, KERNELS[0])
    tokens = np.random.default_rng(1).integers(59, size=(10_000, 1))
    logits, _ = native.forward(tokens, native.initial_state())
    expected, _ = reference.forward(tokens, reference.initial_state())
    assert np.abs(logits - expected).max() < 1e-4


def test_unknown_and_begin_are_not_drawn() -> None:
    native = NativeEngine(content_of(5, 4), special=SpecialTokens(unknown=2, begin=0))
    # The logits of the caller do not mask the token.
    text = text_of(native)
    (generated,) = native.generate([Lane(text, 500)], 500)
    assert set(generated.tokens) == {1, 3, 4}
    assert np.flatnonzero(np.isneginf(text.logits)).tolist() == [0, 2]
    native.feed(text, [2, 1])
    assert np.flatnonzero(np.isneginf(text.logits)).tolist() == [0, 2]
    # forward accepts the tokens and does not mask them.
    logits, _ = native.forward(np.array([[2], [1]]), native.initial_state())
    assert np.isfinite(logits).all()
    for token in (-1, 5):
        with pytest.raises(ValueError, match=r"begin must be in \[0, 5\)"):
            NativeEngine(content_of(5, 4), special=SpecialTokens(begin=token))


def test_step_bytes_equals_the_size_of_the_padded_weights() -> None:
    core = CoreNetwork(content_of(64, 16))
    # The gates of a token, the recurrent weights, and the output layer with its bias.
    assert core.step_bytes == 4 * (64 + 64 * 16 + 64 * 16 + 64)
    assert math.isfinite(core.read_weights(2))


ONE_TOKEN = np.array([[1]])


def state_with(**arrays: NDArray[np.floating[Any]]) -> State:
    """Return a state of 1 layer of 16 units, with some arrays replaced."""
    return State({name: np.zeros((1, 1, 16), np.float32) for name in ("hidden", "cell")} | arrays)


WRONG_STATES = [
    state_with(hidden=np.zeros((1, 1, 15), np.float32)),
    state_with(cell=np.zeros((2, 1, 16), np.float32)),
    state_with(cell=np.zeros(16, np.float32)),
    state_with(hidden=np.zeros((1, 1, 16))),
    state_with(hidden=np.zeros((1, 1, 32), np.float32)[:, :, ::2]),
    state_with(hidden=np.zeros((1, 1, 16), ">f4")),
]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.array([[59]]), "tokens must be in"),
        (np.array([[-1]]), "tokens must be in"),
        (np.array([1]), "tokens must be a non-empty int64 array"),
        (np.empty((0, 1), np.int64), "tokens must be a non-empty int64 array"),
        (np.array([[1.0]]), "tokens must be a non-empty int64 array"),
        (np.array([[1]], np.int32), "tokens must be a non-empty int64 array"),
        (np.array([[1, 2]]), "state"),
    ],
)
def test_forward_checks_its_tokens(tokens: Any, message: str) -> None:
    core = CoreNetwork(content_of(59, 16))
    with pytest.raises(ValueError, match=message):
        core.forward(tokens, state_with())


@pytest.mark.parametrize("state", WRONG_STATES)
def test_a_state_of_the_wrong_shape_or_type_is_an_error(state: State) -> None:
    core = CoreNetwork(content_of(59, 16))
    with pytest.raises(ValueError, match=r"the state array '\w+' must be contiguous float32 of shape"):
        core.forward(ONE_TOKEN, state)


@pytest.mark.parametrize("state", [{}, None, {"hidden": np.zeros((1, 1, 16), np.float32)}])
def test_the_state_must_be_a_state_object(state: Any) -> None:
    with pytest.raises(TypeError, match="the state must be a State"):
        CoreNetwork(content_of(59, 16)).forward(ONE_TOKEN, state)


def test_special_tokens_are_converted_once() -> None:
    """A later change of the argument has no effect."""
    token: Any = np.array(3)
    core = CoreNetwork(content_of(59, 16), special=SpecialTokens(token))
    token[()] = 10**10
    text = Stream(core.shape)
    core.feed(text, [1])
    assert np.flatnonzero(np.isneginf(np.asarray(text.logits))).tolist() == [3]
    assert core.special == SpecialTokens(3)
    with pytest.raises(TypeError):
        CoreNetwork(content_of(59, 16), special=SpecialTokens(1.5))  # type: ignore[arg-type]


def test_a_negative_batch_is_an_error() -> None:
    with pytest.raises(ValueError, match="batch must be 0 or more, not -1"):
        CoreNetwork(content_of(59, 16)).initial_state(-1)


@pytest.mark.parametrize("batch", [2**61, 2**63 - 1])
def test_a_batch_that_is_too_large_is_a_memory_error(batch: int) -> None:
    with pytest.raises(MemoryError):
        CoreNetwork(content_of(59, 16)).initial_state(batch)
