"""The log-probability of each drawn token."""

from typing import Any

import numpy as np
import pytest
from textgen_runtime.engines.base import Guide

from tests.helpers.guides import ALL_FILTERS, ENGINES, GROUPS, SMALL, Table, engine_of, lane_of, stops_of


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("filters", [{}, ALL_FILTERS])
@pytest.mark.parametrize("table", [None, GROUPS, SMALL], ids=["free", "groups", "small"])
def test_they_are_those_of_the_model(engine: str, filters: dict[str, Any], table: Table | None) -> None:
    """At temperature 1, before the constraint, the filters and the temperature of the sampler."""
    loaded = engine_of(engine)
    guide = Guide(stops_of([11, 11]), constraint=table.constraint() if table else None)
    counts = []
    for seed in range(10):
        lane = lane_of(loaded, guide, seed=seed, length=20, logprobs=True, **filters)
        lane.sampler.temperature = 0.7
        (result,) = loaded.generate([lane], 20)
        tokens = list(result.tokens)
        logits, _ = loaded.forward(np.array([[0, *tokens]]).T, loaded.initial_state())
        values = logits[:, 0].astype(np.float64)
        log_softmax = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
        assert result.logprobs is not None
        assert len(result.logprobs) == len(tokens)
        assert all(type(value) is float for value in result.logprobs)
        np.testing.assert_allclose(
            result.logprobs, [log_softmax[i, token] for i, token in enumerate(tokens)], atol=1e-5
        )
        counts.append(len(tokens))
    assert sum(counts) > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_lane_has_none_unless_it_asks_for_them(engine: str) -> None:
    loaded = engine_of(engine)
    lanes = [lane_of(loaded, seed=i, length=4, logprobs=i == 1) for i in range(3)]
    results = loaded.generate(lanes, 3)
    assert results[0].logprobs is results[2].logprobs is None
    assert results[1].logprobs is not None
    assert len(results[1].logprobs) == 3


@pytest.mark.parametrize("engine", ENGINES)
def test_large_and_infinite_logits_do_not_overflow(engine: str) -> None:
    loaded = engine_of(engine)
    logits = np.full(12, -np.inf, np.float32)
    logits[3], logits[5] = 1000.0, 1000.0
    (result,) = loaded.generate([lane_of(loaded, logprobs=True)._replace(logits=logits)], 1)
    assert result.logprobs is not None
    np.testing.assert_allclose(result.logprobs, [-np.log(2)], atol=1e-12)
