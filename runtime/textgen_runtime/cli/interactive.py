"""``textgen-run --interactive``: continue typed lines, one after another, as one running text.

A line is a text or a command. ``Session`` is the running text: continued, taken back, tried again, saved and
loaded. ``Interpreter`` carries out the lines and shows the results.
"""

import argparse
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from shlex import shlex
from textwrap import TextWrapper
from typing import Any, NamedTuple

from textgen_runtime.controls import checked_stops, impossible_stop_message, impossible_stops
from textgen_runtime.errors import Name, TextgenError, quote
from textgen_runtime.files import STANDARD_INPUT, read_text
from textgen_runtime.interrupts import DeferredInterrupts, interrupts_ignored
from textgen_runtime.model import Generation, Model, TextBatch
from textgen_runtime.model_file import Metadata
from textgen_runtime.results import TextEnding
from textgen_runtime.sampling import Sampling
from textgen_runtime.terminal import escape_unprintable, print_diagnostic, single_line, terminal_columns
from textgen_runtime.text import SEPARATORS
from textgen_runtime.tokenizer import UnknownPolicy, format_symbols

from ._output_files import check_overwrite
from .command import EXIT_FAILED, spell_option
from .options import (
    NEWLINE,
    NOVEL,
    REPEATED,
    SEED,
    SESSION_OPTIONS,
    SEVERAL,
    SWITCH,
    UNTIL_NEWLINE,
    Option,
    parser,
    refuse,
    sampling_options,
    temperature_warnings,
    with_checked_stops,
)
from .parser import whole_number
from .terminal import Console, LineError, expand_home, open_console
from .texts import Selection, Series, Text, Texts, known_texts, make_selection, novel_warnings, with_novel

# The commands besides the settings, each with its argument and what it does. `Interpreter` has a method each.
COMMANDS = {
    "more": ("[N]", "continue the text, by N tokens; an empty line does the same"),
    "append": ("TEXT", "add TEXT directly to the end of the text, and continue it"),
    "retry": ("", "continue the latest line again, with new random numbers"),
    "pick": ("N", "go on from continuation N of the latest line, from 1 on"),
    "undo": ("", "take back the latest line and its continuation"),
    "reset": ("", "begin a new text"),
    "save": ("PATH", "save where the text stands"),
    "load": ("PATH", "go on where a saved text stands"),
    "show": ("", "show the settings and the end of the text"),
    "help": ("[NAME]", "list the commands, or explain one of them"),
    "quit": ("", "end the session, as Ctrl-D does"),
}

WELCOME = (
    "Type a text: the model continues it. Enter alone continues further.",
    "/help lists the commands, and Ctrl-D ends.",
)

INTRODUCTION = (
    "A line is a text that the model continues. An empty line continues further. Ctrl-C stops a text. "
    "// begins a text with a slash. /help NAME tells more about a command."
)

# The arguments that have a meaning in a session, besides sampling.
ARGUMENTS = ("interactive", "model", "prompt", "prompt_file", "no_echo", "engine", "threads")

# How many lines can be taken back.
MAX_STEPS = 200

# How many of the latest characters are kept at least, and shown, where the text ends.
TAIL_LENGTH, SHOWN_TAIL = 200, 60

ON, OFF = "on", "off"
QUOTES = "\"'"

# Options whose value is the path of a file that is read.
FILES = ("json_schema", "novel")

# The columns of the left part of the list of commands, and the least columns of both parts.
USAGE_WIDTH, MIN_WIDTH = 20, 50


class Position(NamedTuple):
    """Where the text stands.

    Attributes:
        generation: The generation; None if there is no text.
        tail: The end of the text, as the model has it; empty if it is not known. It has the record or line
            that is not complete, and at least ``TAIL_LENGTH`` characters of a longer text.
        is_cut: Whether the text has more before the tail, which is not known. A program can save such a text.
    """

    generation: Generation | None = None
    tail: str = ""
    is_cut: bool = False

    def extended(self, text: str, metadata: Metadata) -> "Position":
        """Return the position after a text that the generation has read or written."""
        tail = self.tail + text
        return self._replace(tail=tail[-max(TAIL_LENGTH, len(unfinished(tail, metadata))) :])


class Addition(NamedTuple):
    """What a line adds to the text before the model continues it.

    Attributes:
        text: The typed text. None adds nothing.
        joined: Whether the text follows the text so far directly. Otherwise it begins a new line.
        length: Maximum number of tokens of the continuation. None for the length of the session.
    """

    text: str | None = None
    joined: bool = False
    length: int | None = None


class Continuation(Series):
    """The attempts to continue a generation by one text. Each uses the random numbers after the one before.

    Args:
        generation: The generation, which stays as it is.
        length: Maximum number of tokens.
        beginning: What the text continues of the same record or line; None if it is not known.
    """

    def __init__(self, generation: Generation, length: int, beginning: str | None) -> None:
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

    The random numbers never go back: after ``undo`` and ``reset``, the session uses those that follow. Only
    setting the seed starts them again. A session that gets the same seed and then the same lines therefore
    generates the same texts.

    Args:
        model: The model that continues the text, without a corpus; see ``novel``.
        sampling: The sampling parameters.
        seed: Random seed.

    Attributes:
        length: Maximum number of tokens of each continuation.
        count: The number of continuations of each line that a person wants to see.
        unknown: What to do with typed characters outside the vocabulary.
        position: Where the text stands.
        ending: Why the latest continuation ended, or None if it was stopped.

    Raises:
        SamplingError: If the sampling parameters do not fit the model.
    """

    def __init__(self, model: Model, sampling: Sampling, seed: int) -> None:
        self.model = self._model_without_novel = model
        self.length, self.count = model.default_length, 1
        self.unknown: UnknownPolicy = "error"
        self.position = Position()
        self.ending: TextEnding | None = None
        self._lowercase = False
        self._novel: str | None = None
        self._known = known_texts(model)
        # The seed, the substream and the number of draws while there is no generation.
        self._idle = (seed, 0, 0)
        # Each line that was carried out: the position before it, and what it added. None replaced the text.
        self._steps: deque[tuple[Position, Addition | None]] = deque(maxlen=MAX_STEPS)
        # Where each continuation of the latest line ends, and the index of the one where the text stands.
        self._ends: list[Position] = []
        self._picked = 0
        self._continuation: Continuation | None = None
        self._selection: Selection | None = None
        self.sampling = sampling

    @property
    def sampling(self) -> Sampling:
        """The sampling parameters. Setting them keeps the position in the random stream.

        Raises:
            SamplingError: When set, if they do not fit the model. The old parameters are then kept.
        """
        return self._sampling

    @sampling.setter
    def sampling(self, value: Sampling) -> None:
        for text in impossible_stops(value, self.model.metadata):
            raise LineError(impossible_stop_message(text))
        if self.position.generation is None:
            self.model.compile_controls(value)
        else:
            self.position.generation.sampling = value
        self._sampling = value

    @property
    def seed(self) -> int:
        """The random seed. Setting it starts the random numbers from their beginning."""
        return self._random_stream[0]

    @seed.setter
    def seed(self, seed: int) -> None:
        self._idle = (seed, 0, 0)
        if self.position.generation is not None:
            self.position.generation.reseed(*self._idle)

    @property
    def novel(self) -> str | None:
        """The corpus in which no continuation may stand; None for no corpus.

        It is what ``corpora.corpus.read_corpus`` accepts. Setting it reads the corpus, or raises an error and
        changes nothing.

        Raises:
            CorpusError: When set, if the corpus is missing or empty, or is not available.
            TextFileError: When set, if it cannot be read, or is not UTF-8.
            SamplingError: When set to None, if a sampling parameter needs a corpus.
            KeyboardInterrupt: When set, after Ctrl-C.
        """
        return self._novel

    @novel.setter
    def novel(self, source: str | None) -> None:
        self._read_novel(source, self._lowercase)
        self._novel = source

    @property
    def lowercase(self) -> bool:
        """Whether to convert typed text and the corpus of ``novel`` to lower case.

        Setting it reads the corpus again, and raises as ``novel``.
        """
        return self._lowercase

    @lowercase.setter
    def lowercase(self, value: bool) -> None:
        if self._novel is not None and value != self._lowercase:
            self._read_novel(self._novel, value)
        self._lowercase = value

    def _read_novel(self, source: str | None, lowercase: bool) -> None:
        # A corpus can be long, or must be downloaded.
        with DeferredInterrupts() as interrupts, interrupts.immediate():
            model = with_novel(self._model_without_novel, source, lowercase=lowercase)
            known = known_texts(model)
        model.compile_controls(self._sampling)
        self.model, self._known = model, known
        if self.position.generation is not None:
            self._update(self.position.generation)

    def add(self, addition: Addition) -> str:
        """Feed a line to the model. ``chunks`` then yields its continuation.

        An error leaves the session as it was.

        Returns:
            The text that was fed, as the model got it, without a line end that separates it from the text so
            far. If there was no text and nothing was typed, the text is an excerpt that the model stores.

        Raises:
            LineError: If the vocabulary lacks characters of the line.
            PromptError: If there is no text to continue.
            SamplingError: If no text of this length meets the constraint.
        """
        opening = self._begin(self.position, addition)
        self._ends, self._picked = [self.position], 0
        return opening

    def retry(self) -> str:
        """Take back the latest line, and add it again, so that it is continued with new random numbers.

        Returns and raises as ``add``; also ``LineError`` if the latest line was not continued.
        """
        before, addition = self._steps[-1] if self._steps else (self.position, None)
        if addition is None:
            raise LineError("there is no line to continue again")
        self._keep_end()
        opening = self._begin(before, addition)
        # The line that was added again takes the place of the old one.
        del self._steps[-2]
        self._ends.append(self.position)
        self._picked = len(self._ends) - 1
        return opening

    @property
    def alternatives(self) -> int:
        """The number of continuations of the latest line."""
        return len(self._ends)

    def pick(self, number: int) -> None:
        """Let the text stand where a continuation of the latest line ended.

        Args:
            number: The number of the continuation, from 1: ``add`` begins the first, and each ``retry`` the
                next.

        Raises:
            LineError: If there is no such continuation.
        """
        if number > len(self._ends):
            raise LineError(f"/pick must be {len(self._ends)} or less, not {number}")
        self._keep_end()
        self._picked = number - 1
        self._move_to(self._continued(self._ends[self._picked]))

    def _keep_end(self) -> None:
        """Keep where the text stands: it has grown since its continuation began."""
        if self._ends:
            self._ends[self._picked] = self.position

    def chunks(self, immediate: Callable[[], AbstractContextManager[None]]) -> Iterator[str]:
        """Yield the continuation of the latest line, as it is generated. Call ``stop`` afterwards.

        Args:
            immediate: Returns a context in which Ctrl-C takes effect, and ends the continuation.

        Raises:
            KeyboardInterrupt: After Ctrl-C.
            SamplingError: If the text cannot continue.
            TextgenError: If too many texts were rejected.
        """
        continuation = self._continuation
        if continuation is None:
            return
        for text in Texts(TextBatch(self.model), self._selection, immediate, lanes=1).draw([continuation]):
            self.position = self.position._replace(generation=text.generation)
            self.ending = text.ending
            chunk = text.take()
            self._extend_tail(chunk)
            yield chunk
        if not continuation.accepted and self._selection is not None:
            raise self._selection.shortfall(0, 1)

    def stop(self) -> str:
        """End the continuation here. What was yielded remains part of the text.

        Returns:
            Text that was generated and not yielded. It also remains.
        """
        continuation, self._continuation = self._continuation, None
        generation = self.position.generation
        rest = ""
        if continuation is None or generation is None:
            return rest
        if generation is not continuation.latest:
            # Nothing was accepted, but the random numbers were used.
            generation.reseed(generation.seed, generation.substream, continuation.latest.drawn)
        elif self.ending is None:
            rest = generation.finish()
        elif generation.ended_record:
            self._extend_tail(separator_of(self.model.metadata))
        elif self.ending == "stop" and not self._sampling.keep_stop:
            # The model has read the stop text, which is not part of the text.
            self._extend_tail("\n" * all(stop.endswith("\n") for stop in self._sampling.stop))
        self._extend_tail(rest)
        return rest

    def undo(self) -> None:
        """Return to the position before the latest line.

        Raises:
            LineError: If no line can be taken back.
        """
        if not self._steps:
            raise LineError("there is nothing to take back")
        self._move_to(self._continued(self._steps.pop()[0]))
        self._ends = []

    def reset(self) -> None:
        """Begin a new text. ``undo`` returns to the old one."""
        self._replace_text(Position())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the generation in a file.

        Raises:
            LineError: If there is no text.
            OutputError: If the file cannot be written.
        """
        # The module imports numpy, which takes longer than the start of a session.
        from textgen_runtime.saved import save

        if self.position.generation is None:
            raise LineError("there is no text yet")
        save(self.position.generation, path, end_of_text=self.position.tail)

    def load(self, path: str | os.PathLike[str]) -> list[str]:
        """Continue from a saved generation, with its sampling parameters and random numbers.

        ``undo`` returns to the old text, but not to the old parameters.

        Returns:
            Warnings about stop texts. The session does not have those that the vocabulary cannot produce.

        Raises:
            SavedGenerationError: If the file is not a saved generation of this model.
        """
        from textgen_runtime.saved import resume_with_end

        with warnings.catch_warnings(action="ignore"):
            generation, end = resume_with_end(self.model, path)
        generation.sampling, stop_warnings = checked_stops(generation.sampling, self.model.metadata)
        self._replace_text(Position(generation, is_cut=not end and not generation.ended_record))
        self._extend_tail(end)
        self._sampling = generation.sampling
        return stop_warnings

    @property
    def _random_stream(self) -> tuple[int, int, int]:
        generation = self.position.generation
        return self._idle if generation is None else (generation.seed, generation.substream, generation.drawn)

    def _begin(self, before: Position, addition: Addition) -> str:
        """Add a line at a position. Returns and raises as ``add``."""
        text = addition.text
        if text is not None:
            text = text.lower() if self.lowercase else text
        generation, tail, _ = self._continued(before)
        if generation is None:
            generation = self.model.start(text, seed=self.seed, sampling=self._sampling, unknown=self.unknown)
            generation.reseed(*self._random_stream)
            fed = shown = generation.prompt
        elif generation.ended_record:
            # The next record begins.
            fed = shown = generation.feed(text or "", self.unknown)
        else:
            # A complete text of a constraint is not continued: another one begins.
            is_new_line = not addition.joined if text is not None else generation.is_complete
            between = self._separator(tail) if is_new_line else ""
            if text:
                self.model.encode_prompt(text, self.unknown)
            added = between + (text or "")
            fed = generation.feed(added, self.unknown) if added else ""
            shown = fed.removeprefix(between)
        if generation.is_complete and not generation.ended_record:
            generation.begin_constraint()
        length = addition.length or self.length
        generation.check_length(length)
        max_copy = self._sampling.max_copy
        self._selection = make_selection(self.model, self._known, unique=False, max_copy=max_copy)
        is_known = bool(tail + fed) or not before.is_cut
        beginning = unfinished(tail + fed, self.model.metadata) if is_known else None
        self._continuation, self.ending = Continuation(generation, length, beginning), None
        self._steps.append((before, addition))
        self._move_to(before._replace(generation=generation))
        self._extend_tail(fed)
        return shown

    def _separator(self, tail: str) -> str:
        """Return what separates a typed line from the text before it: a line end, a space, or nothing."""
        for symbol in ("\n", " "):
            if tail.endswith(symbol):
                return ""
            if self.model.tokenizer.can_encode(symbol):
                return symbol
        return ""

    def _continued(self, position: Position) -> Position:
        """Return an independent position with the current sampling parameters and random numbers."""
        generation = position.generation and position.generation.copy()
        if generation is not None:
            self._update(generation)
            generation.reseed(*self._random_stream)
        return position._replace(generation=generation)

    def _update(self, generation: Generation) -> None:
        """Let a generation continue with the current corpus and sampling parameters."""
        generation.model = self.model
        generation.sampling = self._sampling

    def _replace_text(self, position: Position) -> None:
        self._steps.append((self.position, None))
        self._move_to(position)
        self._ends = []

    def _move_to(self, position: Position) -> None:
        self._idle = self._random_stream
        self.position = position

    def _extend_tail(self, text: str) -> None:
        self.position = self.position.extended(text, self.model.metadata)


def separator_of(metadata: Metadata) -> str:
    """Return what stands between two records, or between two lines of a model without records."""
    return "\n" if metadata.records is None else SEPARATORS[metadata.records]


def unfinished(tail: str, metadata: Metadata) -> str:
    """Return the record, or the line of a model without records, that the end of a text has begun.

    If the model has neither records nor line ends, the result is empty.
    """
    has_parts = metadata.records is not None or metadata.tokenizer.can_encode("\n")
    return tail.rpartition(separator_of(metadata))[2] if has_parts else ""


class Setting(NamedTuple):
    """An option of ``textgen-run`` as a command: ``/temp 0.8`` does in a session what ``--temp 0.8`` does.

    Attributes:
        option: The option.
        is_sampling: Whether the value belongs to ``Sampling``, and not to ``Session``.
    """

    option: Option
    is_sampling: bool

    @property
    def name(self) -> str:
        """The name of the option without dashes, such as ``top-p``."""
        return spell_option(Name(self.option.name)).removeprefix("--")

    @property
    def _is_list(self) -> bool:
        return self.option.form in {REPEATED, SEVERAL}

    @property
    def usage(self) -> str:
        """The command as it is typed."""
        option = self.option
        choices = (ON, OFF) if option.form == SWITCH else option.choices
        value = "|".join(choices) or option.metavar + " ..." * self._is_list
        return f"/{self.name} {value}" + f"|{OFF}" * (option is NOVEL)

    @property
    def help(self) -> str:
        """What ``/help`` says about this setting alone."""
        several = "\nType several values on one line, those with spaces in quotes." * self._is_list
        return f"{self.usage}: {self.option.summary}{self.option.details}{several}"

    def value(self, session: Session) -> Any:
        """Return the current value."""
        if self.option is UNTIL_NEWLINE:
            return NEWLINE in session.sampling.stop
        return getattr(session.sampling if self.is_sampling else session, self.option.name)

    def is_shown(self, session: Session) -> bool:
        """Whether ``/show`` lists the setting."""
        if not self.is_sampling or self.option.name == "temperature":
            return True
        # A line end is shown as a stop text.
        return self.option is not UNTIL_NEWLINE and self.value(session) != self._default

    @property
    def _default(self) -> Any:
        return getattr(Sampling(), self.option.name)

    def line(self, session: Session) -> str:
        """Return the command that sets the current value."""
        value = self.value(session)
        if isinstance(value, bool):
            shown = ON if value else OFF
        elif value is None or value == ():
            shown = OFF
        elif isinstance(value, tuple):
            items = [item if isinstance(item, str) else f"{item[0]}={item[1]:g}" for item in value]
            items = [escape_unprintable(item.replace("\\", "\\\\")) for item in items]
            shown = " ".join(map(quoted, items)) if self._is_list else "".join(items)
        else:
            shown = single_line(str(value))
        return f"/{self.name} {shown}"

    def set(self, session: Session, text: str) -> None:
        """Set the value from a typed text. ``off`` restores the default of a sampling parameter or of novel.

        Raises:
            LineError: If the text is not a value of this setting.
            SamplingError: If the value contradicts another one, or does not fit the model.
            TextFileError: If the text is the path of a file that cannot be read.
            CorpusError: If the text is no corpus.
        """
        name = self.option.name
        source, is_off = source_argument(text), text.strip() == OFF
        if name in FILES and source == STANDARD_INPUT:
            raise LineError(f"/{self.name} needs a file: standard input has the lines of the session")
        if self.option is NOVEL:
            session.novel = None if is_off else source
        elif not self.is_sampling:
            setattr(session, name, self._parse(text))
        elif self.option is UNTIL_NEWLINE:
            stop = [item for item in session.sampling.stop if item != NEWLINE]
            session.sampling = session.sampling.replace(stop=stop + [NEWLINE] * self._parse(text))
        else:
            value = self._default if is_off else read_text(source) if name in FILES else self._parse(text)
            session.sampling = session.sampling.replace(**{name: value})

    def _parse(self, text: str) -> Any:
        """Return the value of a typed text as the argument parser would return it."""
        choices = (ON, OFF) if self.option.form == SWITCH else self.option.choices
        if choices:
            if text.strip() not in choices:
                raise LineError(f"/{self.name} must be {' or '.join(choices)}, not {quote(text)}")
            return text.strip() == ON if self.option.form == SWITCH else text.strip()
        try:
            words = split_words(text) if self._is_list else [text]
            values = [self.option.convert(word) for word in words]
        except argparse.ArgumentTypeError as error:
            raise LineError(f"/{self.name} {error}") from None
        return values if self._is_list else values[0]


def find_settings() -> dict[str, Setting]:
    """Return all settings by name."""
    sampling = [Setting(option, True) for options in sampling_options().values() for option in options]
    settings = [*sampling, *(Setting(option, False) for option in SESSION_OPTIONS)]
    return {setting.name: setting for setting in settings}


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


def quoted(word: str) -> str:
    """Return a word from which ``split_words`` gives this word, if it has no quotes of both kinds."""
    if word and not any(symbol.isspace() or symbol in QUOTES for symbol in word):
        return word
    mark = QUOTES[1] if QUOTES[0] in word else QUOTES[0]
    return f"{mark}{word}{mark}"


def unquoted(argument: str) -> str:
    """Return an argument without the spaces and the quotes around it."""
    text = argument.strip()
    is_quoted = len(text) > 1 and text[0] in QUOTES and text[0] == text[-1]
    return text[1:-1] if is_quoted else text


def source_argument(argument: str) -> str:
    """Return the path, or the name of a corpus, that a command has as its argument. It may be in quotes."""
    source = unquoted(argument)
    # The path ./names would become names, which is the name of a corpus, and ./- would be standard input.
    return str(expand_home(source)) if source.startswith("~") else source


class Interpreter:
    """Carries out lines, and shows their results.

    Args:
        session: The state that the lines change.
        console: Shows texts and answers.
        settings: The settings by name.
        prog: The name of the command.
    """

    def __init__(self, session: Session, console: Console, settings: dict[str, Setting], prog: str) -> None:
        self.session, self._console, self._settings, self._prog = session, console, settings, prog

    def carry_out(self, line: str) -> bool:
        """Carry out a line. Return False if it ends the session.

        An empty line is the command ``more``. Two slashes at the beginning stand for a text with one slash.

        Raises:
            TextgenError: If the line cannot be carried out. The session is then as it was before, or after
                the last character that was shown.
            KeyboardInterrupt: If Ctrl-C ended a text of a session without a person.
        """
        if line and (line[0] != "/" or line[:2] == "//"):
            self.continue_with(Addition(line.removeprefix("/")))
            return True
        name, _, argument = line[1:].partition(" ") if line else ("more", "", "")
        if name in self._settings:
            self._set(self._settings[name], argument)
        elif name not in COMMANDS:
            raise LineError(f"unknown command {quote('/' + name)}; /help lists the commands")
        elif COMMANDS[name][0]:
            getattr(self, f"_{name}")(argument)
        elif argument.strip():
            raise LineError(f"/{name} takes no argument")
        elif name == "quit":
            return False
        else:
            getattr(self, f"_{name}")()
        return True

    def continue_with(self, addition: Addition) -> None:
        """Feed a line, and show it with its continuation, or with several."""
        session, text = self.session, addition.text or ""
        opening = session.add(addition)
        text = text.lower() if session.lowercase else text
        unknown = session.model.tokenizer.count_unknown(session.model.metadata.normalize(text))
        if unknown:
            effect = "skipped" if session.unknown == "skip" else "replaced by the unknown symbol"
            self._console.report(
                f"{effect}, not in the vocabulary: {format_symbols(sorted(unknown))}", "warning"
            )
        self._show_continuations(opening)

    def _show_continuations(self, opening: str) -> None:
        """Show the continuation that was begun, and others of the same line, unless Ctrl-C stops one."""
        first = self.session.alternatives
        last = first + self.session.count - 1
        for number in range(first, last + 1):
            opening = opening if number == first else self.session.retry()
            if not self._show_continuation(opening, (number, last) if self.session.count > 1 else None):
                break

    def _show_continuation(self, opening: str, place: tuple[int, int] | None) -> bool:
        """Show a continuation as it is generated. Return False if Ctrl-C stopped it."""
        console, session = self._console, self.session
        interrupted = False
        with DeferredInterrupts() as interrupts:
            console.begin_text(opening, place)
            try:
                for chunk in session.chunks(interrupts.immediate):
                    console.write(chunk)
            except KeyboardInterrupt:
                interrupted = True
            finally:
                console.write(session.stop())
                console.end_text(session.ending)
        if interrupted:
            if not console.is_terminal:
                raise KeyboardInterrupt
            console.confirm("stopped; an empty line goes on, /undo takes this text back")
        elif session.ending == "masked":
            console.confirm("no text without the mask of the constraint met it, so this one was masked")
        return not interrupted

    def _more(self, argument: str) -> None:
        self.continue_with(Addition(length=self._number("more", argument) if argument.strip() else None))

    def _append(self, argument: str) -> None:
        if not argument:
            raise LineError("/append needs a text")
        self.continue_with(Addition(argument, joined=True))

    def _retry(self) -> None:
        self._show_continuations(self.session.retry())

    def _pick(self, argument: str) -> None:
        self.session.pick(self._number("pick", argument))
        self._console.confirm(self._describe_text())

    def _undo(self) -> None:
        self.session.undo()
        self._console.confirm(self._describe_text())

    def _reset(self) -> None:
        self.session.reset()
        self._console.confirm(self._describe_text())

    def _save(self, argument: str) -> None:
        path = self._path("save", argument)
        check_overwrite("/save", path, "saved generation", self._prog)
        self.session.save(path)
        self._console.confirm(f"saved in {path}")

    def _load(self, argument: str) -> None:
        path = self._path("load", argument)
        for warning in self.session.load(path):
            self._console.report(warning, "warning")
        self._console.confirm(f"loaded {path}")

    @staticmethod
    def _number(name: str, argument: str) -> int:
        """Return the number, 1 or more, that a command has as its argument."""
        try:
            return whole_number(1)(argument)
        except argparse.ArgumentTypeError as error:
            raise LineError(f"/{name} {error}") from None

    @staticmethod
    def _path(name: str, argument: str) -> Path:
        """Return the path that a command has as its argument. It may be in quotes."""
        path = unquoted(argument)
        if not path:
            raise LineError(f"/{name} needs the path of a file")
        return expand_home(path)

    def _set(self, setting: Setting, argument: str) -> None:
        if not argument.strip():
            self._console.answer(f"{setting.line(self.session)}\n")
            return
        before, model = self.session.sampling, self.session.model
        setting.set(self.session, argument)
        sampling = self.session.sampling
        found: list[str] = []
        if sampling.stop != before.stop:
            found += checked_stops(sampling, self.session.model.metadata)[1]
        if sampling.temperature != before.temperature:
            found += temperature_warnings([sampling])
        if self.session.model is not model:
            found += novel_warnings(self.session.model)
        for warning in found:
            self._console.report(warning, "warning")

    def _show(self) -> None:
        shown = [setting for setting in self._settings.values() if setting.is_shown(self.session)]
        lines = [*(setting.line(self.session) for setting in shown), self._describe_text()]
        self._console.answer("".join(f"{line}\n" for line in lines))

    def _describe_text(self) -> str:
        generation, tail, _ = self.session.position
        if generation is None:
            return "there is no text; the next line begins one"
        if not tail:
            return f"the text began with: {escape_unprintable(generation.prompt[:SHOWN_TAIL])}"
        return f"the text ends: {escape_unprintable(tail[-SHOWN_TAIL:])}"

    def _help(self, argument: str) -> None:
        name = argument.strip().removeprefix("/")
        if not name:
            self._console.answer(help_overview(self._settings, terminal_columns()))
        elif name in self._settings:
            self._console.answer(f"{self._settings[name].help}\n")
        elif name in COMMANDS:
            self._console.answer(f"/{' '.join([name, COMMANDS[name][0]]).rstrip()}: {COMMANDS[name][1]}\n")
        else:
            raise LineError(f"unknown command {quote('/' + name)}; /help lists the commands")


def help_overview(settings: dict[str, Setting], columns: int) -> str:
    """Return the list of all commands, in lines of at most this many columns."""
    width = max(columns - 1, MIN_WIDTH)
    plain = TextWrapper(width, break_on_hyphens=False)
    indented = TextWrapper(width, subsequent_indent=" " * USAGE_WIDTH, break_on_hyphens=False)
    described = [(f"/{name} {argument}", summary) for name, (argument, summary) in COMMANDS.items()]
    described += [(one.usage, one.option.summary) for one in settings.values() if not one.is_sampling]
    lines = plain.wrap(INTRODUCTION)
    for usage, summary in described:
        lines += indented.wrap(f"{usage:<{USAGE_WIDTH - 1}} {summary}")
    lines += plain.wrap("Sampling options, as on the command line. The value off restores the default:")
    # A usage must not be split between lines.
    usages = [setting.usage.replace(" ", "\0") for setting in settings.values() if setting.is_sampling]
    lines += [line.replace("\0", " ") for line in plain.wrap("   ".join(usages))]
    return "".join(f"{line}\n" for line in lines)


def interact(
    arguments: argparse.Namespace,
    samplings: Sequence[Sampling],
    model: Model,
    prompt: str | None,
    seed: int,
) -> int:
    """Carry out lines from standard input until its end; return 1 if a line from a pipe could not be, else 0.

    On a terminal, lines can be edited, and Ctrl-C stops only the current text. The prompt is continued before
    the first line, unless it is None.
    """
    command = parser()
    if len(samplings) != 1:
        command.error("--interactive uses one value of --temp")
    sampling_names = [option.name for options in sampling_options().values() for option in options]
    known = {*ARGUMENTS, *sampling_names, *(option.name for option in SESSION_OPTIONS)}
    refuse(command, arguments, [name for name in vars(arguments) if name not in known], "--interactive")
    (sampling,) = samplings
    session = Session(model, Sampling(), seed)
    for option in SESSION_OPTIONS:
        value = seed if option is SEED else getattr(arguments, option.name)
        if value is not None:
            setattr(session, option.name, value)
    for warning in (*temperature_warnings(samplings), *novel_warnings(session.model)):
        print_diagnostic(command.prog, warning, "warning")
    session.sampling = with_checked_stops(command.prog, model, sampling)
    settings = find_settings()
    names = [f"/{name}" for name in (*COMMANDS, *settings)]
    console = open_console(command.prog, names, echo=not arguments.no_echo, records=model.metadata.records)
    interpreter = Interpreter(session, console, settings, command.prog)
    if not console.is_terminal:
        return run_session(interpreter, console, prompt)
    with interrupts_ignored():
        for line in WELCOME:
            console.confirm(line)
        run_session(interpreter, console, prompt)
    return 0


def run_session(interpreter: Interpreter, console: Console, prompt: str | None) -> int:
    """Carry out all lines; return the exit code of a session from a pipe."""
    code = 0
    if prompt is not None:
        interpreter.continue_with(Addition(prompt))
    while True:
        line = None
        try:
            line = console.read_line()
            if line is None or not interpreter.carry_out(line):
                return code
        except KeyboardInterrupt:
            if not console.is_terminal:
                raise
        except MemoryError:
            console.report("not enough memory")
            code = EXIT_FAILED
        except TextgenError as error:
            if line is None and not isinstance(error, LineError):
                # Standard input cannot be read.
                raise
            console.report(error.spelled(spell_setting))
            code = EXIT_FAILED


def spell_setting(name: Name) -> str:
    """Return a parameter as a command of a session."""
    return spell_option(name).replace("--", "/", 1)
