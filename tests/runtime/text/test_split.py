"""The split of a text into a training part and a held-out part."""

import pytest
from textgen_runtime.text.split import held_out_start


@pytest.mark.parametrize(
    ("length", "share", "start"), [(100, 0.1, 90), (101, 0.1, 91), (5, 0.0, 5), (5, 1.0, 0), (0, 0.5, 0)]
)
def test_held_out_part_is_the_requested_share(length: int, share: float, start: int) -> None:
    assert held_out_start(length, share) == start
