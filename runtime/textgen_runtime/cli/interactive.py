"""``textgen-run --interactive``: continue typed lines, one after another, as one running text.

A line is a text or a command. ``Console`` reads lines and shows texts. ``Session`` is the running text:
continued, taken back, tried again, written, saved and loaded.
"""

import contextlib
import os
import sys
import warnings
from argparse import Namespace
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from shlex import shlex
from typing import Any, NamedTuple, NoReturn

from textgen_runtime._core import PARAMETERS
from textgen_runtime.controls import checked_stops
from textgen_runtime.errors import Name, TextFileError, TextgenError, quote
from textgen_runtime.files import STANDARD_INPUT, decode_utf8, read_text, replace_file
from textgen_runtime.interrupts import DeferredInterrupts, interrupts_ignored
from textgen_runtime.model import Batch, Generation, Model
from textgen_runtime.model_file import Metadata
from textgen_runtime.results import TextEnding
from textgen_runtime.sampling import Sampling
from textgen_runtime.terminal import escape_unprintable, print_diagnostic, terminal_safe, write_stderr
from textgen_runtime.text import SEPARATORS, RecordKind

from ._output_files import check_overwrite
from .command import EXIT_FAILED, spell_option
from .options import (
    LISTS,
    OPTIONS,
    PROG,
    add_sampling,
    describe_parameters,
    unknown_warnings,
    with_checked_stops,
)
from .parser import CommandParser
from .texts import Series, Text, Texts, known_texts, make_selection

# The commands besides the settings, each with its argument and what it does. `Session` has a method each.
COMMANDS = {
    "append": ("TEXT", "add TEXT directly to the end of the text, and continue it"),
    "retry": ("", "continue the latest line again, with new random numbers"),
    "pick": ("N", "go on from continuation N of the latest line, from 1 on"),
    "undo": ("", "take back the latest line and its continuation"),
    "reset": ("", "begin a new text"),
    "write": ("PATH", "write the text to a file"),
    "save": ("PATH", "save where the text stands"),
    "load": ("PATH", "go on where a saved text stands"),
    "show": ("", "show the settings and the end of the text"),
    "help": ("", "list the commands"),
    "quit": ("", "end the session, as Ctrl-D does"),
}

WELCOME = (
    "Type a text: the model continues it. An empty line continues further. /write PATH keeps the text. "
    "/help lists the commands.\n"
)
SETTINGS_HELP = (
    "The options of textgen-run for sampling are commands, too. The value off restores the default:"
)

PROMPT, ON, OFF = "> ", "on", "off"

# How many lines can be taken back.
MAX_STEPS = 200

SHOWN_TAIL = 60


class LineError(TextgenError):
    """A line cannot be carried out. The session goes on."""


class SettingParser(CommandParser):
    """Parses a setting as an option of ``textgen-run``. An error does not exit."""

    def error(self, message: str) -> NoReturn:
        raise LineError(message.replace("argument --", "/", 1))


# The default of each parameter that is a setting, and the parameter of each setting.
DEFAULTS = {name: parameter.default for name, parameter in PARAMETERS.items()} | {"length": None}
SETTINGS = {spell_option(Name(name)).removeprefix("--"): name for name in DEFAULTS}


def spell_setting(name: Name) -> str:
    """Return a parameter as a command of a session, or as an option if there is no such command."""
    option = spell_option(name)
    return option.replace("--", "/", 1) if name in SETTINGS.values() else option


class Console:
    """Reads lines, and shows texts on standard output and all else on standard error.

    Args:
        echo: Whether to show the typed text before its continuation.
        records: The records of the model. Kind ``"blank"`` has an empty line between two of them.

    Attributes:
        is_terminal: Whether a person types the lines, and not a program.
    """

    def __init__(self, *, echo: bool, records: RecordKind | None) -> None:
        self._echo, self._records = echo, records
        self.is_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
        self._is_after_record = False
        self._line_number = 0
        if self.is_terminal:
            # Windows, and interpreters that were built without it, have only the terminal's own editing.
            with contextlib.suppress(ImportError):
                import readline

                # The Tab key completes paths.
                readline.set_completer_delims(" ")
                readline.parse_and_bind("tab: complete")

    def read_line(self) -> str | None:
        """Return the next line without its line end, or None if there are no more lines.

        Raises:
            LineError: If the line is not a text. The next call returns the next line.
            TextFileError: If lines cannot be read.
            KeyboardInterrupt: After Ctrl-C on a terminal.
        """
        self._line_number += 1
        if self.is_terminal:
            try:
                with DeferredInterrupts() as interrupts, interrupts.immediate():
                    return input(PROMPT)
            except EOFError:
                return None
            except UnicodeDecodeError:
                raise LineError("the line is not in the encoding of the terminal") from None
        if sys.stdin is None:
            raise TextFileError("cannot read standard input: it is closed")
        try:
            content = sys.stdin.buffer.readline()
        except OSError as error:
            raise TextFileError(f"cannot read standard input: {error.strerror or error}") from None
        try:
            return decode_utf8(content.rstrip(b"\r\n"), "the line") if content else None
        except TextFileError as error:
            raise LineError(*error.args) from None

    def begin_text(self, opening: str) -> None:
        """Begin to show a text. The opening is the text before the generated text, such as the typed line."""
        separator = "\n" * (self._records == "blank" and self._is_after_record)
        self.write(separator + (opening if self._echo else ""))

    def write(self, text: str) -> None:
        """Show a part of a text."""
        sys.stdout.write(terminal_safe(sys.stdout, text))
        sys.stdout.flush()

    def end_text(self, ending: TextEnding | None) -> None:
        """End a text, which has this ending, or None if it was stopped."""
        self._is_after_record = ending == "end"
        self.write("\n")

    def tell(self, text: str) -> None:
        """Show the answer to a command."""
        write_stderr(terminal_safe(sys.stderr, text))

    def report(self, message: str, kind: str = "error") -> None:
        """Show an error or a warning about the latest line."""
        place = "" if self.is_terminal else f"line {self._line_number}: "
        print_diagnostic(PROG, f"{place}{message}", kind)

    def warn(self, messages: Iterable[str]) -> None:
        """Show warnings about the latest line."""
        for message in messages:
            self.report(message, "warning")


class Position(NamedTuple):
    """Where the text stands. Nothing changes it.

    Attributes:
        generation: The generation; None if there is no text.
        parts: The text: the parts before the last one, nested in the same way, and the last part. The
            positions of a long text share its beginning.
    """

    generation: Generation | None = None
    parts: tuple[Any, ...] = ()

    @property
    def text(self) -> str:
        """The text, as the model has it. Of a text that a program has saved, only the prompt is known."""
        parts, found = self.parts, list[str]()
        while parts:
            parts, part = parts
            found.append(part)
        return "".join(reversed(found))

    def extended(self, text: str, generation: Generation | None = None) -> "Position":
        """Return the position after a text that the generation has read or written."""
        return Position(generation or self.generation, (self.parts, text))


class Line(NamedTuple):
    """What a line adds to the text before the model continues it.

    Attributes:
        text: The typed text; may be empty.
        joined: Whether the text follows the text so far directly. Otherwise it begins a new line.
    """

    text: str
    joined: bool = False


class Continuation(Series):
    """The attempts to continue a generation by one text. Each uses the random numbers after the one before.

    Args:
        generation: The generation, which stays as it is.
        length: Maximum number of tokens.
        beginning: What the text continues of the same record or line.
    """

    def __init__(self, generation: Generation, length: int, beginning: str) -> None:
        super().__init__(1, length)
        self._start, self._beginning = generation, beginning
        self.latest = generation

    def begin(self, attempt: int) -> Generation:  # noqa: ARG002 (the attempts follow one another)
        drawn = self.latest.drawn
        self.latest = self._start.copy()
        self.latest.reseed(self._start.seed, self._start.substream, drawn)
        return self.latest

    def beginning(self, text: Text) -> str | None:  # noqa: ARG002 (that of the session)
        return self._beginning


class Session:
    """A running text that a person continues line by line.

    The random numbers never go back: after ``undo`` and ``reset``, the session uses those that follow. A
    session that gets the same seed and the same lines therefore generates the same texts.

    Args:
        model: The model that continues the text, with its corpus ``novel``.
        sampling: The sampling parameters.
        seed: Random seed.
        console: Shows the texts.
        arguments: The arguments of the command: ``length``, ``unknown`` and ``lowercase``.

    Attributes:
        position: Where the text stands.
        sampling: The sampling parameters.
        length: Maximum number of tokens of a continuation; None for the default of the model.
    """

    def __init__(
        self, model: Model, sampling: Sampling, seed: int, console: Console, arguments: Namespace
    ) -> None:
        model.compile_controls(sampling)
        self._model, self.sampling, self._console = model, sampling, console
        self.length = arguments.length
        self._unknown, self._lowercase = arguments.unknown, arguments.lowercase
        self._known = known_texts(model)
        self.position = Position()
        # The seed, the substream and the number of draws.
        self._random = (seed, 0, 0)
        # Each line that was carried out: the position before it, and what it added. None replaced the text.
        self._steps: deque[tuple[Position, Line | None]] = deque(maxlen=MAX_STEPS)
        # Where each continuation of the latest line ends.
        self._ends: list[Position] = []
        # The files that the session wrote, and may write again.
        self._written: set[Path] = set()
        # The texts that are in a file, and whether one that is not was replaced.
        self._kept = {""}
        self._has_lost = False
        self._parser = SettingParser(PROG, "")
        add_sampling(self._parser)
        self._parser.add_argument("--length", **OPTIONS["--length"])

    def carry_out(self, line: str) -> bool:
        """Carry out a line. Return False if it ends the session.

        An empty line continues the text. Two slashes at the beginning stand for a text with one slash.

        Raises:
            TextgenError: If the line cannot be carried out. The session is then as it was before, or after
                the last character that was shown.
            KeyboardInterrupt: If Ctrl-C ended a text of a session without a person.
        """
        if not line or line[0] != "/" or line[:2] == "//":
            self.add(Line(line.removeprefix("/")))
            return True
        name, _, argument = line[1:].partition(" ")
        if name in SETTINGS:
            self.set(name, argument)
        elif name not in COMMANDS:
            raise LineError(f"unknown command {quote('/' + name)}; /help lists the commands")
        elif bool(argument.strip()) != bool(COMMANDS[name][0]):
            raise LineError(f"/{name} needs {COMMANDS[name][0] or 'no argument'}")
        elif name == "quit":
            return False
        elif COMMANDS[name][0]:
            getattr(self, name)(argument)
        else:
            getattr(self, name)()
        return True

    def add(self, line: Line) -> None:
        """Feed a line, and show its continuation. An error of the line leaves the session as it was."""
        if self._lowercase:
            line = line._replace(text=line.text.lower())
        before = self.position
        opening, start = self._begin(before, line)
        self._steps.append((before, line))
        self._ends = []
        self._console.warn(unknown_warnings(self._model.metadata, [line.text], self._unknown))
        self._continue(opening, start)

    def append(self, argument: str) -> None:
        self.add(Line(argument, joined=True))

    def retry(self) -> None:
        before, line = self._steps[-1] if self._steps else (self.position, None)
        if line is None:
            raise LineError("there is no line to continue again")
        self._continue(*self._begin(before, line))

    def pick(self, argument: str) -> None:
        choices = [str(number) for number in range(1, len(self._ends) + 1)]
        if argument.strip() not in choices:
            raise LineError(f"/pick needs one of these numbers: {', '.join(choices) or 'none yet'}")
        self.position = self._ends[int(argument) - 1]
        self._tell_end()

    def undo(self) -> None:
        if not self._steps:
            raise LineError("there is nothing to take back")
        self.position, self._ends = self._steps.pop()[0], []
        self._tell_end()

    def reset(self) -> None:
        self._replace(Position())
        self._tell_end()

    def write(self, argument: str) -> None:
        path = path_of(argument)
        if self.position.generation is None:
            raise LineError("there is no text yet")
        content = self.position.text.encode()
        if path not in self._written:
            check_overwrite("/write", path, content)
        replace_file(path, content)
        self._written.add(path)
        self._kept.add(self.position.text)
        self._console.tell(f"written to {path}\n")

    def save(self, argument: str) -> None:
        # The module imports numpy, which takes longer than the start of a session.
        from textgen_runtime.saved import save

        path, generation = path_of(argument), self._current(self.position)
        if generation is None:
            raise LineError("there is no text yet")
        check_overwrite("/save", path)
        save(generation, path, end_of_text=self.position.text)
        self._kept.add(self.position.text)
        self._console.tell(f"saved in {path}\n")

    def load(self, argument: str) -> None:
        from textgen_runtime.saved import resume_with_end

        with warnings.catch_warnings(action="ignore"):
            generation, text = resume_with_end(self._model, path_of(argument))
        generation.sampling, found = checked_stops(generation.sampling, self._model.metadata)
        self._console.warn(found)
        ended = separator_of(self._model.metadata) * generation.ended_record
        self._replace(Position(generation).extended(text or generation.prompt + ended))
        self.sampling = generation.sampling
        self._random = (generation.seed, generation.substream, generation.drawn)
        self._kept.add(self.position.text)
        self._tell_end()

    @property
    def is_kept(self) -> bool:
        """Whether each text is in a file."""
        return not self._has_lost and self.position.text in self._kept

    def show(self) -> None:
        values = self.sampling.changed() | {"length": self.length}
        self._console.tell(f"{describe_parameters(values)}\n")
        self._tell_end()

    def help(self) -> None:
        lines = [f"{f'/{name} {argument}':<13} {what}" for name, (argument, what) in COMMANDS.items()]
        self._console.tell("\n".join([*lines, SETTINGS_HELP, " ".join(f"/{name}" for name in SETTINGS), ""]))

    def set(self, name: str, argument: str) -> None:
        """Set the length or a sampling parameter, from a typed value. ``off`` is the default.

        Raises:
            LineError: If the text is not a value of this setting.
            SamplingError: If the value contradicts another one, or does not fit the model.
            TextFileError: If the text is the path of a file that cannot be read.
        """
        parameter, typed = SETTINGS[name], argument.strip()
        kind = PARAMETERS[parameter].kind if parameter in PARAMETERS else ""
        words = [f"--{name}={path_of(argument) if kind == 'schema' else argument}"]
        if kind in LISTS:
            words = [f"--{name}={word}" for word in split_words(argument)] or [f"--{name}"]
        elif kind == "switch" and typed == ON:
            words = [f"--{name}"]
        value = DEFAULTS[parameter] if typed == OFF else getattr(self._parser.parse_args(words), parameter)
        if not kind:
            setattr(self, parameter, value)
            return
        if typed != OFF and kind == "schema":
            if value == STANDARD_INPUT:
                raise LineError(f"/{name} needs the path of a file, not standard input")
            value = read_text(value)
        elif typed != OFF and parameter == "temperature":
            # The option has several values.
            (value,) = value
        sampling, found = checked_stops(self.sampling.replace(**{parameter: value}), self._model.metadata)
        self._model.compile_controls(sampling)
        self.sampling = sampling
        self._console.warn(found)

    def _begin(self, before: Position, line: Line) -> tuple[str, Position]:
        """Feed a line at a position. Return what is shown before the continuation, and where it begins.

        Raises:
            PromptError: If the vocabulary lacks characters of the line, or there is no text to continue.
        """
        model, text, generation = self._model, line.text, self._current(before)
        if generation is None:
            generation = model.start(
                text or None, seed=self._random[0], sampling=self.sampling, unknown=self._unknown
            )
            generation.reseed(*self._random)
            fed = shown = generation.prompt
        elif generation.ended_record:
            # The next record begins.
            fed = shown = generation.feed(text, self._unknown)
        else:
            # A complete text of a constraint is not continued: another one begins.
            is_new_line = not line.joined if text else generation.is_complete
            between = self._separator(before.text) if is_new_line else ""
            if text:
                model.encode_prompt(text, self._unknown)
            added = between + text
            fed = generation.feed(added, self._unknown) if added else ""
            shown = fed.removeprefix(between)
        if generation.is_complete and not generation.ended_record:
            generation.begin_constraint()
        return shown, before.extended(fed, generation)

    def _separator(self, text: str) -> str:
        """Return what separates a typed line from the text before it: a line end, a space, or nothing."""
        for symbol in ("\n", " "):
            if text.endswith(symbol):
                return ""
            if self._model.tokenizer.can_encode(symbol):
                return symbol
        return ""

    def _continue(self, opening: str, start: Position) -> None:
        """Draw a continuation, and show it while it is drawn, unless Ctrl-C stops it.

        Raises:
            SamplingError: If the text cannot continue.
            TextgenError: If too many texts were rejected.
        """
        model, console, sampling = self._model, self._console, self.sampling
        generation = start.generation
        # Never None: a line was fed.
        if generation is None:
            return
        length = self.length or model.default_length
        continuation = Continuation(generation, length, unfinished(start.text, model.metadata))
        selection = make_selection(model, self._known, unique=False, max_copy=sampling.max_copy)
        position, ending, interrupted = start, None, False
        with DeferredInterrupts() as interrupts:
            console.begin_text(opening)
            try:
                drawn = Texts(Batch(model), selection, interrupts.immediate, lanes=1).draw([continuation])
                for text in drawn:
                    ending, chunk = text.ending, text.take()
                    position = position.extended(chunk, text.generation)
                    console.write(chunk)
                    if ending == "end":
                        position = position.extended(separator_of(model.metadata))
                    elif text.stop.endswith("\n") and not sampling.keep_stop:
                        # The model has read the stop text.
                        position = position.extended("\n")
            except KeyboardInterrupt:
                interrupted = True
            finally:
                if ending is None and position is not start and position.generation is not None:
                    rest = position.generation.finish()
                    position = position.extended(rest)
                    console.write(rest)
                self._random = (*self._random[:2], continuation.latest.drawn)
                self.position = position
                self._ends.append(position)
                console.end_text(ending)
        if interrupted and not console.is_terminal:
            raise KeyboardInterrupt
        if not interrupted and not continuation.accepted and selection is not None:
            raise selection.shortfall(0, 1)

    def _current(self, position: Position) -> Generation | None:
        """Return a copy of the generation with the current sampling parameters and random numbers."""
        generation = position.generation and position.generation.copy()
        if generation is not None:
            generation.sampling = self.sampling
            generation.reseed(*self._random)
        return generation

    def _replace(self, position: Position) -> None:
        self._has_lost = not self.is_kept
        self._steps.append((self.position, None))
        self.position, self._ends = position, []

    def _tell_end(self) -> None:
        text = escape_unprintable(self.position.text[-SHOWN_TAIL:])
        has_text = self.position.generation is not None
        self._console.tell(f"the text ends: {text}\n" if has_text else "there is no text\n")


def separator_of(metadata: Metadata) -> str:
    """Return what stands between two records, or between two lines of a model without records."""
    return "\n" if metadata.records is None else SEPARATORS[metadata.records]


def unfinished(text: str, metadata: Metadata) -> str:
    """Return the record, or the line of a model without records, that the end of a text has begun.

    If the model has neither records nor line ends, the result is empty.
    """
    has_parts = metadata.records is not None or metadata.tokenizer.can_encode("\n")
    return text.rpartition(separator_of(metadata))[2] if has_parts else ""


def split_words(text: str) -> list[str]:
    r"""Return the words of a text. A word in quotes may have spaces.

    Backslashes are kept, unlike in a shell, because ``\n`` stands for a line end.

    Raises:
        LineError: If a quote is not closed.
    """
    lexer = shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.escape = lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        raise LineError(f"a quote is not closed: {text}") from None


def path_of(argument: str) -> Path:
    """Return the path that a command has as its argument, with the home folder in place of ``~``."""
    return Path(os.path.expanduser(argument.strip()))  # noqa: PTH111 (returns an unknown user's path unchanged)


def interact(
    arguments: Namespace, samplings: Sequence[Sampling], model: Model, prompt: str | None, seed: int
) -> int:
    """Carry out lines from standard input until its end; return 1 if a line from a pipe could not be, else 0.

    On a terminal, lines can be edited, and Ctrl-C stops only the current text. The prompt is continued before
    the first line, unless it is None.
    """
    console = Console(echo=not arguments.no_echo, records=model.metadata.records)
    session = Session(model, with_checked_stops(model, samplings[0]), seed, console, arguments)
    if not console.is_terminal:
        return run_session(session, console, prompt)
    with interrupts_ignored():
        console.tell(WELCOME)
        run_session(session, console, prompt)
    return 0


def run_session(session: Session, console: Console, prompt: str | None) -> int:
    """Carry out all lines; return the exit code of a session from a pipe."""
    code, is_end = 0, False
    if prompt is not None:
        session.add(Line(prompt))
    while True:
        line, is_second, is_end = None, is_end, False
        try:
            line = console.read_line()
            is_end = line is None or not session.carry_out(line)
            if is_end and (is_second or not console.is_terminal or session.is_kept):
                return code
            if is_end:
                console.tell("\na text is in no file: /write PATH keeps it; Ctrl-D or /quit again ends\n")
        except KeyboardInterrupt:
            if not console.is_terminal:
                raise
            console.write("\n")
        except MemoryError:
            console.report("not enough memory")
            code = EXIT_FAILED
        except TextgenError as error:
            if line is None and not isinstance(error, LineError):
                # Standard input cannot be read.
                raise
            console.report(error.spelled(spell_setting))
            code = EXIT_FAILED
