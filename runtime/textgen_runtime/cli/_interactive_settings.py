"""The settings of an interactive session: the options of ``textgen-run``, each as a command of the same name.

``/temp 0.8`` does in a session what ``--temp 0.8`` does on the command line. Names, types and help texts are
those of the argument parser. A new sampling option therefore needs no change here if its destination is the
field of ``Sampling``, and its value is that of the field. ``FIELDS``, ``CONVERSIONS`` and ``SHORTHANDS``
list the other options.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from textgen_runtime.errors import quote
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.system.text_files import read_text

from ._interactive_commands import Description, LineError
from ._interactive_session import Session
from ._interactive_words import join_words, split_words
from ._readable import escape_unprintable, single_line
from ._sampling_arguments import NEWLINE, add_sampling

# Destinations that are not the name of the field of ``Sampling``.
FIELDS = {"temp": "temperature", "until_newline": "stop"}

# Switches that stand for items of a field that has its own option.
SHORTHANDS = {"until_newline": (NEWLINE,)}

# The summaries of options whose help texts begin with several values or with the prompt.
SUMMARIES = {
    "temp": "sampling temperature",
    "unknown": "what to do with characters outside the vocabulary: skip removes them",
    "lowercase": "convert typed text to lower case",
}

# The options besides sampling that can be changed in a session; each is an attribute of ``Session``.
SESSION_OPTIONS = ("length", "seed", "unknown", "lowercase")

# Settings that /show lists even if they have their defaults.
ALWAYS_SHOWN = ("temp", *SESSION_OPTIONS)

ON, OFF = "on", "off"


def only_item(values: Sequence[Any]) -> Any:
    """Return the only item of a list."""
    if len(values) != 1:
        raise LineError(f"a session uses one value at a time, not {len(values)}")
    return values[0]


# What converts the value of an option to that of the field.
CONVERSIONS: dict[str, Callable[[Any], Any]] = {"temp": only_item, "json_schema": read_text}


class Setting(NamedTuple):
    """One setting.

    Attributes:
        name: The name of the option without dashes, such as ``top-p``.
        action: The option.
    """

    name: str
    action: argparse.Action

    @property
    def is_sampling(self) -> bool:
        """Whether the value belongs to ``Sampling``, and not to ``Session``."""
        return self.action.dest not in SESSION_OPTIONS

    @property
    def field(self) -> str:
        """The attribute of ``Sampling`` or of ``Session`` that holds the value."""
        return FIELDS.get(self.action.dest, self.action.dest)

    @property
    def is_switch(self) -> bool:
        """Whether the option has no value on the command line."""
        return self.action.nargs == 0

    @property
    def is_list(self) -> bool:
        """Whether the option accepts several values."""
        return self.action.nargs == "+" or isinstance(self.action, argparse._AppendAction)  # noqa: SLF001 (argparse has no public name)

    @property
    def description(self) -> Description:
        """The name, the value and a summary."""
        argument = f"{ON}|{OFF}" if self.is_switch else "|".join(self.action.choices or ())
        argument = argument or f"{self.action.metavar}{' ...' * self._takes_several}"
        return Description(self.name, argument, SUMMARIES.get(self.action.dest, self._help_parts[0]))

    @property
    def help(self) -> str:
        """What ``/help`` says about this setting alone."""
        several = "\nType several values on one line, those with spaces in quotes." * self._takes_several
        return f"{self.description.usage}: {self.description.summary}{self._help_parts[1]}{several}"

    @property
    def _help_parts(self) -> tuple[str, str]:
        """The summary and the rest of the help text of the option."""
        text = self.action.help or ""
        end = re.search(r"; | \(default|$", text).start()  # type: ignore[union-attr]
        return text[:end], text[end:]

    @property
    def _takes_several(self) -> bool:
        return self.is_list and CONVERSIONS.get(self.action.dest) is not only_item

    def value(self, session: Session) -> Any:
        """Return the current value."""
        value = getattr(session.sampling if self.is_sampling else session, self.field)
        shorthand = SHORTHANDS.get(self.action.dest)
        return value if shorthand is None else set(shorthand) <= set(value)

    def is_shown(self, session: Session) -> bool:
        """Whether ``/show`` lists the setting."""
        if self.action.dest in SHORTHANDS:
            return False
        return self.name in ALWAYS_SHOWN or self.value(session) != getattr(Sampling(), self.field)

    def line(self, session: Session) -> str:
        """Return the command that sets the current value."""
        return f"/{self.name} {self._format(self.value(session))}"

    def set(self, session: Session, text: str) -> None:
        """Set the value from a typed text. ``off`` restores the default of a sampling parameter.

        Raises:
            LineError: If the text is not a value of this setting.
            SamplingError: If the value contradicts another one, or does not fit the model.
            TextFileError: If the text is the path of a file that cannot be read.
        """
        if not self.is_sampling:
            setattr(session, self.field, self._parse(text))
            return
        shorthand = SHORTHANDS.get(self.action.dest)
        if shorthand is not None:
            others = [item for item in getattr(session.sampling, self.field) if item not in shorthand]
            value = [*others, *(shorthand if self._parse(text) else ())]
        elif text == OFF:
            value = getattr(Sampling(), self.field)
        else:
            value = CONVERSIONS.get(self.action.dest, lambda value: value)(self._parse(text))
        session.sampling = session.sampling.replace(**{self.field: value})

    def _parse(self, text: str) -> Any:
        """Return the value of a typed text as the argument parser would return it."""
        if self.is_switch:
            self._check_choice(text, (ON, OFF))
            return text == ON
        if not self.is_list:
            return self._convert(text)
        return [self._convert(word) for word in split_words(text)]

    def _convert(self, word: str) -> Any:
        convert: Any = self.action.type or str
        try:
            value = convert(word)
        except argparse.ArgumentTypeError as error:
            raise LineError(f"/{self.name} {error}") from None
        if self.action.choices is not None:
            self._check_choice(value, tuple(self.action.choices))
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
        return join_words(shown) if self.is_list else "".join(shown)


def find_settings(command: argparse.ArgumentParser) -> dict[str, Setting]:
    """Return all settings by name.

    Args:
        command: The argument parser of ``textgen-run``.
    """
    found = {action.dest: action for action in command._actions}  # noqa: SLF001 (argparse has no public list)
    actions = [*sampling_actions(), *(found[name] for name in SESSION_OPTIONS)]
    settings = [Setting(action.option_strings[-1].lstrip("-"), action) for action in actions]
    return {setting.name: setting for setting in settings}


def sampling_actions() -> list[argparse.Action]:
    """Return the sampling options."""
    command = argparse.ArgumentParser(add_help=False)
    add_sampling(command)
    return command._actions  # noqa: SLF001 (argparse has no public list)
