"""``Stops`` checks stop texts.

``tests/core/automata.h`` compares each state of random stop texts with its definition.
"""

from typing import Any

import pytest
from textgen_runtime import SamplingError
from textgen_runtime.sampling.tables import Stops


def test_stop_texts_are_as_long_as_a_text_can_hold_back() -> None:
    stops = Stops([[0] * 1020], 1)
    assert stops.states == 1021
    with pytest.raises(SamplingError, match="a stop text must have from 1 to 1020 tokens, not 1021"):
        Stops([[0] * 1021], 1)
    # All together have as many tokens as there are states of 16 bits besides the first.
    texts = [[token] + [0] * 1019 for token in range(32)] + [[32] + [0] * 126]
    assert Stops(texts, 40).states == 2**15
    with pytest.raises(SamplingError, match="the stop texts together have more than 32767 tokens"):
        Stops([*texts, [33]], 40)


@pytest.mark.parametrize(
    ("stop_texts", "message"),
    [
        ([], "stop texts must not be empty: pass at least one text"),
        ([[0], []], "a stop text must have from 1 to 1020 tokens, not 0"),
        ([[0, 3]], "a stop text has token 3, but the vocabulary has 3 tokens"),
        ([[-1]], "a stop text has token -1"),
        ([[10**400]], "a stop text has token an integer of"),
    ],
)
def test_invalid_stop_texts_are_an_error(stop_texts: Any, message: str) -> None:
    with pytest.raises(SamplingError, match=f"^{message}"):
        Stops(stop_texts, 3)


def test_stop_texts_of_the_wrong_type_are_a_type_error() -> None:
    bad: Any
    for bad in (["ab"], [[1.0]], [1], 1):
        with pytest.raises(TypeError):
            Stops(bad, 3)


def test_stops_are_an_immutable_value() -> None:
    stops = Stops([[1, 0], [2], [2]], 3)
    assert stops.texts == ((1, 0), (2,))
    assert stops == Stops([[2], [1, 0]], 3) != Stops([[2]], 3)
    assert stops != Stops([[2], [1, 0]], 4)
    assert stops != ((1, 0), (2,))
    assert hash(stops) == hash(Stops([[2], [1, 0]], 3))
    assert repr(stops) == "Stops(((1, 0), (2,)), 3)"
    with pytest.raises(AttributeError):
        stops.texts = ()  # type: ignore[misc]
