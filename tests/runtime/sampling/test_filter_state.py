"""The filters of a sampler can change between draws."""

import math
from typing import Any

import numpy as np
import pytest
from textgen_runtime import Sampler, Sampling, SamplingError

ROWS = np.random.default_rng(14).normal(0, 2, (300, 30))


def draws(sampler: Sampler, first: int, last: int) -> list[int]:
    return [sampler.draw(row) for row in ROWS[first:last]]


@pytest.mark.parametrize(
    "options", [{"top_k": 4}, {"logit_bias": {3: 2.0}}, {"top_k": 4, "logit_bias": {3: 2.0}}]
)
def test_new_filters_take_effect_at_the_next_draw(options: dict[str, Any]) -> None:
    sampler, expected = Sampler(0.9, 5), Sampler(0.9, 5, **options)
    draws(sampler, 0, 20)
    sampler.sampling, sampler.logit_bias = expected.sampling, expected.logit_bias
    expected.position = 20
    assert draws(sampler, 20, 100) == draws(expected, 20, 100)
    sampler.logit_bias = {}
    expected = Sampler(0.9, 5, **options | {"logit_bias": {}})
    expected.position = 100
    assert draws(sampler, 100, 200) == draws(expected, 100, 200)
    sampler.sampling = Sampling(temperature=0.9)
    plain = Sampler(0.9, 5)
    plain.position = 200
    assert draws(sampler, 200, 300) == draws(plain, 200, 300)


def test_parameters_that_are_refused_change_nothing() -> None:
    sampler = Sampler(0.9, 5, top_k=4, logit_bias={2: 1.0})
    draws(sampler, 0, 1)
    bad: Any
    for bad, message in (
        ({30: 1.0}, "logit_bias has token 30, but the vocabulary has 30 tokens"),
        (dict.fromkeys(range(30), -math.inf), "logit_bias forbids all 30 tokens"),
    ):
        with pytest.raises(SamplingError, match=message):
            sampler.logit_bias = bad
    with pytest.raises(SamplingError, match="match needs a model"):
        sampler.sampling = Sampling(match="a")
    for bad in ({"top_k": 3}, None):
        with pytest.raises(TypeError, match="sampling must be a Sampling, not "):
            sampler.sampling = bad
    assert (sampler.sampling, sampler.logit_bias) == (Sampling(temperature=0.9, top_k=4), ((2, 1.0),))


def test_another_vocabulary_begins_new_filters() -> None:
    sampler, expected = Sampler(1.0, 5, top_k=2), Sampler(1.0, 5)
    tokens = [sampler.draw([0.0] * size) for size in (2, 7, 2, 300, 1)]
    assert tokens == [expected.draw([0.0] * min(size, 2)) for size in (2, 7, 2, 300, 1)]
    counting, new = Sampler(1.0, 5, presence_penalty=-100.0), Sampler(1.0, 5, presence_penalty=-100.0)
    first = counting.draw([0.0] * 9)
    assert [counting.draw([0.0] * 9) for _ in range(3)] == [first] * 3
    new.position = counting.position
    assert [counting.draw([0.0] * 3) for _ in range(9)] == [new.draw([0.0] * 3) for _ in range(9)]
