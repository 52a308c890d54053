"""Lines of the interactive mode: text, commands, and the settings, with their checks."""

import re
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.cli._interactive_lines import (
    COMMANDS,
    CommandLine,
    LineError,
    no_argument,
    parse_line,
    unknown_command,
)
from textgen_runtime.cli._interactive_session import Session
from textgen_runtime.cli._interactive_settings import find_settings, join_words, split_words
from textgen_runtime.errors import SamplingError, TextFileError
from textgen_runtime.sampling import Sampling

from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY

SETTINGS = find_settings()
NAMES = [*(command.name for command in COMMANDS), *SETTINGS]


@pytest.fixture
def session() -> Session:
    """A session without text."""
    return Session(textgen.load(TINY), Sampling(), 7)


def change(session: Session, name: str, text: str) -> object:
    """Set a setting, and return its new value."""
    SETTINGS[name].set(session, text)
    return SETTINGS[name].value(session)


def lines(session: Session) -> list[str]:
    """Return the command of every setting."""
    return [setting.line(session) for setting in SETTINGS.values()]


def test_no_setting_has_the_name_of_a_command() -> None:
    assert not {command.name for command in COMMANDS} & set(SETTINGS)


def test_a_json_schema_is_read_from_its_file(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text('{"enum": [2]}', encoding="utf-8")
    session.model = textgen.load(make_model("2").SerializeToString())
    for typed in (str(path), f" {path} ", f"'{path}'"):
        assert change(session, "json-schema", typed) == '{"enum": [2]}'
        assert change(session, "json-schema", "off") is None
    with pytest.raises(TextFileError, match="cannot read"):
        change(session, "json-schema", str(tmp_path / "missing.json"))


def test_a_path_of_a_json_schema_can_begin_with_the_home_folder(session: Session, home: Path) -> None:
    (home / "schema.json").write_text('{"enum": [2]}', encoding="utf-8")
    session.model = textgen.load(make_model("2").SerializeToString())
    assert change(session, "json-schema", "~/schema.json") == '{"enum": [2]}'


@pytest.mark.parametrize("name", ["json-schema", "novel"])
@pytest.mark.parametrize("typed", ["-", " - ", "'-'"])
def test_no_file_is_read_from_standard_input(session: Session, name: str, typed: str) -> None:
    with pytest.raises(LineError, match=f"^/{name} needs a file: standard input has the lines of the sess"):
        SETTINGS[name].set(session, typed)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("stop", "off ", ()),
        ("top-p", " off", 1.0),
        ("temp", " 0.7 ", 0.7),
        ("unknown", "skip ", "skip"),
        ("lowercase", " on ", True),
    ],
)
def test_blanks_around_a_value_have_no_meaning(session: Session, name: str, text: str, value: object) -> None:
    assert change(session, name, text) == value


def test_until_newline_keeps_the_other_stop_texts(session: Session) -> None:
    change(session, "stop", "ab")
    change(session, "until-newline", "on")
    assert session.sampling == Sampling(stop=["ab", "\n"])
    assert change(session, "until-newline", "off") is False
    assert session.sampling == Sampling(stop="ab")
    change(session, "stop", r"ab \n")
    assert SETTINGS["until-newline"].value(session) is True


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("length", "12", 12),
        ("seed", "5", 5),
        ("count", "3", 3),
        ("unknown", "skip", "skip"),
        ("lowercase", "on", True),
    ],
)
def test_the_other_options_are_set(session: Session, name: str, text: str, value: object) -> None:
    assert change(session, name, text) == value
    assert SETTINGS[name].line(session) == f"/{name} {text}"
    assert SETTINGS[name].is_shown(session)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("temp", "x", "/temp must be a finite number, 0 or more, not 'x'"),
        ("temp", "0.5 1", "/temp must be a finite number, 0 or more, not '0.5 1'"),
        ("stop", "'a", "a quote is not closed: 'a"),
        ("stop", " ", "a value is missing"),
        ("stop", "xyz", "the stop text 'xyz' has characters outside the vocabulary: it has no effect"),
        ("top-p", "0", "/top-p must be a number more than 0, at most 1, not 0"),
        ("logit-bias", "a", "/logit-bias must be a character, = and a number from -100 to 100, not 'a'"),
        ("length", "0", "/length must be 1 or more, not 0"),
        ("unknown", "ignore", "/unknown must be error or skip, not 'ignore'"),
        ("lowercase", "yes", "/lowercase must be on or off, not 'yes'"),
        ("keep-stop", "", "/keep-stop must be on or off, not ''"),
    ],
)
def test_a_bad_value_changes_nothing(session: Session, name: str, text: str, message: str) -> None:
    before = lines(session)
    with pytest.raises(LineError, match=f"^{re.escape(message)}$"):
        SETTINGS[name].set(session, text)
    assert lines(session) == before


def test_values_that_contradict_each_other_change_nothing(session: Session) -> None:
    change(session, "mirostat-tau", "2")
    before = lines(session)
    with pytest.raises(SamplingError, match="mirostat"):
        change(session, "top-k", "2")
    assert lines(session) == before


@pytest.mark.parametrize("words", [["a", "#b", "b c", r"\n", "'", '" "', ""], [" "], ["="]], ids=repr)
def test_words_are_joined_and_split_again(words: list[str]) -> None:
    assert split_words(join_words(words)) == words


def test_descriptions_come_from_the_help_texts() -> None:
    assert SETTINGS["length"].description == ("length", "N", "maximum number of tokens to generate")
    assert SETTINGS["unknown"].description.usage == "/unknown error|skip"
    assert SETTINGS["lowercase"].description.usage == "/lowercase on|off"
    assert SETTINGS["stop"].description.usage == "/stop TEXT ..."
    assert SETTINGS["temp"].description == ("temp", "T", "sampling temperature")
    # A session has one temperature, and takes several values on one line.
    assert SETTINGS["temp"].help.startswith("/temp T: sampling temperature; 0 always selects the most likely")
    assert "may be repeated" not in SETTINGS["stop"].help


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
        ("temperature", "temp"),
        ("top_p", "top-p"),
        ("exit", "quit"),
        ("l", "load"),
        ("xyzzy", None),
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
