"""A text as parallel lanes."""

import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from textgen_train.data.batches import TextBatches


@given(st.integers(128, 700), st.integers(1, 6), st.integers(1, 70), st.integers(0, 2000))
def test_every_lane_is_read_once_and_in_order(
    characters: int, lanes: int, sequence_length: int, seed: int
) -> None:
    text = np.arange(characters)
    batches = TextBatches(text, lanes, sequence_length)
    lanes, length = batches.max_lanes, characters // batches.max_lanes
    epoch = list(batches.epoch(seed))
    assert len(epoch) == batches.updates_per_epoch
    assert [batch.is_start for batch in epoch] == [True, *[False] * (len(epoch) - 1)]
    inputs = torch.cat([batch.inputs for batch in epoch])
    targets = torch.cat([batch.targets for batch in epoch])
    assert inputs.shape == targets.shape == (length - 1, lanes)
    # The text is 0, 1, 2, ..., so each target is its input plus 1.
    assert torch.equal(targets, (inputs + 1) % characters)
    assert torch.equal(inputs[1:], targets[:-1])
    assert torch.equal(torch.cat([batch.positions for batch in epoch]), targets)
    offset = random.Random(seed).randrange(characters)
    assert inputs[0].tolist() == [(offset + lane * length) % characters for lane in range(lanes)]
    assert all(len(batch.inputs) == sequence_length for batch in epoch[:-1])
    later = list(batches.epoch(seed, first=2))
    assert not any(batch.is_start for batch in later)
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(epoch[2:], later, strict=True))


def test_a_short_text_has_fewer_lanes() -> None:
    """Each lane has a sequence, and the target of its last character."""
    for characters, lanes in ((1_000_000, 16), (300, 4), (130, 2), (129, 1), (30, 1)):
        assert TextBatches(np.zeros(characters, np.uint8), 16, 64).max_lanes == lanes
