"""A guide decides which tokens a lane draws, and where it ends. Both engines agree.

``tests/core/endings.c`` compares the loop of the native engine with its definition.
"""

from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime.engines.base import Engine, Guide, Lane, Measurements
from textgen_runtime.engines.opening import EngineName
from textgen_runtime.generation.controls import compile_controls
from textgen_runtime.sampling.parameters import Sampling

from tests.helpers.guides import (
    ALL_FILTERS,
    DOTTED,
    ENGINES,
    FILTERS,
    GROUPS,
    TABLES,
    Table,
    assert_same,
    engine_of,
    lane_of,
    stops_of,
    walk,
)
from tests.helpers.native_engines import assert_states_equal
from tests.helpers.record_models import record_model

SEEDS = range(30)
EACH_FILTER: list[dict[str, Any]] = [{}, ALL_FILTERS, *FILTERS.values()]


def check_walks(lanes: list[tuple[Engine, Lane]]) -> set[str | None]:
    """Check that all engines generate the same in one call as in many. Return how the lanes end."""
    walks, measurements = [], []
    for engine, lane in lanes:
        start, again = lane.sampler.filter_state, []
        # Log-probabilities do not depend on it.
        lane.sampler.sampling = lane.sampler.sampling.replace(temperature=0.9)
        measured = Measurements()
        measurements.append(measured)
        for steps, sums in ((None, None), (1, measured), (7, None)):
            # A call changes only the sampler, so that a caller can repeat it.
            lane.sampler.position, lane.sampler.filter_state = 0, start
            again.append(walk(engine, lane, steps, sums))
        assert again[0] == again[1] == again[2]
        # A draw counts even if its token ends the text before it.
        assert measured.draws == lane.sampler.position
        walks.append(again[0])
    assert_same(*walks)
    assert measurements[0].entropy_bits == pytest.approx(measurements[1].entropy_bits, abs=1e-3)
    return {walked.ending for walked in walks}


@pytest.mark.parametrize("name", [None, *TABLES])
@pytest.mark.parametrize("must_end", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_both_engines_generate_the_same_in_one_call_or_many(
    name: str | None, must_end: bool, masked: bool
) -> None:
    constraint = TABLES[name].constraint() if name else None
    guide = Guide(stops_of([1, 2], [2, 3, 1], [3], [8, 11]), 0, constraint, 0, must_end, masked)
    endings = set()
    for seed in SEEDS:
        options: dict[str, Any] = {"seed": seed, "length": 9 + seed, "logprobs": seed % 2 == 0}
        options |= EACH_FILTER[seed % len(EACH_FILTER)]
        endings |= check_walks(
            [(engine_of(each), lane_of(engine_of(each), guide, **options)) for each in ENGINES]
        )
    assert len(endings) > 1


@pytest.mark.parametrize("expression", [None, "[abcd]{3}[abcd]*", r"[ abcdé\n]{3}[ abcdé\n]*"])
@pytest.mark.parametrize("masked", [False, True])
def test_both_engines_end_records_at_the_same_token(expression: str | None, masked: bool) -> None:
    """The begin token is fed, and the end token is drawn."""
    begin, end = 8, 9
    guide, endings, names = None, set(), list[EngineName](("native", "onnxruntime"))
    if expression:
        controls = compile_controls(Sampling(match=expression), record_model().metadata)
        guide = Guide(constraint=controls.constraint, masked=masked)
    for seed in range(20):
        lanes = []
        for engine in (record_model(engine=name).engine for name in names):
            logits, state = engine.feed([begin], engine.initial_state())
            sampler = textgen.Sampler(1.0, seed, repetition_penalty=1.1, mirostat_tau=3.0)
            lanes.append((engine, Lane(sampler, logits, state, 50, guide, logprobs=True)))
        ended = check_walks(lanes)
        for engine, lane in lanes:
            lane.sampler.position, lane.sampler.filter_state = 0, None
            walked = walk(engine, lane)
            assert (end in walked.tokens) == (walked.tokens[-1:] == [end]) == (ended == {"end"})
            assert not {0, begin} & {*walked.tokens}
        endings |= ended
    assert "end" in endings


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("length", [4, 5, 30])
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
@pytest.mark.parametrize(
    ("stops", "length", "ending"),
    [([[4]], 2, "stop"), ([[3, 4]], 2, "stop"), ([[5]], 2, "constraint"), ([[5]], 9, "constraint")],
)
def test_a_stop_text_comes_before_the_constraint_and_that_before_the_length(
    engine: str, stops: list[list[int]], length: int, ending: str
) -> None:
    """The second token gives all of these reasons."""
    table = Table([{3: 1}, {4: 2}, {}], {2})
    guide = Guide(stops_of(*stops), constraint=table.constraint(), must_end=True)
    walked = walk(engine_of(engine), lane_of(engine_of(engine), guide, length=length))
    assert (walked.tokens, walked.ending) == ([3, 4], ending)
    assert walked.stop_length == (len(stops[0]) if ending == "stop" else 0)
    assert walked.constraint_state == 2


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
def test_a_dropped_token_has_no_latency(engine: str) -> None:
    loaded = engine_of(engine)
    for seed in SEEDS:
        measured = Measurements(latencies=True)
        lane = lane_of(loaded, Guide(constraint=TABLES["small"].constraint()), seed=seed, length=30)
        (result,) = loaded.generate([lane], 30, measured)
        assert measured.latencies is not None
        assert len(measured.latencies) == len(result.tokens)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", ENGINES)
def test_lanes_with_different_guides_and_filters_are_independent(engine: str, threads: int) -> None:
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
        return [
            lane_of(loaded, guides[i % 5], seed=i, length=5 + i, logprobs=bool(i % 2), **EACH_FILTER[i % 11])
            for i in range(22)
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


@pytest.mark.parametrize("engine", ENGINES)
def test_a_lane_has_no_logprobs_unless_it_asks_for_them(engine: str) -> None:
    loaded = engine_of(engine)
    lanes = [lane_of(loaded, seed=i, length=4, logprobs=i == 1) for i in range(3)]
    results = loaded.generate(lanes, 3)
    assert results[0].logprobs is results[2].logprobs is None
    assert results[1].logprobs is not None
    assert [type(each) for each in results[1].logprobs] == [float] * 3


@pytest.mark.parametrize("engine", ENGINES)
def test_logprobs_of_large_and_infinite_logits_do_not_overflow(engine: str) -> None:
    loaded = engine_of(engine)
    logits = np.full(12, -np.inf, np.float32)
    logits[3], logits[5] = 1000.0, 1000.0
    (result,) = loaded.generate([lane_of(loaded, logprobs=True)._replace(logits=logits)], 1)
    assert result.logprobs is not None
    np.testing.assert_allclose(result.logprobs, [-np.log(2)], atol=1e-12)
