"""Strict JSON, without NaN and infinity."""

import ast
import json
import math
from pathlib import Path

import pytest
import textgen_runtime
import textgen_train
from textgen_runtime.system.json_text import from_json, to_json

PACKAGES = [Path(str(package.__file__)).parent for package in (textgen_runtime, textgen_train)]


def test_written_json_is_read_back_unchanged() -> None:
    value = {"a": [1, 2.5, None, True, "é\n"], "b": {"c": 1e-300}}
    for text in (to_json(value), to_json(value, indent=1), to_json(value, ascii_only=False, compact=True)):
        assert from_json(text) == json.loads(text) == value
    assert to_json([1, {"é": 2}], ascii_only=False, compact=True) == '[1,{"é":2}]'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_not_written(number: float) -> None:
    with pytest.raises(ValueError, match="no NaN and no infinity"):
        to_json({"training": [number]})


def test_circular_value_is_not_written() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueError, match=r"at #/1/0: the value contains itself; use a value that does not$"):
        to_json([[], value])


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "[1e999]", "-1e400", "{"])
def test_invalid_json_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|too large|Expecting"):
        from_json(text)


def test_packages_use_the_json_module_only_in_json_text() -> None:
    users = [
        path.name
        for package in PACKAGES
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "json"
        and node.attr in {"dump", "dumps", "load", "loads"}
    ]
    assert users == ["json_text.py", "json_text.py"]
