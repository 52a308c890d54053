"""Strict JSON, without NaN and infinity."""

import json
import math

import pytest
from textgen_runtime.json_text import below, from_json, to_json


def test_written_json_is_read_back_unchanged() -> None:
    value = {"a": [1, 2.5, None, True, "é\n"], "b": {"c": 1e-300}}
    for text in (to_json(value), to_json(value, indent=1), to_json(value, ascii_only=False, compact=True)):
        assert from_json(text) == json.loads(text) == value
    assert to_json([1, {"é": 2}], ascii_only=False, compact=True) == '[1,{"é":2}]'
    assert below("#/a", "b/~") == "#/a/b~1~0"


def test_what_json_has_not_is_not_written() -> None:
    circular: list[object] = []
    circular.append(circular)
    for value in (math.nan, math.inf, -math.inf, circular, b"a", {(1, 2): 3}, 10**5000):
        with pytest.raises(ValueError, match="JSON"):
            to_json({"a": [value]})


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "[1e999]", "-1e400", "{"])
def test_invalid_json_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|too large|Expecting"):
        from_json(text)
