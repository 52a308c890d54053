"""A constraint decides which tokens a lane draws, and where it ends. Both engines agree."""

from itertools import takewhile
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime.engines.base import Guide, Lane, Measurements

from tests.helpers.guides import (
    ALL_FILTERS,
    DOTTED,
    ENGINES,
    FILTERS,
    GROUPS,
    SMALL,
    TABLES,
    Table,
    assert_same,
    engine_of,
    lane_of,
    stops_of,
    walk,
)
from tests.helpers.native_engines import assert_states_equal

SEEDS = range(30)


def unguided(seed: int, length: int, **filters: Any) -> list[int]:
    """Return the tokens that a lane draws without a guide."""
    engine = engine_of("native")
    return walk(engine, lane_of(engine, seed=seed, length=length, **filters)).tokens


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("must_end", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_both_engines_draw_the_same_tokens(name: str, must_end: bool, masked: bool) -> None:
    guide = Guide(stops_of([1, 2], [3]), 0, TABLES[name].constraint(), 0, must_end, masked)
    for seed in SEEDS:
        filters: dict[str, Any] = ({}, FILTERS["mirostat"], ALL_FILTERS)[seed % 3]
        native, onnx = (
            walk(engine_of(engine), lane_of(engine_of(engine), guide, seed=seed, length=9, **filters))
            for engine in ENGINES
        )
        assert_same(native, onnx)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("name", TABLES)
def test_many_calls_give_the_text_of_one_call(engine: str, steps: int, name: str) -> None:
    for seed in SEEDS:
        guide = Guide(stops_of([1, 2, 1], [3, 3]), 0, TABLES[name].constraint(), must_end=seed % 2 == 0)
        once, often = (
            walk(
                engine_of(engine),
                lane_of(engine_of(engine), guide, seed=seed, length=15, logprobs=True, **ALL_FILTERS),
                chunk,
            )
            for chunk in (None, steps)
        )
        assert once == often


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("length", [4, 5, 6, 30])
@pytest.mark.parametrize("table", [DOTTED, GROUPS], ids=["dotted", "groups"])
def test_a_text_that_must_end_matches_within_its_length(engine: str, length: int, table: Table) -> None:
    guide = Guide(constraint=table.constraint(), must_end=True)
    endings = set()
    for seed in SEEDS:
        walked = walk(engine_of(engine), lane_of(engine_of(engine), guide, seed=seed, length=length))
        assert table.matches(walked.tokens)
        assert len(walked.tokens) <= length
        assert walked.constraint_state == table.state_after(walked.tokens)
        endings.add(walked.ending)
    assert endings <= {"constraint", "length"}
    assert "constraint" in endings


@pytest.mark.parametrize("engine", ENGINES)
def test_the_length_cuts_a_text_that_need_not_end(engine: str) -> None:
    guide = Guide(constraint=DOTTED.constraint())
    for seed in SEEDS:
        walked = walk(engine_of(engine), lane_of(engine_of(engine), guide, seed=seed, length=3))
        assert (walked.ending, len(walked.tokens)) == ("length", 3)
        assert walked.constraint_state == DOTTED.state_after(walked.tokens) == 3


@pytest.mark.parametrize("engine", ENGINES)
def test_a_matching_text_ends_before_the_token_that_no_match_allows(engine: str) -> None:
    """The model decides where the text ends: all tokens are those of a lane without a constraint."""
    guide = Guide(constraint=SMALL.constraint())
    lengths = []
    for seed in SEEDS:
        free = unguided(seed, 30)
        expected = list(takewhile(lambda token: token < 6, free))
        lane = lane_of(engine_of(engine), guide, seed=seed, length=30)
        walked = walk(engine_of(engine), lane)
        assert walked.tokens == expected
        assert walked.ending == ("length" if len(expected) == 30 else "constraint")
        assert walked.position == min(30, len(expected) + 1)
        lengths.append(len(expected))
    assert min(lengths) == 0
    assert max(lengths) > 3


@pytest.mark.parametrize("engine", ENGINES)
def test_a_dropped_token_reaches_neither_the_network_nor_the_filters(engine: str) -> None:
    loaded = engine_of(engine)
    guide = Guide(constraint=SMALL.constraint())
    for seed in SEEDS:
        options = FILTERS["frequency_penalty"] | FILTERS["mirostat"]
        lane = lane_of(loaded, guide, seed=seed, length=30, **options)
        (result,) = loaded.generate([lane], 30)
        again = lane_of(loaded, seed=seed, length=max(1, len(result.tokens)), **options)
        if not result.tokens:
            assert lane.sampler.filter_state == again.sampler.filter_state
            np.testing.assert_array_equal(result.logits, lane.logits)
            assert_states_equal(result.state, lane.state)
            continue
        (expected,) = loaded.generate([again], 30)
        assert result.tokens == expected.tokens
        assert lane.sampler.filter_state == again.sampler.filter_state
        assert_states_equal(result.state, expected.state)
        np.testing.assert_array_equal(result.logits, expected.logits)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_dropped_token_has_no_latency(engine: str) -> None:
    loaded = engine_of(engine)
    for seed in SEEDS:
        measured = Measurements(latencies=True)
        lane = lane_of(loaded, Guide(constraint=SMALL.constraint()), seed=seed, length=30)
        (result,) = loaded.generate([lane], 30, measured)
        assert measured.latencies is not None
        assert len(measured.latencies) == len(result.tokens)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("must_end", [False, True])
def test_an_unmasked_text_is_the_beginning_of_the_unguided_one(engine: str, must_end: bool) -> None:
    """It ends with a mismatch before the first token after which no text of its length matches."""
    guide = Guide(constraint=GROUPS.constraint(), must_end=must_end, masked=False)
    endings = set()
    for seed in range(60):
        free = unguided(seed, 6)
        walked = walk(engine_of(engine), lane_of(engine_of(engine), guide, seed=seed, length=6))
        count = 0
        while count < 6 and allows(GROUPS, free[: count + 1], 6 if must_end else None):
            count += 1
        assert walked.tokens == free[:count]
        if count == 6:
            assert walked.ending == "length"
        else:
            assert walked.ending == ("constraint" if GROUPS.matches(free[:count]) else "mismatch")
            assert walked.position == count + 1
        endings.add(walked.ending)
    assert endings >= {"constraint", "mismatch"}


def allows(table: Table, tokens: list[int], length: int | None) -> bool:
    """Return whether a text can begin with these tokens and match within ``length`` tokens."""
    state = table.state_after(tokens)
    if state is None:
        return False
    if length is None:
        return True
    reached = {state}
    for _ in range(length - len(tokens) + 1):
        if reached & table.accepting:
            return True
        reached = {following for at in reached for following in table.transitions[at].values()}
    return False


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", [0, 5])
def test_a_text_that_no_token_may_follow_ends_at_once(engine: str, steps: int) -> None:
    lane = lane_of(engine_of(engine), Guide(constraint=DOTTED.constraint(), constraint_state=6))
    (result,) = engine_of(engine).generate([lane], steps)
    assert (result.tokens, result.ending) == ([], "constraint")
    assert lane.sampler.position == 0
    np.testing.assert_array_equal(result.logits, lane.logits)
    assert_states_equal(result.state, lane.state)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_lane_that_cannot_end_in_time_is_an_error(engine: str) -> None:
    for masked in (False, True):
        lane = lane_of(
            engine_of(engine), Guide(constraint=DOTTED.constraint(), must_end=True, masked=masked), length=3
        )
        with pytest.raises(
            textgen.SamplingError, match="needs 4 or more tokens to match, but may have only 3"
        ):
            engine_of(engine).generate([lane], 5)
        assert lane.sampler.position == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_constraint_that_leaves_only_banned_tokens_is_an_error(engine: str) -> None:
    table = Table([{3: 1}, {4: 2}, {}], {2})
    lane = lane_of(engine_of(engine), Guide(constraint=table.constraint()), logit_bias={4: -np.inf})
    with pytest.raises(textgen.SamplingError, match="forbids every token"):
        engine_of(engine).generate([lane], 5)
    # The sampler is not locked.
    assert 0 <= lane.sampler.draw(np.zeros(12)) < 12


@pytest.mark.parametrize("engine", ENGINES)
def test_a_caller_can_repeat_a_call(engine: str) -> None:
    """The engine changes only the samplers. Their positions and filter states can be set back."""
    loaded = engine_of(engine)
    guide = Guide(stops_of([9, 9]), 0, GROUPS.constraint(), 0, must_end=True)
    filters = FILTERS["repetition_penalty"] | FILTERS["mirostat"]
    lane = lane_of(loaded, guide, length=20, **filters)
    (first,) = loaded.generate([lane], 3)
    continued = lane._replace(logits=first.logits, state=first.state, length=17, guide=first.guide)
    position, filter_state = lane.sampler.position, lane.sampler.filter_state
    texts = []
    for _ in range(2):
        texts.append(walk(loaded, continued))
        lane.sampler.position, lane.sampler.filter_state = position, filter_state
    assert texts[0] == texts[1]
    assert lane.guide == guide


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", ENGINES)
def test_lanes_with_different_guides_are_independent(engine: str, threads: int) -> None:
    loaded = engine_of(engine, threads)
    constraints = {name: table.constraint() for name, table in TABLES.items()}
    guides = [
        None,
        Guide(constraint=constraints["dotted"], must_end=True),
        Guide(stops_of([1], [2, 3])),
        Guide(constraint=constraints["groups"]),
        Guide(stops_of([4]), constraint=constraints["small"], masked=False),
    ]

    def lanes() -> list[Lane]:
        options = [{}, ALL_FILTERS, FILTERS["mirostat"]]
        return [
            lane_of(
                loaded,
                guides[i % 5],
                seed=i,
                length=5 + i,
                logprobs=bool(i % 2),
                **options[i % 3],
            )
            for i in range(20)
        ]

    together = lanes()
    results = loaded.generate(together, 30)
    for lane, result, alone in zip(together, results, lanes(), strict=True):
        (expected,) = loaded.generate([alone], 30)
        assert result[0] == expected[0]
        assert result[3:] == expected[3:]
        assert lane.sampler.position == alone.sampler.position
        assert lane.sampler.filter_state == alone.sampler.filter_state
        assert_states_equal(result.state, expected.state)
    assert {result.ending for result in results} >= {"length", "stop", "constraint"}
