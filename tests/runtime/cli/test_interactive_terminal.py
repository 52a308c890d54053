"""``textgen-run --interactive`` on a terminal, driven as a person would."""

import io
import os
import re
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pexpect
import pytest
import textgen_runtime as textgen
from textgen_runtime.cli import _interactive_console
from textgen_runtime.cli._interactive import WELCOME
from textgen_runtime.cli._interactive_console import Terminal

from tests.helpers.commands import Captured
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY
from tests.helpers.programs import posix_only
from tests.helpers.screen import Screen

pytestmark = posix_only

COMMAND = Path(sys.executable).parent / "textgen-run"
MODEL = textgen.load(TINY)

# The vocabulary of the tiny model does not have this character.
PROMPT = "> "
COLUMNS = 40
ENDLESS = "1000000000"
FIRST_SETTINGS = (
    "/seed 1",
    "/length 30",
    "/temp 1",
    "/unknown error",
    "/until-newline off",
    "/resample off",
    "/choices off",
    "/match off",
)


def default_interrupt() -> None:
    # If a shell runs the tests in the background, interrupts are ignored, and child processes inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def suspend_and_resume(process: int) -> None:
    os.kill(process, signal.SIGSTOP)
    os.kill(process, signal.SIGCONT)


class Person:
    """Types lines, and sees a screen."""

    def __init__(self, folder: Path, *options: str, model: Path = TINY, **environment: str) -> None:
        self._seen = io.StringIO()
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
        self.child.logfile_read = self._seen
        self._explanation = cut("\n".join(WELCOME))

    def wait(self) -> None:
        """Wait for the prompt mark."""
        self.child.expect_exact(PROMPT)

    def type(self, *lines: str) -> None:
        """Type lines, each after a prompt mark, and wait for the next mark."""
        for line in lines:
            self.child.send(f"{line}\r")
            self.wait()

    def interrupt(self) -> None:
        """Press Ctrl-C at the prompt mark, and wait for the next mark."""
        self.repeat(self.child.sendintr, PROMPT)

    def suspend(self, shown: str) -> None:
        """Suspend the program, let it go on, and wait until it shows a text."""
        assert self.child.pid
        self.repeat(partial(suspend_and_resume, self.child.pid), shown)

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

    def begin(self) -> None:
        """Begin another text with the first settings, and look at an empty screen."""
        self.type(*FIRST_SETTINGS, "/reset")
        self._seen = self.child.logfile_read = io.StringIO()
        self._seen.write(PROMPT)
        self._explanation = []

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

    def output(self) -> str:
        """Everything that the program has written."""
        return self._seen.getvalue()

    def screen(self) -> list[str]:
        """The rows that are visible below those that explain how to begin."""
        screen = Screen(COLUMNS)
        screen.write(self.output())
        rows, count = screen.text(), len(self._explanation)
        assert rows[:count] == self._explanation
        return rows[count:]


@pytest.fixture(scope="module")
def seated_person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """A session for the tests that need no options."""
    person = Person(tmp_path_factory.mktemp("session"))
    person.wait()
    yield person
    person.end()


@pytest.fixture
def person(seated_person: Person) -> Person:
    """The same session for several tests, at the beginning of a text."""
    seated_person.begin()
    return seated_person


@pytest.fixture
def sit_down(tmp_path: Path) -> Iterator[Callable[..., Person]]:
    """Start sessions of a test's own and wait for the prompt mark."""
    persons = []

    def start(*options: str, model: Path = TINY, **environment: str) -> Person:
        person = Person(tmp_path, *options, model=model, **environment)
        persons.append(person)
        person.wait()
        return person

    yield start
    for person in persons:
        person.end()


def cut(text: str) -> list[str]:
    """Return the rows of a message, which the terminal breaks anywhere."""
    rows = []
    for line in text.split("\n"):
        rows += [line[i : i + COLUMNS].rstrip() for i in range(0, len(line), COLUMNS)] or [""]
    return rows


def wrapped(text: str) -> list[str]:
    """Return the rows of a text, which is broken between words. The last column stays empty."""
    rows = []
    for line in text.split("\n"):
        row = ""
        for part in re.findall(" |[^ ]+", line):
            if len(row + part) >= COLUMNS and row:
                rows.append(row)
                row = ""
            row += part.lstrip() if not row and rows else part
            while len(row) >= COLUMNS:
                rows.append(row[: COLUMNS - 1])
                row = row[COLUMNS - 1 :]
        rows.append(row)
    return [row.rstrip() for row in rows]


def running_text(*lines: str, joined: bool = False) -> str:
    """Return lines and their continuations of 30 characters as one text, at temperature 1 and with seed 1."""
    generation = MODEL.start(lines[0], temperature=1.0, seed=1)
    text = lines[0] + generation.take(30)
    for line in lines[1:]:
        if line:
            fed = line if joined or text.endswith("\n") else f"\n{line}"
            text += generation.feed(fed)
        text += generation.take(30)
    return text


Start = Callable[..., Person]


def test_the_screen_shows_the_running_text(person: Person) -> None:
    person.type("abc", "dad", "", "", "bed")
    assert person.screen() == [*wrapped(running_text("abc", "dad", "", "", "bed")), PROMPT.strip()]


def test_a_line_longer_than_a_row_is_replaced(person: Person) -> None:
    long = "abcde " * 15
    person.type(long)
    assert person.screen() == [*wrapped(running_text(long)), PROMPT.strip()]


def test_a_word_that_grows_too_long_for_its_row_moves_to_the_next_one(person: Person) -> None:
    """All parts of the word are on the screen before the next part is added."""
    person.type("/length 1", "abc da", "/append " + "e" * 20, "/append " + "a" * 14)
    generation = MODEL.start("abc da", temperature=1.0, seed=1)
    text = "abc da" + generation.take(1)
    for added in ("e" * 20, "a" * 14):
        text += generation.feed(added) + generation.take(1)
    assert wrapped(text)[0] == "abc"
    assert person.screen()[1:] == [*wrapped(text), PROMPT.strip()]


def test_a_line_of_uncertain_width_is_shown_again(person: Person) -> None:
    """Nothing above it is erased."""
    person.type("abc", "a" * (COLUMNS - len(PROMPT)))
    first, both = running_text("abc"), running_text("abc", "a" * (COLUMNS - len(PROMPT)))
    added = both.removeprefix(first).removeprefix("\n")
    rows = [*wrapped(first.removesuffix("\n")), f"> {'a' * 38}", *wrapped(added), PROMPT.strip()]
    assert person.screen() == rows


@pytest.mark.parametrize("line", ["", "/append dad"])
@pytest.mark.parametrize("options", [(), ("--no-echo",)], ids=["echo", "no echo"])
def test_a_line_that_continues_a_text_is_tried_again_below_its_end(
    sit_down: Start, options: tuple[str, ...], line: str
) -> None:
    """The text below its end has the line also without echo."""
    person = sit_down(*options)
    person.type("abc", line, "/retry")
    first, fed = running_text("abc"), line.removeprefix("/append ")
    generation = MODEL.start("abc", temperature=1.0, seed=1)
    generation.take(30)
    again = generation.copy()
    generation.feed(fed) if fed else None
    both = f"{first}{fed}{generation.take(30)}"
    again.reseed(again.seed, 0, generation.drawn)
    again.feed(fed) if fed else None
    below = ["> /retry", *wrapped(f"{first}{fed}{again.take(30)}"), PROMPT.strip()]
    screen = person.screen()
    assert screen[screen.index("> /retry") :] == below
    assert options or screen == [*wrapped(both), *below]


def test_several_continuations_have_numbers(sit_down: Start) -> None:
    """Each follows the end of the text that it continues."""
    person = sit_down()
    person.type("abc", "/count 2", "", "/pick 1")
    first = running_text("abc")
    generation = MODEL.start("abc", temperature=1.0, seed=1)
    generation.take(30)
    rows = []
    for number in (1, 2):
        other = generation.copy()
        other.reseed(1, 0, 30 * number)
        rows += wrapped(f"{number}  {first}{other.take(30)}")
    screen = person.screen()
    below = screen[screen.index("> /count 2") + 1 :]
    assert below[: len(rows)] == rows
    assert below[len(rows)] == "> /pick 1"
    assert below[len(rows) + 1].startswith("the text ends: ")
    assert "\x1b[2m1  \x1b[22m" in person.output()


def test_commands_stay_on_the_screen(person: Person) -> None:
    person.type("abc", "/temp 1", "")
    first, both = running_text("abc"), running_text("abc", "")
    rows = [*wrapped(first), "> /temp 1", *wrapped(both.removeprefix(first)), PROMPT.strip()]
    assert person.screen() == rows


def test_a_text_after_a_stop_text_begins_in_its_own_row(person: Person) -> None:
    """The model has read the line end, which is not printed."""
    person.type("/until-newline on", "/length 1000", "abc", "")
    generation = MODEL.start("abc", temperature=1.0, seed=1)
    first, second, *_ = ("abc" + generation.take(2000)).split("\n")
    assert person.screen()[2:] == [*wrapped(first), *wrapped(second), ">"]


def test_a_text_that_had_to_be_masked_is_announced(person: Person) -> None:
    person.type("/choices heaheahea", "/resample 1", "abc")
    assert person.screen()[2] == "abcheaheahea"
    assert "".join(person.screen()[3:5]).startswith("no text without the mask of the constraint met it")


def test_typed_text_is_bold_and_remarks_are_dim(person: Person) -> None:
    person.type("abc", "/undo")
    assert "\x1b[1mabc\x1b[22m" in person.output()
    assert "\x1b[2mthere is no text; the next line begins one\x1b[22m" in person.output()


def test_no_color_has_no_styles(sit_down: Start) -> None:
    person = sit_down(NO_COLOR="1")
    person.type("abc", "")
    assert not re.search(r"\x1b\[\d*m", person.output())
    assert person.screen() == [*wrapped(running_text("abc", "")), PROMPT.strip()]


def test_a_simple_terminal_gets_no_control_sequences(sit_down: Start) -> None:
    person = sit_down(TERM="dumb")
    person.type("abc", "")
    assert "\x1b" not in person.output()
    first, both = running_text("abc"), running_text("abc", "")
    rows = ["> abc", *wrapped(first), ">", *wrapped(both.removeprefix(first)), ">"]
    assert person.screen() == rows


def test_without_echo_the_typed_line_stays(sit_down: Start) -> None:
    person = sit_down("--no-echo")
    person.type("abc")
    assert person.screen() == ["> abc", *wrapped(running_text("abc").removeprefix("abc")), ">"]


def test_an_interrupt_stops_the_text_and_keeps_it(sit_down: Start) -> None:
    person = sit_down("--length", ENDLESS)
    person.child.send("abc\r")
    person.child.expect("abc[^>]{100}")
    person.child.sendintr()
    person.child.expect_exact("stopped; an empty line goes on, /undo takes this text back")
    person.wait()
    person.type("/length 30", "/show")
    assert person.child.before
    shown = re.search(r"the text ends: (.*?)\r", person.child.before)
    assert shown
    assert len(shown[1].encode().decode("unicode_escape", "ignore")) >= 60
    person.type("", "/undo", "/undo")
    assert "there is no text" in person.child.before
    assert person.leave() == 0


def test_an_interrupt_at_the_prompt_clears_the_line(person: Person) -> None:
    person.type("abc")
    person.child.send("bad")
    person.child.expect_exact("bad")
    person.interrupt()
    person.type("dad")
    text = running_text("abc")
    assert person.screen()[: len(wrapped(text)) + 1] == [*wrapped(text), "> bad"]
    both = running_text("abc", "dad").removeprefix(text).removeprefix("\n")
    assert person.screen()[len(wrapped(text)) + 1 :] == [*wrapped(both), ">"]


def test_a_session_that_was_suspended_shows_the_line_again(person: Person) -> None:
    person.type("abc")
    person.child.send("da")
    person.child.expect_exact("da")
    person.suspend("> da")
    person.type("d")
    text = running_text("abc", "dad")
    assert person.screen()[-len(wrapped(text)) + 1 :][-2:] == [*wrapped(text)[-1:], ">"]


def test_after_a_refused_line_a_command_can_be_typed_and_the_line_returns(person: Person) -> None:
    person.type("abcX", "/unknown skip")
    # Two lines back.
    person.type("\x1b[A\x1b[A")
    assert person.screen()[-3:] == [*wrapped(running_text("abc")), ">"]


def test_a_line_whose_text_was_not_new_is_not_typed_again(person: Person, tmp_path: Path) -> None:
    """The session has read the line, so that /retry goes on from there."""
    corpus = tmp_path / "known.txt"
    corpus.write_text(MODEL.generate("abc", length=30, temperature=0), encoding="utf-8")
    person.type("/temp 0", f"/novel {corpus}", "abc", "/novel off", "/show")
    assert person.child.before
    assert "the text ends: abc\r\n" in person.child.before


def test_an_interrupt_stops_a_text_before_it_is_known_to_be_new(sit_down: Start, tmp_path: Path) -> None:
    (tmp_path / "known.txt").write_text("abc")
    person = sit_down("--length", ENDLESS, "--novel", "known.txt")
    # The last word is held back.
    person.child.send("bad abc\r")
    person.child.expect_exact("\x1b[1mbad")
    person.child.sendintr()
    person.child.expect_exact("stopped; an empty line goes on")
    person.wait()
    person.type("/show")
    assert "the text ends: bad abc\r\n" in person.output()


def test_skipped_characters_are_listed_between_the_line_and_the_text(person: Person) -> None:
    person.type("/unknown skip", "aXbc")
    warning = cut("skipped, not in the vocabulary: 'x' (U+0078)")
    assert person.screen()[1:] == ["> aXbc", *warning, *wrapped(running_text("abc")), ">"]


def test_a_complete_text_that_ends_with_a_line_end_has_no_empty_row_below_it(person: Person) -> None:
    person.type(r"/match head\n", "abc")
    assert person.screen()[1:] == ["abchead", ">"]


def test_a_refused_command_is_not_repeated(person: Person) -> None:
    person.type("/tmep 1", "abc")
    assert "did you mean /temp?" in "".join(person.screen())
    assert person.screen()[-2:] == [*wrapped(running_text("abc"))[-1:], ">"]


def test_the_arrow_key_returns_lines_of_this_session_and_of_earlier_ones(
    sit_down: Start, tmp_path: Path
) -> None:
    person = sit_down()
    person.type("abc", "/temp 1", "\x1b[A\x1b[A")
    text = running_text("abc", "abc")
    assert person.screen()[-len(wrapped(text)) + 1 :] == [*wrapped(text)[2:], ">"]
    assert person.leave() == 0
    history = tmp_path / "textgen-onnx" / "interactive-history"
    assert history.read_text(encoding="utf-8") == "abc\n/temp 1\nabc\n"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    other = sit_down()
    other.type("\x1b[A\x1b[A\x1b[A")
    assert other.screen() == [*wrapped(running_text("abc")), ">"]


def test_the_tab_key_completes_commands_and_paths(sit_down: Start, tmp_path: Path) -> None:
    person = sit_down()
    person.child.send("abc\r")
    person.wait()
    person.child.send("/sa\t")
    person.child.expect_exact("/save ")
    person.child.send("my text.gen\r")
    person.child.expect_exact("saved in my text.gen")
    person.wait()
    assert (tmp_path / "my text.gen").exists()
    person.child.send("/load my\t")
    person.child.expect_exact("/load my")
    person.child.send("\x15")
    (tmp_path / "other.gen").write_bytes((tmp_path / "my text.gen").read_bytes())
    person.child.send("/load oth\t\r")
    person.child.expect_exact("loaded other.gen")


def test_a_pasted_text_of_several_lines_is_one_line(person: Person) -> None:
    person.type("\x1b[200~abc\ndad\x1b[201~")
    rows = wrapped(running_text("abc\ndad"))
    assert person.screen()[-len(rows) - 1 :] == [*rows, ">"]


def test_control_characters_are_escaped(sit_down: Start, tmp_path: Path) -> None:
    path = tmp_path / "controls.onnx"
    path.write_bytes(make_model("\x1b\x07\nab").SerializeToString())
    person = sit_down("--prompt", "a\x1bb", "--temp", "3", model=path)
    person.type("/show", "")
    shown = person.output()
    assert "a\\x1bb" in shown
    assert shown.count("\\x1b") > 3
    assert "\x07" not in shown
    assert set(re.findall(r"\x1b(?!\[)", shown)) == set()


class Typing:
    """A person who types the same line again and again."""

    def read(self, *_: str) -> str:
        return "abc"


def test_windows_shows_a_text_below_the_line(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """There, a console may show escape codes as they are, and a process is never suspended."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.delattr(signal, "SIGCONT")
    terminal = Terminal(Typing(), echo=True)  # type: ignore[arg-type]
    assert terminal.read_line() == "abc"
    terminal.begin_text("abc", joined=False, replaces_line=True)
    terminal.write("def ")
    terminal.end_text("length")
    assert capsys.readouterr().out == "abcdef \n"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal without styles in this process."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(_interactive_console, "terminal_size", lambda: (COLUMNS, 24))
    handler = signal.getsignal(signal.SIGCONT)
    yield Terminal(Typing(), echo=True)  # type: ignore[arg-type]
    signal.signal(signal.SIGCONT, handler)


def test_a_text_that_was_suspended_goes_on_in_a_row_of_all_columns(
    terminal: Terminal, capsys: Captured
) -> None:
    """The shell has written below the text."""
    terminal.begin_text("abc ", joined=False, replaces_line=False)
    terminal.write("d" * 30 + " ")
    capsys.readouterr()
    signal.raise_signal(signal.SIGCONT)
    terminal.write("bed " * 11)
    assert capsys.readouterr().out == "bed " * 9 + "bed\n" + "bed "


@pytest.mark.parametrize(
    ("texts", "up"),
    [(["dad"], "\x1b[2A\x1b[4C"), (["dad\n"], "\x1b[1A"), (["dad", "dad\n"], "\x1b[1A")],
)
def test_a_text_goes_on_in_the_row_where_the_latest_one_ended(
    texts: list[str], up: str, terminal: Terminal, capsys: Captured
) -> None:
    """If it ended with its row, the text goes on in the row of the typed line."""
    for text in texts:
        terminal.begin_text("abc ", joined=False, replaces_line=False)
        terminal.write(text)
        terminal.end_text("length")
    terminal.read_line()
    capsys.readouterr()
    terminal.begin_text("", joined=True, replaces_line=True)
    terminal.write("ed ")
    assert capsys.readouterr().out == f"{up}\x1b[J" + "dad" * ("C" in up) + "ed "


def test_a_session_without_readline_works(sit_down: Start, tmp_path: Path) -> None:
    (tmp_path / "readline.py").write_text("raise ImportError\n", encoding="utf-8")
    person = sit_down(PYTHONPATH=str(tmp_path))
    person.type("abcx", "abc", "dad")
    assert "not in the model's vocabulary" in " ".join(person.screen())
    assert person.screen()[-len(wrapped(running_text("abc", "dad"))) - 1 :] == [
        *wrapped(running_text("abc", "dad")),
        ">",
    ]
    person.interrupt()
    assert person.leave() == 0
