"""``textgen-run --interactive`` on a terminal, driven as a person would."""

import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
import textgen_runtime as textgen

from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY
from tests.helpers.programs import posix_only

pytestmark = posix_only

COMMAND = Path(sys.executable).parent / "textgen-run"
MODEL = textgen.load(TINY)
ENDLESS = "1000000000"


def default_interrupt() -> None:
    # If a shell runs the tests in the background, interrupts are ignored, and child processes inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Person:
    """Types lines, and sees a screen."""

    def __init__(self, folder: Path, *options: str, model: Path = TINY, **environment: str) -> None:
        base = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        own = {"TERM": "xterm", "INPUTRC": "/dev/null", "LC_ALL": "C.UTF-8"}
        self.child = pexpect.spawn(
            str(COMMAND),
            [str(model), "--interactive", "--seed", "1", "--length", "30", "--temp", "1", *options],
            env=base | own | environment,
            cwd=str(folder),
            # No line reaches the end of a row: wrapping is the terminal's work.
            dimensions=(24, 1000),
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

    def interrupt_until(self, shown: str) -> None:
        """Press Ctrl-C until the program shows a text.

        Python does not notice a signal directly before the system call that waits for a key.
        """
        for _ in range(4):
            self.child.sendintr()
            if not self.child.expect_exact([shown, pexpect.TIMEOUT], timeout=20):
                return
        pytest.fail("the signal has no effect")

    def leave(self) -> tuple[int | None, bool]:
        """Press Ctrl-D at the prompt mark, again if it asks. Return the exit code, and whether it asked."""
        has_asked = self.is_asked()
        if has_asked:
            self.child.sendeof()
            self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus, has_asked

    def is_asked(self) -> bool:
        """Press Ctrl-D at the prompt mark. Return whether the session asks because a text is in no file."""
        self.child.sendeof()
        return bool(self.child.expect_exact([pexpect.EOF, "again ends\r\n> "]))

    def end(self) -> None:
        """Kill the program, and wait until it has ended. pexpect waits for only 0.1 s."""
        self.child.kill(signal.SIGKILL)
        self.child.wait()
        self.child.close()

    def screen(self) -> str:
        """What was shown from the first prompt mark on, without control sequences."""
        shown = re.sub(r"\x1b\[\??\d*[A-Za-z]|[\r\a]", "", self.seen.getvalue())
        return shown[shown.index("> ") :]


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


def continuations(*lines: str) -> list[str]:
    """Return the continuations of lines at temperature 1 and with seed 1, each of 30 characters."""
    generation = MODEL.start(lines[0], temperature=1.0, seed=1)
    found = [generation.take(30)]
    for line in lines[1:]:
        if line:
            generation.feed(line if found[-1].endswith("\n") else f"\n{line}")
        found.append(generation.take(30))
    return found


@pytest.mark.parametrize("style", ["echo", "no echo", "no readline"])
def test_each_line_is_continued_below_it(sit_down: Start, tmp_path: Path, style: str) -> None:
    (tmp_path / "readline.py").write_text("raise ImportError\n", encoding="utf-8")
    options = ("--no-echo",) if style == "no echo" else ()
    environment = {"PYTHONPATH": str(tmp_path)} if style == "no readline" else {}
    person = sit_down(*options, **environment)
    person.type("abcde", "", "dad", "/pick 1", "xyz")
    lines = ("abcde", "", "dad")
    shown = [
        f"> {line}\n{'' if options else line}{continuation}\n"
        for line, continuation in zip(lines, continuations(*lines), strict=True)
    ]
    assert person.screen().startswith("".join(shown))
    assert person.leave() == (0, True)


def test_an_end_asks_if_a_text_is_in_no_file(sit_down: Start, tmp_path: Path) -> None:
    kept = sit_down()
    kept.type("abc", f"/write {tmp_path}/kept", "dad", f"/write {tmp_path}/kept", "/undo")
    assert kept.leave() == (0, False)
    lost = sit_down()
    lost.type("abc", "/reset")
    assert lost.is_asked()
    lost.type(f"/write {tmp_path}/none/kept")
    assert lost.leave() == (0, True)


def test_an_interrupt_stops_the_text_and_keeps_it(sit_down: Start, tmp_path: Path) -> None:
    person = sit_down("--length", ENDLESS)
    person.child.send("abc\r")
    person.child.expect("abc[^>]{100}")
    person.interrupt_until("> ")
    # At the prompt mark, it clears the line.
    person.child.send("bad")
    person.child.expect_exact("bad")
    person.interrupt_until("> ")
    person.type("/show", f"/write {tmp_path}/text", "/undo", "/show")
    written = (tmp_path / "text").read_text(encoding="utf-8")
    assert written.startswith("abc")
    assert len(written) > 100
    assert "there is no text" in (person.child.before or "")
    assert person.leave() == (0, False)


def test_an_interrupt_leaves_nothing_of_a_text_that_may_be_known(sit_down: Start, tmp_path: Path) -> None:
    (tmp_path / "known.txt").write_text("abc")
    person = sit_down("--length", ENDLESS, "--novel", "known.txt")
    person.child.send("abcd\r")
    person.child.expect_exact("abcd\r\nabcd")
    person.interrupt_until("> ")
    person.type("/length 30", f"/write {tmp_path}/text")
    assert (tmp_path / "text").read_text(encoding="utf-8") == "abcd"


def test_the_arrow_key_returns_lines_and_the_tab_key_completes_paths(sit_down: Start, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "other.gen").touch()
    person = sit_down()
    person.type("abcX", "abc", "\x1b[A\x1b[A", "/save fol\toth\t")
    assert person.seen.getvalue().count("not in the model's vocabulary") == 2
    assert (tmp_path / "folder" / "other.gen").stat().st_size > 0


def test_a_pasted_text_of_several_lines_is_one_line(sit_down: Start) -> None:
    person = sit_down()
    person.type("\x1b[200~abc\ndad\x1b[201~")
    (continuation,) = continuations("abc\ndad")
    assert person.screen().endswith(f"\nabc\ndad{continuation}\n> ")


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
