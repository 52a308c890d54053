"""Guides that do not fit the model are an error before any lane draws. The C core does not check them."""

from typing import Any

import pytest
from textgen_runtime.engines.base import Guide
from textgen_runtime.sampling.automata import Stops

from tests.helpers.guides import DOTTED, ENGINES, engine_of, lane_of, stops_of

STOPS, CONSTRAINT = stops_of([1, 2, 3]), DOTTED.constraint()


@pytest.mark.parametrize(
    ("guide", "message"),
    [
        (Guide(STOPS, -1), r"the stop_state of a guide must be in \[0, 4\), not -1"),
        (Guide(STOPS, 4), "the stop_state"),
        (Guide(STOPS, 2**70), "the stop_state"),
        (Guide(constraint=CONSTRAINT, constraint_state=-1), "the constraint_state of a guide must be in"),
        (Guide(constraint=CONSTRAINT, constraint_state=7), "the constraint_state"),
        (Guide(constraint=CONSTRAINT, constraint_state=-(2**70)), "the constraint_state"),
        (Guide(Stops([[1]], 11)), "the stops of a guide must have the vocabulary size of the model, 12"),
        (Guide(Stops([[1]], 13)), "the stops"),
        (Guide(constraint=DOTTED.constraint(13)), "the constraint of a guide must have the vocabulary size"),
    ],
)
def test_a_guide_that_does_not_fit_the_model_is_an_error(guide: Guide, message: str) -> None:
    for loaded in map(engine_of, ENGINES):
        lanes = [lane_of(loaded), lane_of(loaded, guide)]
        with pytest.raises(ValueError, match=message):
            loaded.generate(lanes, 5)
        assert [lane.sampler.position for lane in lanes] == [0, 0]


@pytest.mark.parametrize(
    "guide",
    [
        object(),
        (None, 0, None, 0, False, True),
        Guide(CONSTRAINT),  # type: ignore[arg-type]
        Guide(constraint=STOPS),  # type: ignore[arg-type]
        Guide(STOPS, 0.5),  # type: ignore[arg-type]
        Guide(min_length=0.5),  # type: ignore[arg-type]
        Guide(constraint=CONSTRAINT, constraint_state="1"),  # type: ignore[arg-type]
    ],
)
def test_a_guide_of_the_wrong_type_is_an_error(guide: Any) -> None:
    for loaded in map(engine_of, ENGINES):
        lanes = [lane_of(loaded), lane_of(loaded)._replace(guide=guide)]
        with pytest.raises(TypeError):
            loaded.generate(lanes, 5)
        assert [lane.sampler.position for lane in lanes] == [0, 0]


def test_the_last_state_is_valid() -> None:
    loaded = engine_of("native")
    assert loaded.generate([lane_of(loaded, Guide(STOPS, 3))], 1)[0].tokens


@pytest.mark.parametrize("engine", ENGINES)
def test_states_without_an_automaton_are_not_used(engine: str) -> None:
    loaded = engine_of(engine)
    (result,) = loaded.generate([lane_of(loaded, Guide(None, 5, None, -3))], 2)
    assert len(result.tokens) == 2


def test_a_state_is_converted_once() -> None:
    """Otherwise its value could change between the check and its use."""

    class Changing:
        def __init__(self) -> None:
            self.values = iter([0, 2**40])

        def __index__(self) -> int:
            return next(self.values)

    native = engine_of("native")
    guide: Any = Guide(STOPS, Changing(), CONSTRAINT, Changing())  # type: ignore[arg-type]
    assert native.generate([lane_of(native, guide)], 1)[0].tokens
