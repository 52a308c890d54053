"""The native engine checks the tokens, states and lanes that it is given."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from textgen_runtime import Sampler
from textgen_runtime.engines.base import Lane, State
from textgen_runtime.engines.core import CoreNetwork

from tests.helpers.native_engines import content_of, zeros

ONE = np.array([[1]])


def two(**changed: NDArray[np.floating[Any]]) -> State:
    """A state of 1 layer of 16 units, changed."""
    return State({name: np.zeros((1, 1, 16), np.float32) for name in ("hidden", "cell")} | changed)


WRONG_STATES = [
    two(hidden=np.zeros((1, 1, 15), np.float32)),
    two(cell=np.zeros((2, 1, 16), np.float32)),
    two(cell=np.zeros(16, np.float32)),
    two(hidden=np.zeros((1, 1, 16))),
    two(hidden=np.zeros((1, 1, 32), np.float32)[:, :, ::2]),
    two(hidden=np.zeros((1, 1, 16), ">f4")),
]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.array([[59]]), "tokens must be in"),
        (np.array([[-1]]), "tokens must be in"),
        (np.array([1]), "tokens must be int64, of shape"),
        (np.empty((0, 1), np.int64), "tokens must be int64, of shape"),
        (np.array([[1.0]]), "tokens must be int64, of shape"),
        (np.array([[1]], np.int32), "tokens must be int64, of shape"),
        (np.array([[1, 2]]), "state"),
    ],
)
def test_reading_checks_its_tokens(tokens: Any, message: str) -> None:
    core = CoreNetwork(content_of(59, 16))
    with pytest.raises(ValueError, match=message):
        core.forward(tokens, two())


@pytest.mark.parametrize("tokens", [[], [59], [1, -1], [2**63], [1.5]])
def test_feeding_checks_its_tokens(tokens: Any) -> None:
    core = CoreNetwork(content_of(59, 16))
    with pytest.raises(TypeError if tokens == [1.5] else ValueError):
        core.feed(tokens, two())


@pytest.mark.parametrize("state", WRONG_STATES)
def test_states_are_checked(state: State) -> None:
    core = CoreNetwork(content_of(59, 16))
    with pytest.raises(ValueError, match="the state must be of shape"):
        core.forward(ONE, state)
    with pytest.raises(ValueError, match="the state must be"):
        core.feed([1], state)
    with pytest.raises(ValueError, match="the state must be"):
        core.generate([Lane(Sampler(), zeros(59), state, 1)], 1)


@pytest.mark.parametrize("state", [{}, None, {"hidden": zeros(16), "cell": zeros(16)}])
def test_a_state_is_a_state(state: Any) -> None:
    core = CoreNetwork(content_of(59, 16))
    with pytest.raises(TypeError, match="the state must be a State"):
        core.feed([1], state)
    with pytest.raises(TypeError, match="the state must be a State"):
        core.generate([Lane(Sampler(), zeros(59), state, 1)], 1)


@pytest.mark.parametrize("length", [2.9, float("inf"), "3", None])
def test_a_length_is_a_whole_number(length: Any) -> None:
    core = CoreNetwork(content_of(59, 16))
    with pytest.raises(TypeError):
        core.generate([Lane(Sampler(), zeros(59), core.initial_state(), length)], 1)


def test_the_token_that_is_never_drawn_is_taken_once() -> None:
    """A caller's object that changes later changes nothing."""
    token: Any = np.array(3)
    core = CoreNetwork(content_of(59, 16), never_drawn=token)
    token[()] = 10**10
    logits, _ = core.feed([1], core.initial_state())
    assert np.flatnonzero(np.isneginf(np.asarray(logits))).tolist() == [3]
    assert core.never_drawn == 3
    with pytest.raises(TypeError):
        CoreNetwork(content_of(59, 16), never_drawn=1.5)  # type: ignore[arg-type]


def test_a_batch_is_not_negative() -> None:
    with pytest.raises(ValueError, match="a batch must be of 0 lanes or more, not -1"):
        CoreNetwork(content_of(59, 16)).initial_state(-1)


@pytest.mark.parametrize("batch", [2**61, 2**63 - 1])
def test_no_memory_holds_so_many_lanes(batch: int) -> None:
    with pytest.raises(MemoryError):
        CoreNetwork(content_of(59, 16)).initial_state(batch)


def test_generating_checks_what_it_is_given() -> None:
    core = CoreNetwork(content_of(59, 16))
    lane = Lane(Sampler(), zeros(59), core.initial_state(), 3)
    for given, steps, message in (
        ([], 1, "lanes 1 or more"),
        ([lane], -1, "steps must be 0 or more"),
        ([lane, lane], 1, "each with another sampler"),
        ([lane._replace(length=0)], 1, "length of a lane must be 1 or more"),
        ([lane._replace(logits=zeros(58))], 1, "logits must be"),
        ([lane._replace(logits=np.zeros(59))], 1, "logits must be"),
        ([lane._replace(logits=None)], 1, "logits must be"),
        ([lane._replace(state=State({"hidden": zeros(16)}))], 1, "the state must be of shape"),
        ([lane._replace(state=State({}))], 1, "the state must have the arrays hidden, cell"),
    ):
        with pytest.raises(ValueError, match=message):
            core.generate(given, steps)
    # More than can be drawn at once is not an error.
    (generated,) = core.generate([lane._replace(length=2**70)], 2)
    assert len(generated.tokens) == 2
