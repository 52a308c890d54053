"""Lanes with filters, stop texts and constraints, for both engines."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from textgen_runtime import Sampler
from textgen_runtime.engines.base import Ending, Engine, Generated, Guide, Lane, Measurements
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.engines.onnxruntime import OnnxEngine
from textgen_runtime.sampling.automata import Constraint, Stops

from tests.helpers.native_engines import content_of

VOCABULARY = 12
ENGINES = ("native", "onnxruntime")

FILTERS: dict[str, dict[str, Any]] = {
    "top_k": {"top_k": 3},
    "typical_p": {"typical_p": 0.6},
    "top_p": {"top_p": 0.7},
    "min_p": {"min_p": 0.3},
    "repetition_penalty": {"repetition_penalty": 3.0},
    "frequency_penalty": {"frequency_penalty": 0.7, "penalty_window": 20},
    "presence_penalty": {"presence_penalty": 2.0, "penalty_window": 5},
    "mirostat": {"mirostat_tau": 1.5, "mirostat_eta": 0.3},
    "logit_bias": {"logit_bias": {2: 3.0, 5: -float("inf"), 7: -2.0}},
}
ALL_FILTERS = {
    "top_k": 8,
    "typical_p": 0.9,
    "top_p": 0.9,
    "min_p": 0.05,
    "repetition_penalty": 1.3,
    "frequency_penalty": 0.2,
    "presence_penalty": 0.3,
    "penalty_window": 9,
    "logit_bias": {2: 1.0, 5: -float("inf")},
}


@cache
def engine_of(name: str, threads: int = 1) -> Engine:
    """Return an engine with a random model of 12 symbols whose texts are varied."""
    content = content_of(VOCABULARY, 24, scale=0.5)
    return NativeEngine(content, threads) if name == "native" else OnnxEngine(content)


def sampler_of(seed: int = 1, **filters: Any) -> Sampler:
    return Sampler(1.0, seed, **filters)


def lane_of(
    engine: Engine,
    guide: Guide | None = None,
    *,
    seed: int = 1,
    length: int = 40,
    logprobs: bool = False,
    **filters: Any,
) -> Lane:
    """Return a lane that starts after token 0."""
    logits, state = engine.feed([0], engine.initial_state())
    return Lane(sampler_of(seed, **filters), logits, state, length, guide, logprobs)


class Walk(NamedTuple):
    """All that a lane has generated, and where it and its sampler stand. Can be compared with ``==``."""

    tokens: list[int]
    ending: Ending | None
    stop_length: int
    stop_state: int
    constraint_state: int
    position: int
    filter_state: Any
    logprobs: list[float]
    logits: list[float]
    state: list[float]


def walk(engine: Engine, lane: Lane, steps: int | None = None, measured: Measurements | None = None) -> Walk:
    """Generate a lane to its end.

    Args:
        engine: The engine.
        lane: The lane.
        steps: Tokens per call, or None for one call.
        measured: Sums of all calls, or None.
    """
    tokens: list[int] = []
    logprobs: list[float] = []
    current = lane
    while True:
        (result,) = engine.generate([current], lane.length if steps is None else steps, measured)
        tokens += result.tokens
        logprobs += result.logprobs or []
        if result.ending is not None:
            break
        current = following(current, result)
    guide = result.guide or Guide()
    return Walk(
        tokens,
        result.ending,
        result.stop_length,
        guide.stop_state,
        guide.constraint_state,
        lane.sampler.position,
        lane.sampler.filter_state,
        logprobs,
        np.asarray(result.logits).tolist(),
        [value for array in result.state.values() for value in array.ravel().tolist()],
    )


def assert_same(native: Walk, onnx: Walk) -> None:
    """Assert that both engines generated the same. Their logits, and mirostat_mu, differ by rounding."""
    rounded: dict[str, Any] = {"filter_state": None, "logprobs": [], "logits": [], "state": []}
    assert native._replace(**rounded) == onnx._replace(**rounded)
    for name in ("logprobs", "logits", "state"):
        np.testing.assert_allclose(getattr(native, name), getattr(onnx, name), atol=1e-4)
    assert (native.filter_state is None) == (onnx.filter_state is None)
    if native.filter_state is not None:
        assert native.filter_state.recent == onnx.filter_state.recent
        assert abs(native.filter_state.mirostat_mu - onnx.filter_state.mirostat_mu) < 1e-3


def following(lane: Lane, result: Generated) -> Lane:
    """Return the lane that continues a result."""
    return lane._replace(
        logits=result.logits,
        state=result.state,
        length=lane.length - len(result.tokens),
        guide=result.guide,
    )


def stops_of(*texts: Sequence[int]) -> Stops:
    return Stops(texts, VOCABULARY)


class Table:
    """A finite automaton as dictionaries, to check texts against without the C core.

    Args:
        transitions: The next state by token, of each state. Tokens that are not there are forbidden.
        accepting: The states in which a text matches.
    """

    def __init__(self, transitions: Sequence[Mapping[int, int]], accepting: set[int]) -> None:
        self.transitions, self.accepting = transitions, accepting

    def constraint(self, vocabulary: int = VOCABULARY) -> Constraint:
        table = np.full((len(self.transitions), vocabulary), -1, np.int16)
        for state, row in enumerate(self.transitions):
            for token, following_state in row.items():
                table[state, token] = following_state
        return Constraint(table, [state in self.accepting for state in range(len(table))])

    def state_after(self, tokens: Sequence[int]) -> int | None:
        """Return the state after a text that starts in state 0; None if the text is not allowed."""
        state: int | None = 0
        for token in tokens:
            state = None if state is None else self.transitions[state].get(token)
        return state

    def matches(self, tokens: Sequence[int]) -> bool:
        return self.state_after(tokens) in self.accepting


# Three to five letters, and then a dot; nothing can follow the dot.
DOTTED = Table(
    [
        *(dict.fromkeys(range(1, 11), state + 1) for state in range(3)),
        {**dict.fromkeys(range(1, 11), 4), 11: 6},
        {**dict.fromkeys(range(1, 11), 5), 11: 6},
        {11: 6},
        {},
    ],
    {6},
)
# Groups of two letters, separated by token 0. A text matches at the end of each group, and may go on.
GROUPS = Table([dict.fromkeys(range(1, 9), 1), dict.fromkeys(range(1, 9), 2), {0: 0}], {2})
# Any number of small tokens.
SMALL = Table([dict.fromkeys(range(6), 0)], {0})
TABLES = {"dotted": DOTTED, "groups": GROUPS, "small": SMALL}
