"""Dataclasses from plain values, such as those of a checkpoint: each difference is named."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from textgen_train.parameters import from_plain, to_plain


@dataclass
class Part:
    count: int
    share: float = 0.5


@dataclass
class Whole:
    part: Part
    parts: list[Part]
    names: dict[str, str | None]
    kind: Literal["a", "b"] | None = None
    last: Part | None = None
    anything: Any = None


WHOLE = Whole(Part(1, 2), [Part(3)], {"x": "y", "z": None}, "b", Part(0), {"any": [1]})


def test_a_value_is_read_as_it_was_written() -> None:
    assert from_plain(Whole, to_plain(WHOLE)) == WHOLE


@pytest.mark.parametrize(
    ("keys", "value", "reason"),
    [
        (("part",), [], "'list' object has no attribute 'items'"),
        (("part", "new"), 1, "unexpected keyword argument 'new'"),
        (("parts", 0), {}, "missing 1 required positional argument: 'count'"),
        (("last",), {"share": 0.1}, "missing 1 required positional argument: 'count'"),
    ],
)
def test_a_field_that_differs_is_named(keys: tuple[Any, ...], value: object, reason: str) -> None:
    plain = place = to_plain(WHOLE)
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(ValueError, match=re.escape(reason)):
        from_plain(Whole, plain)


def test_a_value_that_is_no_dict_is_an_error() -> None:
    with pytest.raises(ValueError, match="'NoneType' object has no attribute 'items'"):
        from_plain(Whole, None)
