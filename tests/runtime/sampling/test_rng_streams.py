"""The random stream depends only on seed, substream and position."""

import numpy as np
import pytest
from textgen_runtime import Sampler, SamplingError

from tests.helpers.sampler_cases import LOGITS


def test_a_seed_or_substream_out_of_range_is_an_error() -> None:
    for seed in (-1, 2**128, 10**5000):
        with pytest.raises(SamplingError, match="seed must be from 0 to"):
            Sampler(1.0, seed)
    for substream in (-1, 2**32):
        with pytest.raises(SamplingError, match="substream must be from 0 to"):
            Sampler(1.0, 0, substream)
    with pytest.raises(TypeError):
        Sampler(1.0, 1.5)  # type: ignore[arg-type]


def test_the_largest_seeds_have_separate_streams() -> None:
    """In numpy, seed 2**128 + 7 equals substream 1 of seed 7, so a larger seed is an error."""
    rows = np.tile(LOGITS, (50, 1))
    streams = {
        tuple(Sampler(1.0, seed, substream).draw_batch(rows))
        for seed in (7, 2**127 + 7, 2**128 - 1)
        for substream in (0, 1, 2**32 - 1)
    }
    assert len(streams) == 9


def test_a_position_can_be_set_forwards_and_backwards() -> None:
    sampler = Sampler(1.0, seed=4, substream=2)
    rows = np.tile(LOGITS, (20, 1))
    drawn = sampler.draw_batch(rows).tolist()
    assert sampler.position == 20
    sampler.position = 5
    assert [sampler.draw(LOGITS) for _ in range(15)] == drawn[5:]
    sampler.position = 0
    assert sampler.draw_batch(rows).tolist() == drawn
    for bad in (-1, 2**63):
        with pytest.raises(SamplingError, match="position"):
            sampler.position = bad
    assert sampler.position == 20


def test_a_draw_at_the_last_position_is_an_error() -> None:
    sampler = Sampler(1.0, seed=4)
    sampler.position = 2**63 - 2
    sampler.draw(LOGITS)
    assert sampler.position == 2**63 - 1
    with pytest.raises(SamplingError, match="exhausted"):
        sampler.draw(LOGITS)
    sampler.position = 2**63 - 3
    with pytest.raises(SamplingError, match="exhausted"):
        sampler.draw_batch(np.tile(LOGITS, (3, 1)))
    assert sampler.position == 2**63 - 1
    other = Sampler(1.0, seed=4)
    other.position = sampler.position
    assert other.position == 2**63 - 1
