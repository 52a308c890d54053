"""Lanes draw, end and are measured alike with both engines, and independently of each other.

``tests/core/endings.c`` compares the lanes of the core with their definition.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime.engines.base import MAX_STEPS, Engine, Lane, Measurements, Stream

from tests.helpers.lanes import (
    ALL_FILTERS,
    DOTTED,
    ENGINES,
    MIROSTAT,
    TABLES,
    Table,
    assert_same,
    engine_of,
    started,
    stops_of,
    walk,
)
from tests.helpers.native_engines import content_of_text, text_of, texts_of
from tests.helpers.record_models import record_model

SEEDS = range(30)
EACH_FILTER: list[dict[str, Any]] = [{}, ALL_FILTERS, MIROSTAT]

each_engine = pytest.mark.parametrize("engine", ENGINES)


def check_walks(lanes: list[tuple[Engine, Lane]]) -> set[str | None]:
    """Check that all engines generate the same in one call as in many. Return how the lanes end."""
    walks, entropies = [], []
    for engine, lane in lanes:
        measured = Measurements()
        once, one_by_one, by_seven = (
            walk(engine, lane, steps, sums) for steps, sums in ((None, None), (1, measured), (7, None))
        )
        assert once == one_by_one == by_seven
        # A draw counts even if its token ends the text before it.
        assert measured.draws == once.drawn
        walks.append(once)
        entropies.append(measured.entropy_bits)
    assert_same(*walks)
    assert entropies[0] == pytest.approx(entropies[1], abs=1e-3)
    return {walked.ending for walked in walks}


@pytest.mark.parametrize("name", [None, *TABLES])
@pytest.mark.parametrize("must_end", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("keep_stop", [False, True])
def test_both_engines_generate_the_same_in_one_call_or_many(
    name: str | None, must_end: bool, masked: bool, keep_stop: bool
) -> None:
    constraint = TABLES[name].constraint() if name else None
    stops = stops_of([1, 2], [2, 3, 1], [3], [8, 11])
    endings = set()
    for seed in SEEDS:
        options = {"temperature": 0.9, "keep_stop": keep_stop, **EACH_FILTER[seed % len(EACH_FILTER)]}
        endings |= check_walks(
            [
                (
                    engine_of(each),
                    Lane(
                        started(engine_of(each), stops, constraint, seed=seed, **options),
                        9 + seed,
                        must_end,
                        masked,
                        seed % 2 == 0,
                    ),
                )
                for each in ENGINES
            ]
        )
    assert len(endings) > 1


@each_engine
@pytest.mark.parametrize("steps", [0, 5])
def test_a_text_that_no_token_may_follow_ends_at_once(engine: str, steps: int) -> None:
    loaded = engine_of(engine)
    text = started(loaded, constraint=DOTTED.constraint())
    loaded.generate([Lane(text, 20, must_end=True)], 20)
    assert (text.ending, text.is_complete, text.tokens_to_match) == ("constraint", True, 0)
    before = content_of_text(text)
    (result,) = loaded.generate([Lane(text, 9)], steps)
    assert (result.generated, list(result.tokens), result.ending) == (0, [], "constraint")
    assert content_of_text(text) == before


@each_engine
def test_no_steps_change_nothing(engine: str) -> None:
    text = started(engine_of(engine), stops_of([1, 2]), seed=3, top_k=4)
    before = content_of_text(text)
    (result,) = engine_of(engine).generate([Lane(text, 3, logprobs=True)], 0)
    assert result == (0, [], None, [], [], None)
    assert content_of_text(text) == before


@pytest.mark.parametrize("threads", [1, 2])
@each_engine
def test_lanes_with_different_tables_and_filters_are_independent(engine: str, threads: int) -> None:
    loaded = engine_of(engine, threads)
    constraints = {name: table.constraint() for name, table in TABLES.items()}
    tables = [
        (None, None),
        (None, constraints["dotted"]),
        (stops_of([1], [2, 3]), None),
        (None, constraints["groups"]),
        (stops_of([4]), constraints["small"]),
    ]

    def lanes() -> list[Lane]:
        return [
            Lane(
                started(loaded, *tables[i % 5], seed=i, **EACH_FILTER[i % 3]),
                5 + i,
                must_end=i % 5 == 1,
                masked=i % 5 != 4,
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
    assert {result.ending for result in results} >= {"length", "stop", "constraint"}


@each_engine
def test_a_lane_that_is_too_short_for_its_constraint_is_an_error(engine: str) -> None:
    """No lane has then drawn."""
    loaded = engine_of(engine)
    short = started(loaded, constraint=DOTTED.constraint())
    for lane, message in (
        (Lane(short, 3, must_end=True), "needs 4 or more tokens to match, but may have only 3"),
        (Lane(short, 3, must_end=True, masked=False), "needs 4 or more tokens to match"),
    ):
        other = started(loaded)
        before = [content_of_text(text) for text in (other, lane.stream)]
        for lanes in ([Lane(other, 9), lane], [lane, Lane(other, 9)]):
            with pytest.raises(textgen.SamplingError, match=message):
                loaded.generate(lanes, 9)
        assert [content_of_text(text) for text in (other, lane.stream)] == before
    # Four tokens are enough.
    assert DOTTED.matches(loaded.generate([Lane(short, 4, must_end=True)], 9)[0].tokens)


@pytest.mark.parametrize("threads", [1, 2])
@each_engine
def test_a_draw_that_fails_is_the_error_of_its_lane(engine: str, threads: int) -> None:
    loaded = engine_of(engine, threads)
    table = Table([{3: 1}, {4: 2}, {}], {2})
    exhausted = started(loaded)
    exhausted.reseed(1, 0, 2**63 - 3)
    for text, message, drawn in (
        (started(loaded, constraint=table.constraint(), logit_bias={4: -np.inf}), "no token is allowed", 1),
        (text_of(loaded, logits=np.full(12, np.nan, np.float32)), "NaN", 0),
        (exhausted, "the random stream is exhausted", 2),
    ):
        others = [started(loaded), started(loaded, seed=2)]
        first, failed, last = loaded.generate([Lane(others[0], 5), Lane(text, 5), Lane(others[1], 5)], 5)
        assert message in str(failed.error)
        assert (failed.generated, len(failed.tokens), failed.ending) == (drawn, drawn, None)
        expected = [loaded.generate([Lane(started(loaded, seed=seed), 5)], 5)[0] for seed in (1, 2)]
        assert [first, last] == expected
        # The text is free again.
        text.reseed(1)
    exhausted.reseed(1, 0, 2**63 - 3)
    assert loaded.generate([Lane(exhausted, 2)], 5)[0].generated == 2


@pytest.mark.parametrize("threads", [1, 2])
@each_engine
def test_measurements_are_sums_over_the_calls_that_succeed(engine: str, threads: int) -> None:
    loaded, measured = engine_of(engine, threads), Measurements(latencies=True)
    loaded.generate([Lane(text, 7) for text in texts_of(loaded, 4)], 1, measured)
    assert measured.draws == 4
    assert measured.entropy_bits == pytest.approx(4 * math.log2(12))
    assert measured.model_seconds > 0
    assert measured.sampler_seconds > 0
    assert measured.latencies is not None
    # The lanes of a thread share the steps of the native engine.
    assert len(measured.latencies) == (threads if engine == "native" else 4)
    assert min(measured.latencies) > 0
    before = vars(measured) | {"latencies": [*measured.latencies]}
    wrong = text_of(loaded, logits=np.full(12, np.nan, np.float32))
    results = loaded.generate([Lane(text, 7) for text in [*texts_of(loaded, 3), wrong]], 7, measured)
    assert [result.error is None for result in results] == [True, True, True, False]
    assert vars(measured) == before


@each_engine
def test_a_dropped_token_has_no_latency(engine: str) -> None:
    for seed in SEEDS:
        measured = Measurements(latencies=True)
        text = started(engine_of(engine), constraint=TABLES["small"].constraint(), seed=seed)
        (result,) = engine_of(engine).generate([Lane(text, 30)], 30, measured)
        assert measured.latencies is not None
        assert len(measured.latencies) == result.generated


@each_engine
@pytest.mark.parametrize("threads", [1, 2])
def test_wrong_arguments_are_an_error_before_any_lane_draws(engine: str, threads: int) -> None:
    loaded = engine_of(engine, threads)
    first, second = texts_of(loaded, 2)
    lane, other = Lane(first, 5), Lane(second, 5)
    of_another_model: Any = text_of(record_model().engine)
    calls: list[tuple[Any, Any, type[Exception], str]] = [
        ([], 3, ValueError, "lanes must not be empty"),
        ([lane, other], -1, ValueError, "steps must be from 0 to 16384, not -1"),
        ([lane, other], MAX_STEPS + 1, ValueError, "steps must be from 0 to 16384, not 16385"),
        ([lane, other], 2**63, OverflowError, "."),
        ([lane, other, lane], 3, ValueError, "each lane must have its own text"),
        ([lane, other._replace(length=0)], 3, ValueError, "the length of a lane must be 1 or more, not 0"),
        ([lane, other._replace(stream=of_another_model)], 3, ValueError, "the text is of another model"),
        ([lane, Lane(loaded.new_stream(), 1)], 3, textgen.PromptError, "feed a text first"),
        ([lane, object()], 3, TypeError, "."),
        ([lane, (second, 5)], 3, ValueError, "."),
        ([lane, (object(), 5, False, True, False)], 3, TypeError, "must be a Stream, not object"),
        ([lane, (None, 5, False, True, False)], 3, TypeError, "must be a Stream, not NoneType"),
        *(([lane, other._replace(length=bad)], 3, TypeError, ".") for bad in (2.9, float("inf"), "3", None)),  # type: ignore[arg-type]
    ]
    before = content_of_text(first), content_of_text(second)
    for lanes, steps, error, message in calls:
        with pytest.raises(error, match=message):
            loaded.generate(lanes, steps)
        with pytest.raises(error, match=message):
            loaded.generate(lanes[::-1], steps)
    assert (content_of_text(first), content_of_text(second)) == before
    # A length beyond 64 bits is not an error.
    assert loaded.generate([Lane(first, 2**70)], 2)[0].generated == 2


@each_engine
def test_a_text_in_use_refuses_every_other_use(engine: str) -> None:
    loaded, refused = engine_of(engine), list[Callable[[], object]]()
    text, other = started(loaded, seed=1), started(loaded, seed=2)
    saved, logits, state = content_of_text(text), np.zeros(12, np.float32), text.state

    def refuse(use: Callable[[], object]) -> None:
        with pytest.raises(
            RuntimeError, match="another thread uses this text: lock it, or give each thread a copy"
        ):
            use()
        refused.append(use)

    class Length:
        """A length that is read while the text of the first lane is in use."""

        def __index__(self) -> int:
            for use in (
                text.copy,
                text.begin_constraint,
                text.mark_masked,
                text.finish,
                lambda: text.configure(textgen.Sampling()),
                lambda: text.reseed(1),
                lambda: text.begin(True),
                lambda: text.continue_from(other),
                lambda: other.continue_from(text),
                lambda: text.hold([1]),
                lambda: text.probabilities(True),
                lambda: text.save(bytes(32), b""),
                lambda: text.resume(saved),
                lambda: setattr(text, "state", state),
                lambda: setattr(text, "logits", logits),
                lambda: loaded.feed(text, [1]),
                lambda: loaded.generate([Lane(text, 1)], 1),
            ):
                refuse(use)
            raise ValueError("no length")

    length: Any = Length()
    with pytest.raises(ValueError, match="no length"):
        loaded.generate([Lane(text, 5), Lane(other, length)], 5)
    assert len(refused) == 17
    # The error ends the use, which has changed nothing.
    assert content_of_text(text) == saved


def test_a_text_that_changes_while_its_lane_is_read_is_used_as_it_is_then() -> None:
    """Otherwise the core could use tables that no longer exist."""
    loaded = engine_of("native")
    text: Stream = started(loaded, constraint=TABLES["groups"].constraint())

    class Truth:
        def __bool__(self) -> bool:
            text.configure(textgen.Sampling(temperature=1.0), (), None, DOTTED.constraint())
            return True

    must_end: Any = Truth()
    (result,) = loaded.generate([Lane(text, 20, must_end)], 20)
    assert DOTTED.matches(result.tokens)
