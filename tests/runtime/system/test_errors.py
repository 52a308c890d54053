"""Formatting of values, paths and errors for messages."""

import pytest
from textgen_runtime.errors import MAX_QUOTED_LENGTH, MAX_SHORTENED_LENGTH, first_line, quote, shorten


@pytest.mark.parametrize("value", [7, -1.5, None, "line\n", "é", [1, "two"], {"a": True}])
def test_short_value_is_quoted_as_its_repr(value: object) -> None:
    assert quote(value) == repr(value)


@pytest.mark.parametrize(
    "value", ["x" * 10**7, "\x00" * 10**7, ["long" * 30] * 1000, {"k" * 10**6: "v"}, [[[["deep"] * 99]]]]
)
def test_long_value_is_shortened(value: object) -> None:
    assert len(quote(value)) <= MAX_QUOTED_LENGTH


def test_shortened_value_keeps_its_start_and_end() -> None:
    assert quote("begin" + "x" * 1000 + "end").startswith("'begin")
    assert quote("begin" + "x" * 1000 + "end").endswith("end'")


def test_integer_with_too_many_digits_is_described_by_its_size() -> None:
    assert quote(10**5000) == "an integer of 16,610 bits"


def test_shortened_path_keeps_its_start_and_end() -> None:
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
