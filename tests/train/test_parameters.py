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
        (("part",), [], "'part' has an invalid value"),
        (("part", "new"), 1, "'part.new' is unknown"),
        (("part", "count"), 1.5, "'part.count' has an invalid value"),
        (("part", "count"), -1, "'part.count' has an invalid value"),
        (("part", "count"), True, "'part.count' has an invalid value"),
        (("part", "count"), 2**63, "'part.count' has an invalid value"),
        (("part", "share"), "1", "'part.share' has an invalid value"),
        (("part", "share"), None, "'part.share' has an invalid value"),
        (("parts",), {}, "'parts' has an invalid value"),
        (("parts", 0), {}, "'parts.0.count' is missing"),
        (("names",), [], "'names' has an invalid value"),
        (("names", "x"), 2, "'names.x' has an invalid value"),
        (("kind",), "c", "'kind' has an invalid value"),
        (("last",), {"share": 0.1}, "'last.count' is missing"),
    ],
)
def test_a_field_that_differs_is_named(keys: tuple[Any, ...], value: object, reason: str) -> None:
    plain = place = to_plain(WHOLE)
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        from_plain(Whole, plain)


def test_a_value_that_is_no_dict_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^it has an invalid value$"):
        from_plain(Whole, None)
