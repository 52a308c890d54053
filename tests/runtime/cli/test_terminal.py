"""``textgen-run --interactive`` on a terminal, driven as a person would, and its history."""

import io
import os
import re
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
import textgen_runtime as textgen
from textgen_runtime.cli.terminal import (
    MAX_LINES,
    append_history,
    history_path,
    load_history,
    matching_paths,
)

from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY
from tests.helpers.programs import posix_only
from tests.helpers.screen import Screen

pytestmark = posix_only

COMMAND = Path(sys.executable).parent / "textgen-run"
MODEL = textgen.load(TINY)
COLUMNS = 40
ENDLESS = "1000000000"


def default_interrupt() -> None:
    # If a shell runs the tests in the background, interrupts are ignored, and child processes inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Person:
    """Types lines, and sees a screen."""

    def __init__(self, folder: Path, *options: str, model: Path = TINY, **environment: str) -> None:
        base = {
            key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")
        }
        own = {"TERM": "xterm", "XDG_STATE_HOME": str(folder), "INPUTRC": "/dev/null", "LC_ALL": "C.UTF-8"}
        self.child = pexpect.spawn(
            str(COMMAND),
            [str(model), "--interactive", "--seed", "1", "--length", "30", "--temp", "1", *options],
            env=base | own | environment,
            cwd=str(folder),
            dimensions=(24, COLUMNS),
            encoding="utf-8",
            # Ctrl-C discards the terminal's unread output, possibly within a character.
            codec_errors="replace",
            timeout=60,
            preexec_fn=default_interrupt,
        )
        self.child.delaybeforesend = None
        self.seen = self.child.logfile_read = io.StringIO()

    def wait(self) -> None:
        """Wait for the prompt mark."""
        self.child.expect_exact("> ")

    def type(self, *lines: str) -> None:
        """Type lines, each after a prompt mark, and wait for the next mark."""
        for line in lines:
            self.child.send(f"{line}\r")
            self.wait()

    def repeat(self, send: Callable[[], object], shown: str) -> None:
        """Send a signal until the program shows a text.

        Python does not notice a signal directly before the system call that waits for a key. A person presses
        again.
        """
        for _ in range(4):
            send()
            if not self.child.expect_exact([shown, pexpect.TIMEOUT], timeout=20):
                return
        pytest.fail("the signal has no effect")

    def leave(self) -> int:
        """Press Ctrl-D at the prompt mark, and return the exit code."""
        self.child.sendeof()
        self.child.expect(pexpect.EOF)
        self.child.close()
        assert self.child.exitstatus is not None
        return self.child.exitstatus

    def end(self) -> None:
        """Kill the program, and wait until it has ended. pexpect waits for only 0.1 s."""
        self.child.kill(signal.SIGKILL)
        self.child.wait()
        self.child.close()

    def screen(self) -> list[str]:
        """The rows that are visible from the first prompt mark on."""
        screen = Screen(COLUMNS)
        screen.write(self.seen.getvalue())
        rows = screen.text()
        return rows[next(i for i, row in enumerate(rows) if row.startswith(">")) :]


Start = Callable[..., Person]


@pytest.fixture
def sit_down(tmp_path: Path) -> Iterator[Start]:
    """Start sessions, and wait for the prompt mark."""
    persons = []

    def start(*options: str, model: Path = TINY, **environment: str) -> Person:
        person = Person(tmp_path, *options, model=model, **environment)
        persons.append(person)
        person.wait()
        return person

    yield start
    for person in persons:
        person.end()


def wrapped(text: str) -> list[str]:
    """Return the rows of a text, which is broken between words. The last column stays empty."""
    rows = []
    for line in text.removesuffix("\n").split("\n"):
        row = ""
        for part in re.findall(" |[^ ]+", line):
            if len(row + part) >= COLUMNS and row:
                rows.append(row)
                row = ""
            row += part.lstrip() if not row and rows else part
        rows.append(row)
    return [row.rstrip() for row in rows]


def continuations(*lines: str) -> list[str]:
    """Return the continuations of lines at temperature 1 and with seed 1, each of 30 characters."""
    generation = MODEL.start(lines[0], temperature=1.0, seed=1)
    found = [generation.take(30)]
    for line in lines[1:]:
        if line:
            generation.feed(line if found[-1].endswith("\n") else f"\n{line}")
        found.append(generation.take(30))
    return found


@pytest.mark.parametrize("style", ["bold", "NO_COLOR", "dumb", "no echo", "no readline"])
def test_each_line_is_continued_below_it(sit_down: Start, tmp_path: Path, style: str) -> None:
    (tmp_path / "readline.py").write_text("raise ImportError\n", encoding="utf-8")
    long = "abcde " * 5
    environment = {"NO_COLOR": {"NO_COLOR": "1"}, "dumb": {"TERM": "dumb"}}
    environment["no readline"] = {"PYTHONPATH": str(tmp_path)}
    options = ("--no-echo",) if style == "no echo" else ()
    person = sit_down(*options, **environment.get(style, {}))
    person.type(long, "", "dad", "/pick 1", "xyz")
    rows = []
    for line, continuation in zip((long, "", "dad"), continuations(long, "", "dad"), strict=True):
        rows += [f"> {line}".rstrip(), *wrapped(("" if options else line) + continuation)]
    assert person.screen()[: len(rows)] == rows
    assert ("\x1b[1mdad\x1b[22m" in person.seen.getvalue()) == (style in ("bold", "no readline"))
    assert ("\x1b[2mthe text ends: " in person.seen.getvalue()) == (style not in ("NO_COLOR", "dumb"))
    assert person.leave() == 0


def test_an_interrupt_stops_the_text_and_keeps_it(sit_down: Start, tmp_path: Path) -> None:
    (tmp_path / "known.txt").write_text("abc")
    person = sit_down("--length", ENDLESS, "--count", "2")
    person.child.send("abc\r")
    person.child.expect("abc[^>]{100}")
    person.child.sendintr()
    person.child.expect_exact("stopped")
    person.wait()
    # At the prompt mark, it clears the line. It also stops a text that is not known to be new.
    person.child.send("bad")
    person.child.expect_exact("bad")
    person.repeat(person.child.sendintr, "> ")
    person.type("/count 1", "/novel known.txt")
    person.child.send("h dad\r")
    person.child.expect_exact("\x1b[1mh")
    person.child.sendintr()
    person.child.expect_exact("stopped")
    person.wait()
    person.type("/show", "/undo", "/undo")
    assert re.search(r"the text ends: .+h dad\r\n", person.seen.getvalue())
    assert "there is no text" in (person.child.before or "")
    assert person.leave() == 0


def test_a_session_that_was_suspended_shows_the_line_again(sit_down: Start) -> None:
    person = sit_down()
    person.child.send("da")
    person.child.expect_exact("da")

    def suspend_and_resume() -> None:
        os.kill(person.child.pid or 0, signal.SIGSTOP)
        os.kill(person.child.pid or 0, signal.SIGCONT)

    person.repeat(suspend_and_resume, "> da")
    person.type("d")
    assert person.screen()[-3:-1] == wrapped(f"dad{continuations('dad')[0]}")[-2:]


def test_the_arrow_key_returns_lines_of_this_session_and_of_earlier_ones(
    sit_down: Start, tmp_path: Path
) -> None:
    person = sit_down()
    person.type("abcX", "/unknown skip", "\x1b[A\x1b[A")
    assert "skipped, not in the vocabulary" in person.seen.getvalue()
    assert person.leave() == 0
    history = tmp_path / "textgen-onnx" / "interactive-history"
    assert history.read_text(encoding="utf-8") == "abcX\n/unknown skip\nabcX\n"
    other = sit_down()
    other.type("\x1b[A\x1b[A")
    assert other.seen.getvalue().endswith("/unknown skip\r\n> ")


def test_the_tab_key_completes_commands_and_paths(sit_down: Start, tmp_path: Path) -> None:
    person = sit_down()
    person.type("abc")
    person.child.send("/sa\t")
    person.child.expect_exact("/save ")
    person.child.send("other.gen\r")
    person.child.expect_exact("saved in other.gen")
    assert (tmp_path / "other.gen").exists()
    person.wait()
    person.child.send("/load oth\t\r")
    person.child.expect_exact("loaded other.gen")


def test_a_pasted_text_of_several_lines_is_one_line(sit_down: Start) -> None:
    person = sit_down()
    person.type("\x1b[200~abc\ndad\x1b[201~")
    rows = wrapped("abc\ndad" + continuations("abc\ndad")[0])
    assert person.screen()[-len(rows) - 1 : -1] == rows


def test_control_characters_are_escaped(sit_down: Start, tmp_path: Path) -> None:
    path = tmp_path / "controls.onnx"
    path.write_bytes(make_model("\x1b\x07\nab").SerializeToString())
    person = sit_down("--prompt", "a\x1bb", "--temp", "3", model=path)
    person.type("/show", "")
    shown = person.seen.getvalue()
    assert "a\\x1bb" in shown
    assert shown.count("\\x1b") > 3
    assert "\x07" not in shown
    assert set(re.findall(r"\x1b(?!\[)", shown)) == set()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_history_is_small_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "history"
    old = os.umask(0)
    try:
        append_history(path, "é /x")
    finally:
        os.umask(old)
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    path.chmod(0o644)
    for line in ("two\nlines", "a\udcffb", *["x"] * MAX_LINES):
        append_history(path, line)
    assert load_history(path) == ["x"] * MAX_LINES
    assert (path.read_text(encoding="utf-8").count("\n"), mode(path)) == (MAX_LINES, 0o600)
    append_history(path, "a\udcffb")
    assert load_history(path)[-1] == "a?b"


@pytest.mark.parametrize("kind", ["folder", "device", "below a file", "pipe", "none"])
def test_a_history_that_cannot_be_kept_is_no_error(tmp_path: Path, kind: str) -> None:
    path: Path | None = tmp_path / "history"
    assert path
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/null")
    elif kind == "below a file":
        path.write_text("", encoding="utf-8")
        path /= "file"
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path = None
    append_history(path, "abc")
    assert load_history(path) == []


def test_the_history_is_in_the_state_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    assert history_path() == home / "state/textgen-onnx/interactive-history"
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_STATE_HOME", "relative/path")
    assert history_path() == home / ".local/state/textgen-onnx/interactive-history"
    monkeypatch.setattr("sys.platform", "darwin")
    assert history_path() is None


def test_paths_are_completed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "saved.gen").touch()
    (home / "same").mkdir()
    (home / "other").touch()
    monkeypatch.chdir(home)
    assert matching_paths("sa") == ["same/", "saved.gen"]
    assert matching_paths("same/") == []
    assert matching_paths(f"{home}/sav") == [f"{home}/saved.gen"]
    assert matching_paths("~/o") == ["~/other"]
    assert matching_paths("missing/a") == []
