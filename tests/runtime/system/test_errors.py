"""Values and paths in messages."""

import pytest
from textgen_runtime.errors import QUOTED_LENGTH, SHORTENED_LENGTH, first_line, quote, shorten


@pytest.mark.parametrize("value", [7, -1.5, None, "line\n", "é", [1, "two"], {"a": True}])
def test_a_short_value_is_shown_whole(value: object) -> None:
    assert quote(value) == repr(value)


@pytest.mark.parametrize(
    "value", ["x" * 10**7, "\x00" * 10**7, ["long" * 30] * 1000, {"k" * 10**6: "v"}, [[[["deep"] * 99]]]]
)
def test_a_long_value_is_cut(value: object) -> None:
    assert len(quote(value)) <= QUOTED_LENGTH


def test_a_cut_value_shows_both_ends() -> None:
    assert quote("begin" + "x" * 1000 + "end").startswith("'begin")
    assert quote("begin" + "x" * 1000 + "end").endswith("end'")


def test_a_number_of_more_digits_than_python_writes_out() -> None:
    assert quote(10**5000) == "an integer of 16,610 bits"


def test_a_long_path_shows_both_ends() -> None:
    path = "/folder/" + "x" * 4000 + "/model.onnx"
    assert len(shorten(path)) == SHORTENED_LENGTH
    assert shorten(path).startswith("/folder/x")
    assert shorten(path).endswith("x/model.onnx")
    assert shorten(path[:SHORTENED_LENGTH]) == path[:SHORTENED_LENGTH]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError("\n no connection \nand reasons"), "no connection "),
        (OSError(""), "OSError"),
        (TimeoutError(" \n"), "TimeoutError"),
        (ValueError("x" * 1000), shorten("x" * 1000)),
    ],
)
def test_the_first_line_of_another_librarys_message(error: Exception, line: str) -> None:
    assert first_line(error) == line
