"""Formatting of values, paths and errors for messages."""

import copy
import pickle

import pytest
from textgen_runtime import SamplingError, TextgenError
from textgen_runtime.cli.command import spell_option
from textgen_runtime.cli.interactive import spell_setting
from textgen_runtime.errors import (
    MAX_QUOTED_LENGTH,
    MAX_SHORTENED_LENGTH,
    Name,
    first_line,
    quote,
    shorten,
)
from textgen_runtime.server.requests import spell_field


@pytest.mark.parametrize("value", [7, -1.5, None, "line\n", "é", [1, "two"], {"a": True}])
def test_short_value_is_quoted_as_its_repr(value: object) -> None:
    assert quote(value) == repr(value)


@pytest.mark.parametrize(
    "value",
    ["x" * 10**7, "\x00" * 10**7, ["long" * 30] * 1000, {"k" * 10**6: "v"}, [[[["deep"] * 99]]]],
)
def test_long_value_is_shortened(value: object) -> None:
    assert len(quote(value)) <= MAX_QUOTED_LENGTH
    # Python does not print so many digits.
    assert "16,610" in quote(10**5000)


def test_what_is_shortened_keeps_its_start_and_end() -> None:
    assert quote("begin" + "x" * 1000 + "end").startswith("'begin")
    path = "/folder/" + "x" * 4000 + "/model.onnx"
    assert len(shorten(path)) == MAX_SHORTENED_LENGTH
    assert shorten(path).startswith("/folder/x")
    assert shorten(path).endswith("x/model.onnx")
    assert shorten(path[:MAX_SHORTENED_LENGTH]) == path[:MAX_SHORTENED_LENGTH]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError("\n no connection \nand reasons"), "no connection "),
        (OSError(""), "OSError"),
        (TimeoutError(" \n"), "TimeoutError"),
        (ValueError("x" * 1000), shorten("x" * 1000)),
    ],
)
def test_first_line_of_an_error_message(error: Exception, line: str) -> None:
    assert first_line(error) == line


@pytest.mark.parametrize(
    ("parts", "keyword", "option", "setting", "field"),
    [
        ([Name("top_p"), " is 2"], "top_p is 2", "--top-p is 2", "/top-p is 2", "top_p is 2"),
        ([Name("temperature")], "temperature", "--temp", "/temp", "temperature"),
        (
            ["use ", Name("unknown", "skip")],
            'use unknown="skip"',
            "use --unknown skip",
            "use --unknown skip",
            'use "unknown": "skip"',
        ),
        # Only names are spelled, and not what the user wrote.
        (["'top_p' in stop.txt"], *["'top_p' in stop.txt"] * 4),
    ],
)
def test_each_surface_spells_the_names_of_parameters(
    parts: list[str], keyword: str, option: str, setting: str, field: str
) -> None:
    error = TextgenError(*parts)
    assert str(error) == keyword
    spelled = [error.spelled(spell) for spell in (spell_option, spell_setting, spell_field)]
    assert spelled == [option, setting, field]


def test_an_error_carries_the_first_parameter_that_it_names_or_the_given_one() -> None:
    error = SamplingError("use ", Name("match"), " or ", Name("stop"))
    assert error.parameter == "match"
    assert TextgenError("wrong").parameter is None
    assert SamplingError("a deep schema", parameter="json_schema").parameter == "json_schema"
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), SamplingError("x: ", *error.args)):  # noqa: S301 (written by this test)
        assert other.spelled(spell_option).removeprefix("x: ") == "use --match or --stop"
        assert other.parameter == "match"
