"""Running texts of both engines: lanes are independent of each other, and what does not fit is refused.

``tests/core/endings.c`` compares the lanes of the core with their definition.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Sampling
from textgen_runtime._core import MAX_STEPS, Constraint, Spans, Stream, read_description
from textgen_runtime.engine import Engine, Lane, NativeEngine
from textgen_runtime.errors import SavedGenerationError
from textgen_runtime.onnxruntime import OnnxEngine

from tests.helpers.native_engines import (
    content_of,
    content_of_text,
    text_of,
    text_of_tokens,
    texts_of,
    tokens_of,
)
from tests.helpers.record_models import record_model

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


EACH_FILTER: list[dict[str, Any]] = [{}, ALL_FILTERS, MIROSTAT]

each_engine = pytest.mark.parametrize("engine", ENGINES)
each_threads = pytest.mark.parametrize("threads", [1, 2])


@each_engine
@each_threads
def test_lanes_with_different_tables_and_filters_are_independent(engine: str, threads: int) -> None:
    loaded = engine_of(engine, threads)
    constraints = {name: table.constraint() for name, table in TABLES.items()}
    tables: list[tuple[Any, ...]] = [
        (),
        ((), constraints["dotted"]),
        (stops_of([1], [2, 3]),),
        ((), constraints["groups"]),
        ((), constraints["small"]),
    ]

    def lanes() -> list[Lane]:
        return [
            Lane(
                started(loaded, *tables[i % 5], seed=i, **EACH_FILTER[i % 3]),
                5 + i,
                must_end=i % 5 == 1,
                masked=i % 5 != 3,
                logprobs=i % 2 == 1,
            )
            for i in range(22)
        ]

    together = lanes()
    results = loaded.generate(together, 30)
    for i, (lane, result, alone) in enumerate(zip(together, results, lanes(), strict=True)):
        assert loaded.generate([alone], 30) == [result]
        assert content_of_text(lane.stream) == content_of_text(alone.stream)
        assert (result.logprobs is None) == (i % 2 == 0)
    assert {result.ending for result in results} >= {"length", "stop", "constraint", "mismatch"}


@each_threads
@each_engine
def test_a_draw_that_fails_is_the_error_of_its_lane(engine: str, threads: int) -> None:
    loaded = engine_of(engine, threads)
    table = Table([{3: 1}, {4: 2}, {}], {2})
    exhausted = started(loaded)
    exhausted.reseed(1, 0, 2**63 - 3)
    everything = Spans([token for a in range(12) for b in range(12) for token in (a, b)], 1, 12)
    for text, message, parameter, drawn in (
        (started(loaded, constraint=table.constraint(), logit_bias={4: -np.inf}), "no token", None, 1),
        (started(loaded, spans=everything), "no token", "max_copy", 1),
        (text_of(loaded, logits=np.full(12, np.nan, np.float32)), "NaN", None, 0),
        (exhausted, "random", None, 2),
    ):
        others = [started(loaded), started(loaded, seed=2)]
        first, failed, last = loaded.generate([Lane(others[0], 5), Lane(text, 5), Lane(others[1], 5)], 5)
        assert failed.error is not None
        assert message in str(failed.error)
        assert failed.error.parameter == parameter
        assert (failed.generated, len(tokens_of(failed.text)), failed.ending) == (drawn, drawn, None)
        expected = [loaded.generate([Lane(started(loaded, seed=seed), 5)], 5)[0] for seed in (1, 2)]
        assert [first, last] == expected
        # The text is free again.
        text.reseed(1)


@each_engine
@each_threads
def test_wrong_lanes_are_an_error_before_any_lane_draws(engine: str, threads: int) -> None:
    loaded = engine_of(engine, threads)
    first, second = texts_of(loaded, 2)
    lane, other = Lane(first, 5), Lane(second, 5)
    calls: list[tuple[Any, Any, type[Exception]]] = [
        ([], 3, ValueError),
        *(([lane, other], steps, ValueError) for steps in (-1, 0, MAX_STEPS + 1)),
        ([lane, other], 2**63, OverflowError),
        ([lane, other, lane], 3, RuntimeError),
        ([lane, other._replace(length=0)], 3, ValueError),
        ([lane, other._replace(stream=text_of(record_model().engine))], 3, ValueError),
        ([lane, Lane(loaded.new_stream(), 1)], 3, textgen.PromptError),
        ([lane, (second, 5)], 3, ValueError),
        *(([lane, each], 3, TypeError) for each in (object(), (object(), *other[1:]))),
        *(([lane, (second, bad, *other[2:])], 3, TypeError) for bad in (2.9, float("inf"), "3", None)),
    ]
    before = content_of_text(first), content_of_text(second)
    # With two threads, the other lane has advanced.
    for lanes, steps, error in calls if threads == 1 else calls[:4]:
        for each in (lanes, lanes[::-1]):
            with pytest.raises(error):
                loaded.generate(each, steps)
    assert (content_of_text(first), content_of_text(second)) == before
    # A length beyond 64 bits is not an error.
    assert loaded.generate([Lane(first, 2**70)], 2)[0].generated == 2


@each_engine
def test_a_text_in_use_refuses_every_other_use(engine: str) -> None:
    loaded, refused = engine_of(engine), list[Callable[[], object]]()
    text, other = started(loaded, seed=1), started(loaded, seed=2)
    saved, logits, state = content_of_text(text), np.zeros(12, np.float32), text.state

    class Length:
        """A length that is read while the text of the first lane is in use."""

        def __index__(self) -> int:
            for use in (
                text.copy,
                text.finish,
                lambda: text.configure(textgen.Sampling()),
                lambda: text.reseed(1),
                lambda: text.continue_from(other),
                lambda: other.continue_from(text),
                lambda: text.probabilities(True),
                lambda: text.save(b""),
                lambda: text.resume(saved),
                lambda: setattr(text, "state", state),
                lambda: setattr(text, "logits", logits),
                lambda: text.feed([1]),
                lambda: loaded.generate([Lane(text, 1)], 1),
            ):
                with pytest.raises(RuntimeError, match="another thread uses this text"):
                    use()
                refused.append(use)
            raise ValueError("no length")

    length: Any = Length()
    with pytest.raises(ValueError, match="no length"):
        loaded.generate([Lane(text, 5), Lane(other, length)], 5)
    assert len(refused) == 13
    # The error ends the use, which has changed nothing.
    assert content_of_text(text) == saved


def test_a_text_that_changes_while_its_lane_is_read_is_used_as_it_is_then() -> None:
    """Otherwise the core could use tables that no longer exist."""
    loaded = engine_of("native")
    text = started(loaded, constraint=GROUPS.constraint())

    class Length:
        def __index__(self) -> int:
            text.configure(textgen.Sampling(temperature=1.0), (), (), DOTTED.constraint())
            return 20

    length: Any = Length()
    (result,) = loaded.generate([Lane(text, length, must_end=True)], 20)
    assert DOTTED.matches(result.text)


@pytest.mark.parametrize("is_resumed", [False, True])
def test_what_was_drawn_before_the_spans_were_removed_is_forgotten(is_resumed: bool) -> None:
    """Each token has followed each other one, so that a second token would copy a span."""
    engine = engine_of("native")
    everything = Spans([token for a in range(12) for b in range(12) for token in (a, b)], 1, 12)
    text = started(engine, spans=everything)
    (result,) = engine.generate([Lane(text, 1)], 1)
    assert (result.generated, text.has_spans) == (1, True)
    if is_resumed:
        saved, text = content_of_text(text), engine.new_stream()
        text.resume(saved)
        engine.generate([Lane(text, 1)], 1)
    else:
        text.configure(textgen.Sampling())
    assert not text.has_spans
    text.configure(textgen.Sampling(), spans=everything)
    (result,) = engine.generate([Lane(text, 1)], 1)
    assert (result.generated, result.error) == (1, None)


def test_the_random_numbers_can_be_read_and_changed() -> None:
    text = started(engine_of("native"), seed=2**127 + 1)
    assert (text.seed, text.substream, text.drawn) == (2**127 + 1, 0, 0)
    text.reseed(5, 2**32 - 1, 2**63 - 1)
    for wrong in ((-1,), (2**128,), (1, -1), (1, 2**32), (1, 0, -1), (1, 0, 2**63)):
        with pytest.raises(textgen.SamplingError):
            text.reseed(*wrong)
    assert (text.seed, text.substream, text.drawn) == (5, 2**32 - 1, 2**63 - 1)
    with pytest.raises(textgen.SamplingError):
        engine_of("native").new_stream(-1)


SAMPLING = textgen.Sampling()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        *(((SAMPLING, [(token, 1.0)]), IndexError) for token in (12, -13, 2**70)),
        ((SAMPLING, [(1.5, 1.0)]), TypeError),
        ((SAMPLING, [(1, "a")]), TypeError),
        ((SAMPLING, (), [b"a"]), ValueError),
        ((SAMPLING, (), [b""]), ValueError),
        ((SAMPLING, (), stops_of([1] * 1021)), ValueError),
        ((SAMPLING, (), stops_of([1]), DOTTED.constraint()), ValueError),
        ((SAMPLING, (), (), DOTTED.constraint(13)), ValueError),
        ((SAMPLING, (), (), None, Spans([1, 2], 1, 13)), ValueError),
        ((SAMPLING, (), (), DOTTED), TypeError),
        (({"temperature": 1.0},), AttributeError),
    ],
)
def test_parameters_that_do_not_fit_the_model_change_nothing(arguments: Any, error: type[Exception]) -> None:
    text = started(engine_of("native"), (), DOTTED.constraint(), **ALL_FILTERS)
    before = content_of_text(text)
    with pytest.raises(error):
        text.configure(*arguments)
    assert content_of_text(text) == before
    assert text.tokens_to_match == 4


@pytest.mark.parametrize(
    ("table", "accepting"),
    [
        (np.zeros((2, 3), np.int32), [True, True]),
        (np.zeros((3, 3), np.int16), [True, True]),
        (np.zeros((0, 3), np.int16), [True]),
        (np.zeros((2, 3), np.int16), []),
        (np.zeros((2, 3), np.int16), [False, False]),
    ],
)
def test_an_invalid_table_is_an_error(table: Any, accepting: list[bool]) -> None:
    with pytest.raises(textgen.ConstraintError):
        Constraint(table, accepting)


def test_the_table_of_a_constraint_is_copied() -> None:
    source = np.array([[1, -1], [1, 0]], np.int16)
    constraint = Constraint(source, [False, True])
    source[:] = -1
    assert memoryview(constraint.transitions).cast("h").tolist() == [1, -1, 1, 0]
    assert (constraint.accepting, constraint.vocabulary_size) == (b"\0\1", 2)


def test_the_state_is_a_copy_and_the_logits_are_shared() -> None:
    text = started(engine_of("native"))
    state, logits = text.state, np.asarray(text.logits)
    text.feed([1])
    assert state.tolist() != text.state.tolist()
    text.state = state
    assert state.tolist() == text.state.tolist()
    text.logits = np.arange(12, dtype=np.float32)
    wrong: Any
    for wrong in (np.zeros(11, np.float32), np.zeros(12), np.zeros((1, 12), np.float32), None):
        with pytest.raises((ValueError, TypeError)):
            text.logits = wrong
        with pytest.raises((ValueError, TypeError)):
            text.state = wrong
    del text
    assert logits.tolist() == list(range(12))


@each_engine
def test_feeding_runs_the_network_from_the_state_of_the_text(engine: str) -> None:
    loaded = engine_of(engine)
    text = started(loaded, first=3)
    text.feed([5, 1])
    logits, state = loaded.forward(np.array([[3], [5], [1]]), loaded.initial_state())
    np.testing.assert_allclose(text.logits, logits[-1, 0], atol=1e-6)
    np.testing.assert_allclose(text.state, loaded.join_state(state), atol=1e-6)
    text.feed([3], restart=True)
    assert content_of_text(text) == content_of_text(started(loaded, first=3))
    before = content_of_text(text)
    wrong: Any
    for wrong, error in (
        ([12], ValueError),
        ([1, -1], ValueError),
        ([2**63], OverflowError),
        ([1.5], TypeError),
        (1, TypeError),
    ):
        with pytest.raises(error):
            text.feed(wrong)
        assert content_of_text(text) == before


def test_a_text_continues_another_one_with_its_own_parameters() -> None:
    engine = engine_of("native")
    prompt, text = started(engine, first=5), started(engine, seed=9, top_k=2)
    text.continue_from(prompt)
    assert content_of_text(text) == content_of_text(started(engine, seed=9, top_k=2, first=5))
    with pytest.raises(ValueError, match="of another model"):
        text.continue_from(text_of(record_model().engine))
    # After a text that has not been fed, it has not been fed either.
    text.continue_from(engine.new_stream())
    for use in (lambda: text.probabilities(False), lambda: engine.generate([Lane(text, 1)], 1)):
        with pytest.raises(textgen.PromptError):
            use()


def test_a_saved_text_that_cannot_be_resumed_is_an_error() -> None:
    saved = content_of_text(started(engine_of("native"), constraint=GROUPS.constraint(), top_k=3))
    plain = content_of_text(started(engine_of("native")))
    of_another_model = content_of_text(text_of(record_model().engine))
    for wrong in (b"", saved[:-1], saved[:96] + b"\xff" * 40 + saved[136:], plain, of_another_model):
        text = started(engine_of("native"), constraint=GROUPS.constraint())
        before = content_of_text(text)
        with pytest.raises(SavedGenerationError):
            text.resume(wrong)
        assert content_of_text(text) == before
    with pytest.raises(SavedGenerationError):
        started(engine_of("native")).resume(saved)
    with pytest.raises(SavedGenerationError):
        read_description(b"textgen")
    assert read_description(started(engine_of("native")).save(b"any text")) == b"any text"
