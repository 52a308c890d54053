"""Each parameter of the filters reaches the distribution from which the sampler draws.

``tests/core/truncations.c`` and ``tests/core/penalties.c`` compare the filters with their definitions.
"""

import math
from typing import Any

import numpy as np
import pytest
from textgen_runtime import FilterState, Sampler, SamplingError

LN2 = math.log(2)
# Of the probabilities 1/4, 1/8, 1/2 and 1/8. The surprisals are 2, 3, 1 and 3 bits; the entropy is 1.75 bits.
LOGITS = [-2 * LN2, -3 * LN2, -LN2, -3 * LN2]

CHAIN: dict[str, Any] = {
    "repetition_penalty": 1.2,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "logit_bias": {2: 1.0, 7: -math.inf},
}
TRUNCATIONS: dict[str, Any] = {"top_k": 20, "typical_p": 0.97, "top_p": 0.95, "min_p": 0.01}


@pytest.mark.parametrize(
    ("options", "recent", "weights"),
    [
        ({}, (), [2, 1, 4, 1]),
        ({"top_k": 1}, (), [0, 0, 1, 0]),
        ({"top_k": 3}, (), [2, 1, 4, 0]),
        ({"typical_p": 0.24}, (), [1, 0, 0, 0]),
        ({"top_p": 0.51}, (), [2, 0, 4, 0]),
        ({"min_p": 0.51}, (), [0, 0, 1, 0]),
        ({"mirostat_tau": 1.1}, (), [2, 0, 4, 0]),
        ({"logit_bias": {1: LN2, 2: -math.inf}}, (), [2, 2, 0, 1]),
        ({"repetition_penalty": 2.0}, (2,), [2, 1, 2, 1]),
        ({"frequency_penalty": LN2}, (2, 2), [2, 1, 1, 1]),
        ({"presence_penalty": LN2}, (2, 2), [2, 1, 2, 1]),
        ({"presence_penalty": LN2, "penalty_window": 1}, (2, 0), [1, 1, 4, 1]),
        # The penalty comes before the truncation.
        ({"presence_penalty": 2 * LN2, "top_k": 1}, (2,), [1, 0, 0, 0]),
    ],
)
def test_each_parameter_changes_the_distribution(
    options: dict[str, Any], recent: tuple[int, ...], weights: list[float]
) -> None:
    sampler = Sampler(1.0, **options)
    if recent:
        sampler.filter_state = FilterState(recent, 0.0)
    for logits in (LOGITS, np.array(LOGITS, np.float32)):
        expected = np.array(weights) / sum(weights)
        np.testing.assert_allclose(sampler.probabilities(logits), expected, rtol=1e-6)
    assert weights[sampler.draw(LOGITS)] > 0


@pytest.mark.parametrize(
    "options", [CHAIN | TRUNCATIONS, CHAIN | {"mirostat_tau": 3.0}], ids=["all", "mirostat"]
)
def test_a_batch_draws_the_tokens_of_single_draws(options: dict[str, Any]) -> None:
    rows = np.random.default_rng(8).normal(0, 2, (200, 25))
    batch, single = Sampler(0.9, 6, **options), Sampler(0.9, 6, **options)
    assert batch.draw_batch(rows).tolist() == [single.draw(row) for row in rows]
    assert batch.filter_state == single.filter_state


def test_invalid_logits_are_an_error_with_filters() -> None:
    bad: Any
    for options in ({"top_k": 3}, {"mirostat_tau": 3.0}):
        sampler = Sampler(1.0, **options)
        for call in (sampler.draw, sampler.propose, sampler.probabilities):
            for bad, message in (
                ([0.0, math.nan], "NaN"),
                ([math.inf, 0.0], "inf"),
                ([[0.0, 1.0]], "dimension"),
            ):
                with pytest.raises(SamplingError, match=message):
                    call(bad)


def test_a_contradiction_that_leaves_no_token_is_an_error() -> None:
    ban = {0: -math.inf, 1: -math.inf}
    with pytest.raises(SamplingError, match="logit_bias forbids all 2 tokens: allow at least one"):
        Sampler(logit_bias=ban).draw([1.0, 2.0])
    for call in (Sampler(logit_bias=ban).draw, Sampler(logit_bias=ban).probabilities):
        with pytest.raises(SamplingError, match="forbids every token"):
            call([1.0, 2.0, -math.inf])
    with pytest.raises(SamplingError, match="logit_bias has token 2, but the vocabulary has 2 tokens"):
        Sampler(logit_bias={2: 1.0}).draw([1.0, 2.0])


def test_a_distribution_changes_no_state() -> None:
    sampler = Sampler(1.0, seed=1, repetition_penalty=1.5, mirostat_tau=2.0)
    logits = np.random.default_rng(4).normal(size=20)
    sampler.draw(logits)
    before = (sampler.position, sampler.filter_state)
    sampler.probabilities(logits)
    assert (sampler.position, sampler.filter_state) == before
    assert isinstance(before[1], FilterState)
