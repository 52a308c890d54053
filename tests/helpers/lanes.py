"""Lanes with filters, stop texts and constraints, for both engines."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from textgen_runtime import Sampling
from textgen_runtime._core import Constraint, Spans, Stream
from textgen_runtime.engine import Engine, NativeEngine
from textgen_runtime.onnxruntime import OnnxEngine

from tests.helpers.native_engines import content_of, text_of_tokens, tokens_of

VOCABULARY = 12
ENGINES = ("native", "onnxruntime")

MIROSTAT: dict[str, Any] = {"mirostat_tau": 1.5, "mirostat_eta": 0.3}
ALL_FILTERS: dict[str, Any] = {
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


def started(  # noqa: PLR0913 (parameters of a text)
    engine: Engine,
    stops: Sequence[bytes] = (),
    constraint: Constraint | None = None,
    spans: Spans | None = None,
    *,
    seed: int = 1,
    first: int = 0,
    logit_bias: Mapping[int, float] | None = None,
    **sampling: Any,
) -> Stream:
    """Return a text that begins with a token. ``logit_bias`` is by token."""
    text = engine.new_stream(seed)
    options = {"temperature": 1.0} | sampling
    text.configure(Sampling(**options), (logit_bias or {}).items(), stops, constraint, spans)
    text.feed([first])
    return text


def stops_of(*texts: Sequence[int]) -> tuple[bytes, ...]:
    return tuple(map(text_of_tokens, texts))


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

    def matches(self, text: bytes) -> bool:
        return self.state_after(tokens_of(text)) in self.accepting


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
