"""``textgen-run --interactive`` with lines from a pipe: texts, errors and exit codes."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.cli._interactive_lines import COMMANDS
from textgen_runtime.cli.run import main
from textgen_runtime.text import RecordKind

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import FORMAT_2, TINY
from tests.helpers.programs import posix_only
from tests.helpers.record_models import record_content

MODEL = textgen.load(TINY)

# The command in a process that an interrupt ends, even if the tests ignore interrupts.
PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from textgen_runtime.cli.run import main; raise SystemExit(main())"
)


@pytest.fixture
def session(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> "Session":
    """Sessions on the tiny model."""
    return Session(capsys, monkeypatch)


class Session:
    """Runs sessions, and returns their exit code, standard output and standard error."""

    def __init__(self, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, lines: str | bytes, *options: str, model: Path = TINY) -> tuple[int, str, str]:
        content = lines if isinstance(lines, bytes) else lines.encode()
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        arguments = (str(model), "--interactive", "--seed", "1", "--length", "9", "--temp", "1", *options)
        return run_here(main, self._capsys, *arguments)


def texts(*lines: str) -> list[str]:
    """Return the continuations of lines at temperature 1, each of 9 characters, with seed 1."""
    generation = MODEL.start(lines[0], temperature=1.0, seed=1)
    found = [generation.take(9)]
    for line in lines[1:]:
        if line:
            generation.feed(line if found[-1].endswith("\n") else f"\n{line}")
        found.append(generation.take(9))
    return found


def test_each_line_is_continued(session: Session) -> None:
    first, second, third = texts("abc", "dad", "")
    assert session("abc\ndad\n\n") == (0, f"abc{first}\ndad{second}\n{third}\n", "")


@pytest.mark.parametrize("lines", ["abc\r\ndad", "\ufeffabc\ndad\n"])
def test_line_ends_and_a_byte_order_mark_are_not_text(session: Session, lines: str) -> None:
    first, second = texts("abc", "dad")
    assert session(lines) == (0, f"abc{first}\ndad{second}\n", "")


@pytest.mark.parametrize(("kind", "between"), [("lines", "\n"), ("blank", "\n\n")])
def test_records_stand_as_in_a_corpus(
    session: Session, tmp_path: Path, kind: RecordKind, between: str
) -> None:
    """A record that continues after its length ended a continuation is not separated."""
    path = tmp_path / "records.onnx"
    path.write_bytes(record_content(kind=kind, end_bias=99.0))
    code, out, err = session("a\nb\n", model=path)
    assert (code, out, err) == (0, f"a{between}b\n", "")
    path.write_bytes(record_content(kind=kind, end_bias=-99.0))
    code, out, err = session("a\n/append b\n", "--allowed", "c", model=path)
    assert (code, out, err) == (0, f"a{'c' * 9}\nb{'c' * 9}\n", "")


def test_without_echo_only_the_continuations_are_written(session: Session) -> None:
    assert session("abc\n", "--no-echo") == (0, f"{texts('abc')[0]}\n", "")


def test_each_line_gets_several_continuations_with_headings(session: Session) -> None:
    """A retry adds as many, and the text goes on from the one that was picked."""
    generation = MODEL.start("abc", temperature=1.0, seed=1)
    written, ends = "", []
    for number in (1, 2, 3, 4):
        other = generation.copy()
        other.reseed(1, 0, 9 * (number - 1))
        written += f"------ text {number} of {2 if number < 3 else 4}\nabc{other.take(9)}\n"
        ends.append(other)
    ends[1].reseed(1, 0, 36)
    lines = "abc\n/retry\n/pick 2\n/count 1\n\n"
    assert session(lines, "--count", "2") == (0, f"{written}{ends[1].take(9)}\n", "")


def test_the_prompt_is_continued_before_the_first_line(session: Session) -> None:
    first, second = texts("abc", "dad")
    assert session("dad\n", "--prompt", "abc") == (0, f"abc{first}\ndad{second}\n", "")


@pytest.mark.parametrize("lines", ["", "\ufeff/quit\nabc\n"])
def test_a_session_ends_with_its_input_or_before(session: Session, lines: str) -> None:
    assert session(lines) == (0, "", "")


def test_commands_change_the_settings(session: Session) -> None:
    text = MODEL.generate("/abc".strip("/"), length=5, temperature=0, seed=1)
    assert session("/temp 0\n/length 5\nabc\n") == (0, f"abc{text}\n", "")


def test_append_more_undo_and_retry(session: Session) -> None:
    code, out, err = session("abc\n/append dad\n/more 3\n/undo\n/retry\n")
    generation = MODEL.start("abc", temperature=1.0, seed=1)
    first = generation.take(9)
    before = generation.copy()
    generation.feed("dad")
    second = generation.take(9)
    third = generation.take(3)
    before.reseed(before.seed, 0, generation.drawn)
    before.feed("dad")
    assert (code, err) == (0, "")
    assert out == f"abc{first}\ndad{second}\n{third}\ndad{before.take(9)}\n"


def test_a_text_is_saved_and_loaded(session: Session, tmp_path: Path) -> None:
    first, second = texts("abc", "")
    path = tmp_path / "my text.gen"
    assert session(f"abc\n/save {path}\n") == (0, f"abc{first}\n", "")
    assert session(f"/load {path}\n/more\n", "--seed", "2") == (0, f"{second}\n", "")
    # A saved generation may be replaced, another file may not.
    assert session(f"abc\n/save {path}\n")[0] == 0
    path.write_text("notes", encoding="utf-8")
    code, _, err = session(f"abc\n/save {path}\n")
    assert code == 1
    assert "exists and is not a saved generation of textgen-run" in err
    assert path.read_text(encoding="utf-8") == "notes"


def test_a_path_can_begin_with_the_home_folder(session: Session, home: Path) -> None:
    assert session("abc\n/save ~/x.gen\n")[0] == 0
    assert (home / "x.gen").exists()


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_path_may_be_in_quotes(session: Session, tmp_path: Path, quote: str) -> None:
    assert (
        session(f"abc\n/save {quote}{tmp_path}/a b.gen{quote}\n/load {quote}{tmp_path}/a b.gen{quote}\n")[0]
        == 0
    )
    assert session(f"abc\n/save {tmp_path}/it's\n/load {tmp_path}/it's\n")[0] == 0
    assert sorted(os.listdir(tmp_path)) == ["a b.gen", "it's"]


def test_stop_texts_that_have_no_effect_are_reported_and_not_loaded(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "saved.gen"
    with pytest.warns(UserWarning, match="the stop text 'z'"):
        generation = MODEL.start("abc", temperature=1.0, seed=1, stop=["z", "dad", "é"])
    textgen.save(generation, path)
    code, _, err = session(f"/load {path}\n/top-k 3\n/stop\n")
    assert code == 0
    assert err == (
        "textgen-run: warning: line 1: the stop text 'z' has characters outside the vocabulary: it has no "
        "effect\n"
        "/stop dad é\n"
    )


def test_stop_texts_that_a_model_of_words_may_miss_are_reported(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "saved.gen"
    words = FORMAT_2 / "word.onnx"
    textgen.save(textgen.load(words).start("cab", seed=1, stop="cab"), path)
    lines = f"/stop cab\n/stop '\\n'\n/stop\n/load {path}\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    code, _, err = run_here(main, capsys, str(words), "--interactive", "--seed", "1")
    assert code == 0
    warned = re.findall(r"warning: line (\d): the stop text 'cab' may be missed", err)
    assert warned == ["1", "4"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/tmep 1", "unknown command '/tmep': did you mean /temp?"),
        ("/", "unknown command '/': /help lists the commands"),
        ("/more 0", "/more must be 1 or more, not 0"),
        ("/pick", "/pick needs a number, such as /pick 1"),
        ("/append", "/append needs the text to add"),
        ("/save", "/save needs the path of a file"),
        ("/save ''", "/save needs the path of a file"),
        ("/load ", "/load needs the path of a file"),
        ("/load missing.gen", "cannot read missing.gen: No such file or directory"),
        ("/load ~no-such-user/x.gen", "cannot read ~no-such-user/x.gen: No such file or directory"),
        ("/help nothing", "unknown command '/nothing'"),
        ("/resample 5", "/resample needs a constraint: /match, /choices or /json-schema"),
        ("xyz", "not in the model's vocabulary: 'x' (U+0078), 'y' (U+0079), 'z' (U+007A); change the line"),
        ("a\x00b", "the line is not a text: byte 1 is zero"),
        (b"a\xffb", "the line is not UTF-8: byte 1 is 0xff"),
        ("//", "not in the model's vocabulary: '/' (U+002F)"),
        ("\x1b[31m", "not in the model's vocabulary: '\\x1b' (U+001B)"),
    ],
)
def test_a_wrong_line_is_one_message_and_the_session_goes_on(
    session: Session, line: str | bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = line if isinstance(line, bytes) else line.encode()
    code, out, err = session(content + b"\nabc\n")
    assert (code, out) == (1, f"abc{texts('abc')[0]}\n")
    assert err.startswith(f"textgen-run: error: line 1: {message}")
    assert err.count("\n") == 1


def test_messages_have_the_number_of_their_line(session: Session) -> None:
    _, _, err = session("abc\n/temp 1\n\n/oops\nabc\n/oops\n")
    assert re.findall(r"error: line (\d+): unknown", err) == ["4", "6"]


def test_skipped_characters_are_listed(session: Session) -> None:
    code, out, err = session("/unknown skip\naXbc\n")
    assert (code, out) == (0, f"abc{texts('abc')[0]}\n")
    assert err == "textgen-run: warning: line 2: skipped, not in the vocabulary: 'x' (U+0078)\n"


def test_answers_are_not_mixed_with_the_text(session: Session) -> None:
    code, out, err = session("/show\nabc\n/show\n/temp\n/help temp\n/help\n/help show\n")
    first = texts("abc")[0]
    assert (code, out) == (0, f"abc{first}\n")
    assert "/temp 1.0\n/length 9\n/seed 1\n" in err
    assert "there is no text; the next line begins one\n" in err
    assert f"the text ends: abc{first}\n".replace("\n", "\\n")[:-2] in err
    assert "/temp T: sampling temperature; 0 always selects the most likely token" in err
    assert "/typical-p P   /top-p P" in err
    assert re.search(r"^/more \[N\] +continue the text", err, re.MULTILINE)


def test_after_a_load_the_end_of_the_text_is_shown(session: Session, tmp_path: Path) -> None:
    session(f"abc\n/save {tmp_path}/x\n")
    _, _, err = session(f"/load {tmp_path}/x\n/show\n")
    assert f"the text ends: abc{texts('abc')[0]}\n" in err


def test_the_beginning_of_a_text_that_a_program_saved_is_shown(session: Session, tmp_path: Path) -> None:
    """The file does not have its end."""
    textgen.save(MODEL.start("abc", seed=1), tmp_path / "x")
    _, _, err = session(f"/load {tmp_path}/x\n/show\n")
    assert "the text began with: abc\n" in err


def test_an_unusual_temperature_is_questioned(session: Session) -> None:
    _, _, err = session("/temp 5\n/temp 70\n/top-k 3\n")
    assert err == (
        "textgen-run: warning: line 2: temperature 70 makes the text almost random: values from 0.2 to 1.2 "
        "are usual\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--unique",), "--unique has no effect with --interactive: omit it"),
        (("--stats",), "--stats has no effect with --interactive: omit it"),
        (("--temp", "1", "2"), "--interactive uses one value of each sampling option"),
    ],
)
def test_options_without_effect_are_wrong_usage(
    session: Session, options: tuple[str, ...], message: str
) -> None:
    code, out, err = session("abc\n", *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"textgen-run: error: {message}")


def test_a_prompt_outside_the_vocabulary_ends_the_command(session: Session) -> None:
    code, _, err = session("abc\n", "--prompt", "xyz")
    assert code == 1
    assert err.startswith("textgen-run: error: not in the model's vocabulary: 'x'")


@posix_only
@pytest.mark.parametrize("redirection", ["<&-", "0>/dev/null"])
def test_input_that_cannot_be_read_is_an_error(redirection: str) -> None:
    command = f"exec {sys.executable} -c '{PROGRAM}' {TINY} --interactive {redirection}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False, encoding="utf-8")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch("textgen-run: error: cannot read standard input: .*\n", done.stderr)


def test_each_text_can_be_read_before_the_next_line_is_written() -> None:
    command = [sys.executable, "-c", PROGRAM, str(TINY), "--interactive", "--length", "3", "--temp", "0"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin
        assert process.stdout
        for _ in range(2):
            process.stdin.write(b"a\n")
            process.stdin.flush()
            assert process.stdout.read(4).startswith(b"a")
            process.stdout.readline()
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_every_listed_command_exists(session: Session) -> None:
    lines = "".join(f"/{command.name}\n" for command in COMMANDS if command.name != "quit")
    assert "unknown command" not in session(lines)[2]
