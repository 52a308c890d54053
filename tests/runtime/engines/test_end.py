"""The end token ends a lane."""

import numpy as np
import pytest
from textgen_runtime import Sampler
from textgen_runtime.engines.base import Generated, Guide, Lane, Measurements
from textgen_runtime.engines.opening import EngineName
from textgen_runtime.generation.controls import compile_controls
from textgen_runtime.sampling.automata import Constraint
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.sampling.sampler import Filters

from tests.helpers.guides import walk
from tests.helpers.record_models import ENGINES, record_model

BEGIN, END = 8, 9


def generate(
    engine: EngineName, seed: int, length: int, guide: Guide | None = None, *, filters: Filters | None = None
) -> tuple[Generated, Sampler]:
    model = record_model(engine=engine)
    logits, state = model.engine.feed([BEGIN], model.engine.initial_state())
    sampler = Sampler(1.0, seed)
    sampler.filters = filters or Filters()
    lane = Lane(sampler, logits, state, length, guide, logprobs=True)
    (result,) = model.engine.generate([lane], length, Measurements())
    return result, sampler


def constraint_of(engine: EngineName, expression: str) -> Constraint:
    constraint = compile_controls(Sampling(match=expression), record_model(engine=engine).metadata).constraint
    assert constraint is not None
    return constraint


@pytest.mark.parametrize("engine", ENGINES)
def test_a_lane_ends_where_the_end_is_drawn(engine: EngineName) -> None:
    results = [generate(engine, seed, 50)[0] for seed in range(40)]
    ended = [result for result in results if result.ending == "end"]
    assert len(ended) > 20
    for result in results:
        tokens = list(result.tokens)
        assert not {0, BEGIN} & {*tokens}
        assert (END in tokens) == (result.ending == "end")
        assert END not in tokens[:-1]
        assert result.logprobs is not None
        assert len(result.logprobs) == len(tokens)


@pytest.mark.parametrize("engine", ENGINES)
def test_its_logprob_and_the_state_after_it_are_those_of_the_model(engine: EngineName) -> None:
    model = record_model(engine=engine)
    result = next(result for seed in range(40) if (result := generate(engine, seed, 50)[0]).ending == "end")
    tokens = [BEGIN, *result.tokens]
    logits, state = model.engine.forward(np.array([tokens]).T, model.engine.initial_state())
    np.testing.assert_allclose(result.state["hidden"], state["hidden"], atol=1e-6)
    # The tokens that are never drawn have no probability.
    values = logits[-2, 0].astype(np.float64)
    values[[0, BEGIN]] = -np.inf
    assert result.logprobs is not None
    expected = values[END] - np.log(np.exp(values).sum())
    assert result.logprobs[-1] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_end_comes_before_the_length(engine: EngineName) -> None:
    seed, result = next(
        (seed, result) for seed in range(40) if (result := generate(engine, seed, 50)[0]).ending == "end"
    )
    count = len(result.tokens)
    assert generate(engine, seed, count)[0].ending == "end"
    if count > 1:
        assert generate(engine, seed, count - 1)[0].ending == "length"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_constraint_forbids_the_end_until_the_text_matches(engine: EngineName) -> None:
    guide = Guide(constraint=constraint_of(engine, "[abcd]{3}[abcd]*"))
    endings = set()
    for seed in range(60):
        result, _ = generate(engine, seed, 200, guide)
        tokens = list(result.tokens)
        assert END not in tokens[:3]
        assert (tokens[-1] == END) == (result.ending == "end")
        endings.add(result.ending)
    # A letter that the constraint forbids ends a text, too.
    assert endings == {"end", "constraint"}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_end_of_an_unmasked_text_that_does_not_match_is_a_mismatch(engine: EngineName) -> None:
    guide = Guide(constraint=constraint_of(engine, r"[ abcdé\n]{3}[ abcdé\n]*"), masked=False)
    endings = []
    for seed in range(60):
        free, constrained = generate(engine, seed, 200)[0], generate(engine, seed, 200, guide)[0]
        is_long = len(free.tokens) > 3 or free.ending != "end"
        assert constrained.ending == (free.ending if is_long else "mismatch")
        assert END not in constrained.tokens[:3]
        endings.append(constrained.ending)
    assert {*endings} >= {"end", "mismatch"}


@pytest.mark.parametrize("engine", ENGINES)
def test_filters_do_not_count_the_end(engine: EngineName) -> None:
    filters = Filters(repetition_penalty=1.1, mirostat_tau=3.0)
    for seed in range(20):
        result, sampler = generate(engine, seed, 50, filters=filters)
        assert sampler.filter_state is not None
        drawn = [token for token in result.tokens if token != END]
        assert list(sampler.filter_state.recent) == drawn


def test_engines_draw_the_same_records() -> None:
    for seed in range(20):
        native, other = (generate(engine, seed, 50)[0] for engine in ENGINES)
        assert (list(native.tokens), native.ending) == (list(other.tokens), other.ending)


def test_other_lanes_continue_after_the_end_of_one() -> None:
    model = record_model()
    logits, state = model.engine.feed([BEGIN], model.engine.initial_state())
    results = model.engine.generate(
        [Lane(Sampler(1.0, seed), logits, state, 50, logprobs=True) for seed in range(20)], 50
    )
    for seed, result in enumerate(results):
        alone, _ = generate("native", seed, 50)
        assert (list(result.tokens), result.ending) == (list(alone.tokens), alone.ending)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", [1, 3, 50])
def test_the_end_is_not_drawn_before_the_minimum_length(engine: EngineName, steps: int) -> None:
    """Not in one call, nor in several."""
    model = record_model(engine=engine, end_bias=3.0)
    lengths = []
    for seed in range(20):
        logits, state = model.engine.feed([BEGIN], model.engine.initial_state())
        lane = Lane(Sampler(1.0, seed), logits, state, 200, Guide(min_length=7), logprobs=True)
        walked = walk(model.engine, lane, steps)
        assert walked == walk(model.engine, lane._replace(sampler=Sampler(1.0, seed)), None)
        assert walked.ending == "end"
        lengths.append(len(walked.tokens) - 1)
    assert min(lengths) == 7


def test_engines_count_to_the_minimum_length_alike() -> None:
    for seed in range(20):
        results = [generate(engine, seed, 5, Guide(min_length=2**64))[0] for engine in ENGINES]
        assert {(tuple(result.tokens), result.ending) for result in results} == {
            (tuple(results[0].tokens), "length")
        }
        assert all(result.guide is not None and result.guide.min_length > 2**62 for result in results)
