"""The settings of an interactive session: options of ``textgen-run``, each as a command of the same name.

``/temp 0.8`` does in a session what ``--temp 0.8`` does on the command line. A new sampling parameter needs
no change here.
"""

import argparse
from collections.abc import Collection, Sequence
from shlex import shlex
from textwrap import TextWrapper
from typing import Any, NamedTuple

from textgen_runtime.errors import Name, quote
from textgen_runtime.sampling import Sampling
from textgen_runtime.system.console import escape_unprintable, single_line
from textgen_runtime.system.file_content import STANDARD_INPUT, read_text

from ._interactive_lines import COMMANDS, QUOTES, Description, LineError, source_argument, unknown_command
from ._interactive_session import Session
from ._run_arguments import NOVEL, SESSION_OPTIONS
from ._sampling_options import NEWLINE, REPEATED, SEVERAL, SWITCH, UNTIL_NEWLINE, Option, sampling_options
from .command import spell_option

ON, OFF = "on", "off"

# Options whose value is the path of a file that is read.
FILES = ("json_schema", "novel")


class Setting(NamedTuple):
    """One setting.

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
    def description(self) -> Description:
        """The name, the value and a summary."""
        option = self.option
        argument = f"{ON}|{OFF}" if option.form == SWITCH else "|".join(option.choices)
        argument = f"{option.metavar}|{OFF}" if option is NOVEL else argument
        return Description(self.name, argument or option.metavar + " ..." * self._is_list, option.summary)

    @property
    def help(self) -> str:
        """What ``/help`` says about this setting alone."""
        several = "\nType several values on one line, those with spaces in quotes." * self._is_list
        return f"{self.description.usage}: {self.option.summary}{self.option.details}{several}"

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
        name = self.option.name
        return self.option is not UNTIL_NEWLINE and self.value(session) != getattr(Sampling(), name)

    def line(self, session: Session) -> str:
        """Return the command that sets the current value."""
        return f"/{self.name} {self._format(self.value(session))}"

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
            others = [item for item in session.sampling.stop if item != NEWLINE]
            stop = [*others, NEWLINE] if self._parse(text) else others
            session.sampling = session.sampling.replace(stop=stop)
        elif is_off:
            session.sampling = session.sampling.replace(**{name: getattr(Sampling(), name)})
        else:
            value = read_text(source) if name in FILES else self._parse(text)
            session.sampling = session.sampling.replace(**{name: value})

    def _parse(self, text: str) -> Any:
        """Return the value of a typed text as the argument parser would return it."""
        if self.option.form == SWITCH:
            self._check_choice(text.strip(), (ON, OFF))
            return text.strip() == ON
        if self._is_list:
            return [self._convert(word) for word in split_words(text)]
        return self._convert(text.strip() if self.option.choices else text)

    def _convert(self, word: str) -> Any:
        try:
            value = self.option.convert(word)
        except argparse.ArgumentTypeError as error:
            raise LineError(f"/{self.name} {error}") from None
        if self.option.choices:
            self._check_choice(value, self.option.choices)
        return value

    def _check_choice(self, value: object, choices: Sequence[object]) -> None:
        if value not in choices:
            raise LineError(f"/{self.name} must be {' or '.join(map(str, choices))}, not {quote(value)}")

    def _format(self, value: Any) -> str:
        """Return a value as it is typed after the name."""
        if isinstance(value, bool):
            return ON if value else OFF
        if value is None or value == ():
            return OFF
        if not isinstance(value, tuple):
            return single_line(str(value))
        items = [item if isinstance(item, str) else f"{item[0]}={item[1]:g}" for item in value]
        shown = [escape_unprintable(item.replace("\\", "\\\\")) for item in items]
        return join_words(shown) if self._is_list else "".join(shown)


def find_settings() -> dict[str, Setting]:
    """Return all settings by name."""
    sampling = [Setting(option, True) for options in sampling_options().values() for option in options]
    settings = [*sampling, *(Setting(option, False) for option in SESSION_OPTIONS)]
    return {setting.name: setting for setting in settings}


def split_words(text: str) -> list[str]:
    r"""Return the words of a text. A word in quotes may have spaces.

    Backslashes are kept, unlike in a shell, because ``\n`` stands for a line end.

    Raises:
        LineError: If there is no word, or if a quote is not closed.
    """
    lexer = shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.escape = lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        raise LineError(f"a quote is not closed: {text}") from None
    if not words:
        raise LineError("a value is missing")
    return words


def join_words(words: list[str]) -> str:
    """Return a text from which ``split_words`` gives these words, if no word has quotes of both kinds."""
    return " ".join([_quoted(word) for word in words])


def _quoted(word: str) -> str:
    if word and not any(symbol.isspace() or symbol in QUOTES for symbol in word):
        return word
    quote = QUOTES[1] if QUOTES[0] in word else QUOTES[0]
    return f"{quote}{word}{quote}"


# The columns of the left part of the list of commands, and the least columns of both parts.
USAGE_WIDTH, MIN_WIDTH = 20, 50

INTRODUCTION = (
    "A line is a text that the model continues. An empty line continues further. Ctrl-C stops a text. "
    "// begins a text with a slash. /help NAME tells more about a command."
)

SAMPLING = "Sampling options, as on the command line. The value off restores the default:"


def help_overview(settings: Collection[Setting], columns: int) -> str:
    """Return the list of all commands, in lines of at most this many columns."""
    width = max(columns - 1, MIN_WIDTH)
    plain = TextWrapper(width, break_on_hyphens=False)
    indented = TextWrapper(width, subsequent_indent=" " * USAGE_WIDTH, break_on_hyphens=False)
    described = [*COMMANDS, *(setting.description for setting in settings if not setting.is_sampling)]
    sampling = [setting.description.usage for setting in settings if setting.is_sampling]
    lines = plain.wrap(INTRODUCTION)
    for found in described:
        lines += indented.wrap(f"{found.usage:<{USAGE_WIDTH - 1}} {found.summary}")
    lines += plain.wrap(SAMPLING)
    # A usage must not be split between lines.
    usages = plain.wrap("   ".join([usage.replace(" ", "\0") for usage in sampling]))
    lines += [line.replace("\0", " ") for line in usages]
    return "".join([f"{line}\n" for line in lines])


def help_on(name: str, settings: dict[str, Setting]) -> str:
    """Return the explanation of one command.

    Raises:
        LineError: If there is no such command.
    """
    if name in settings:
        return f"{settings[name].help}\n"
    commands = {command.name: command for command in COMMANDS}
    if name not in commands:
        raise unknown_command(name, [*commands, *settings])
    found: Description = commands[name]
    return f"{found.usage}: {found.summary}\n"
