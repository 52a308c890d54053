"""A text as parallel lanes."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from textgen_train.data.batches import batches, lane_count


@given(st.integers(128, 700), st.integers(1, 6), st.integers(1, 70), st.integers(0, 2000))
def test_every_lane_is_read_once_and_in_order(
    characters: int, lanes: int, sequence_length: int, offset: int
) -> None:
    text = np.arange(characters)
    pairs = list(batches(text, lanes, sequence_length, offset % characters))
    inputs = torch.cat([inputs for inputs, _ in pairs])
    targets = torch.cat([targets for _, targets in pairs])
    length = characters // lanes
    assert inputs.shape == targets.shape == (length - 1, lanes)
    # The text is 0, 1, 2, ..., so each target is its input plus 1.
    assert torch.equal(targets, (inputs + 1) % characters)
    assert torch.equal(inputs[1:], targets[:-1])
    assert inputs[0].tolist() == [(offset + lane * length) % characters for lane in range(lanes)]
    assert all(len(inputs) == sequence_length for inputs, _ in pairs[:-1])
    later = list(batches(text, lanes, sequence_length, offset % characters, first=2))
    assert all(torch.equal(a, b) for a, (b, _) in zip((a for a, _ in pairs[2:]), later, strict=True))


def test_a_short_text_has_fewer_lanes() -> None:
    assert lane_count(1_000_000, 16, 64) == 16
    assert lane_count(300, 16, 64) == 4
    assert lane_count(30, 16, 64) == 1
    # Each lane has a sequence, and the target of its last character.
    assert (lane_count(129, 16, 64), lane_count(130, 16, 64)) == (1, 2)
