"""The native engine checks tokens, states and special tokens."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from textgen_runtime.engines.base import State, Stream
from textgen_runtime.engines.core import CoreNetwork
from textgen_runtime.text.tokenizer import SpecialTokens

from tests.helpers.native_engines import content_of

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
