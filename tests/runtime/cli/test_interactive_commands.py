"""Lines of the interactive mode: text or command, and the nearest name of an unknown command."""

import pytest
from textgen_runtime.cli._interactive_commands import (
    COMMANDS,
    CommandLine,
    LineError,
    no_argument,
    parse_line,
    unknown_command,
)

NAMES = [command.name for command in COMMANDS] + ["temp", "top-p", "top-k", "seed", "length"]


@pytest.mark.parametrize("line", ["abc", " ", " /save", "a/b", "the will to ", "\t"])
def test_a_line_without_a_slash_at_its_beginning_is_text_as_typed(line: str) -> None:
    assert parse_line(line) == line


def test_an_empty_line_continues() -> None:
    assert parse_line("") == CommandLine("more", "")


@pytest.mark.parametrize(("line", "text"), [("//", "/"), ("//temp 1", "/temp 1"), ("///", "//")])
def test_two_slashes_begin_a_text_with_one(line: str, text: str) -> None:
    assert parse_line(line) == text


@pytest.mark.parametrize(
    ("line", "name", "argument"),
    [
        ("/temp 0.8", "temp", "0.8"),
        ("/undo", "undo", ""),
        ("/", "", ""),
        ("/append  two spaces ", "append", " two spaces "),
        ("/save my file.gen", "save", "my file.gen"),
    ],
)
def test_a_command_has_its_argument_as_typed(line: str, name: str, argument: str) -> None:
    assert parse_line(line) == CommandLine(name, argument)


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("tmep", "temp"),
        ("temperature", "temp"),
        ("top_p", "top-p"),
        ("exit", "quit"),
        ("hlep", "help"),
        ("l", "load"),
        ("retyr", "retry"),
        ("xyzzy", None),
        ("", None),
    ],
)
def test_the_nearest_name_is_suggested(typed: str, nearest: str | None) -> None:
    message = str(unknown_command(typed, NAMES))
    assert message.startswith(f"unknown command '/{typed}': ")
    assert (f"did you mean /{nearest}?" if nearest else "/help lists the commands") in message
    assert "\n" not in message


def test_a_long_unknown_command_has_a_short_message() -> None:
    assert len(str(unknown_command("x" * 100_000, NAMES))) < 250


def test_a_command_without_argument_refuses_one() -> None:
    no_argument(CommandLine("undo", " "))
    with pytest.raises(LineError, match=r"^/undo takes no argument"):
        no_argument(CommandLine("undo", "2"))
