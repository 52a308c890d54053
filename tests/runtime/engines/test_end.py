"""The end token is not drawn before the minimum length."""

import pytest
from textgen_runtime import Sampler
from textgen_runtime.engines.base import Generated, Guide, Lane, Measurements
from textgen_runtime.engines.opening import EngineName

from tests.helpers.guides import walk
from tests.helpers.record_models import ENGINES, record_model

BEGIN = 8


def generate(engine: EngineName, seed: int, length: int, guide: Guide) -> Generated:
    model = record_model(engine=engine)
    logits, state = model.engine.feed([BEGIN], model.engine.initial_state())
    lane = Lane(Sampler(1.0, seed), logits, state, length, guide, logprobs=True)
    (result,) = model.engine.generate([lane], length, Measurements())
    return result


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
        results = [generate(engine, seed, 5, Guide(min_length=2**64)) for engine in ENGINES]
        assert {(tuple(result.tokens), result.ending) for result in results} == {
            (tuple(results[0].tokens), "length")
        }
        assert all(result.guide is not None and result.guide.min_length > 2**62 for result in results)
