"""Exceptions for errors that a user can cause, and helpers for their messages.

Every message is one line that says what is wrong, where, and what to do. The commands print the message. An
exception of any other class is a bug in the project and shows its traceback, except ``ImportError``: the
installation lacks a module, and ``textgen_launcher.py`` prints the message. Messages format values with
``quote`` and paths with ``shorten``.
"""

from collections.abc import Callable
from reprlib import Repr
from typing import Self

MAX_QUOTED_LENGTH = 80
MAX_SHORTENED_LENGTH = 200

# Python refuses to convert integers of more than 4,300 digits to text.
MAX_QUOTED_BITS = 256

_repr = Repr()
_repr.maxstring = _repr.maxlong = _repr.maxother = MAX_QUOTED_LENGTH


def quote(value: object) -> str:
    """Return the repr of a value, cut to at most 80 characters."""
    if isinstance(value, int) and value.bit_length() > MAX_QUOTED_BITS:
        return f"an integer of {value.bit_length():,} bits"
    return shorten(_repr.repr(value), MAX_QUOTED_LENGTH)


def shorten(text: str, length: int = MAX_SHORTENED_LENGTH) -> str:
    """Return a text of at most ``length`` characters. Of a longer text, the middle is omitted."""
    if len(text) <= length:
        return text
    half = (length - 3) // 2
    return f"{text[: length - 3 - half]}...{text[-half:]}"


def install_command(extra: str) -> str:
    """Return how to install the packages of an extra."""
    return f'in a clone of this project, pip install ".[{extra}]"'


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, shortened, or its class name if it has no message."""
    return shorten((str(error).strip().splitlines() or [type(error).__name__])[0])


def path_failure(error: OSError | ValueError) -> str:
    """Return why a path cannot be used.

    Python raises ``ValueError`` for a name with a zero byte or half of a surrogate pair.
    """
    return error.strerror or str(error) if isinstance(error, OSError) else "no file can have this name"


class Name(str):
    """The name of a parameter in a message. Each surface spells it in its own way, such as ``--top-p``.

    Attributes:
        value: A value to give to the parameter, or None.
    """

    __slots__ = ("value",)

    value: str | None

    def __new__(cls, name: str, value: str | None = None) -> Self:
        created = super().__new__(cls, name)
        created.value = value
        return created


def spell_keyword(name: Name) -> str:
    """Return a parameter as Python's keyword."""
    return name if name.value is None else f'{name}="{name.value}"'


class TextgenError(Exception):
    """Base class of all errors that a user can cause.

    Args:
        parts: The parts of the message. A ``Name`` is spelled as a keyword of Python in ``str(error)``, and
            as the surface spells it in ``spelled``.
        parameter: The name of the parameter that the error is about. By default the first ``Name``.

    Attributes:
        parameter: The name of the parameter that the error is about, or None.
    """

    parameter: str | None

    def __init__(self, *parts: str, parameter: str | None = None) -> None:
        super().__init__(*parts)
        named = next((part for part in parts if isinstance(part, Name)), None)
        self.parameter = str(named) if parameter is None and named is not None else parameter

    def spelled(self, spell: Callable[[Name], str]) -> str:
        """Return the message, with the names of parameters as ``spell`` returns them."""
        return "".join(spell(part) if isinstance(part, Name) else str(part) for part in self.args)

    def __str__(self) -> str:
        return self.spelled(spell_keyword)


class ModelFileError(TextgenError):
    """A model file is missing, damaged, not a text generator, or from a newer version."""


class UnknownGraphError(ModelFileError):
    """The native engine cannot run the graph of a model file; onnxruntime may run it."""


class PromptError(TextgenError, ValueError):
    """A prompt is empty or has characters outside the model's vocabulary."""


class SamplingError(TextgenError, ValueError):
    """A temperature, logits or a distribution is not valid for sampling."""


class ConstraintError(SamplingError):
    """An expression, a list of choices or a JSON schema cannot constrain texts of the vocabulary."""


class ScoringError(TextgenError, ValueError):
    """A text is too short to be scored, or the model's logits are not finite."""


class SavedGenerationError(TextgenError):
    """A saved generation is damaged or belongs to another model."""


class TextFileError(TextgenError):
    """A text cannot be read or is not UTF-8."""


class EncodingError(TextFileError):
    """A text is binary or not UTF-8."""


class CorpusError(TextgenError):
    """A corpus is not available or not suitable for training."""


class OutputError(TextgenError):
    """A file cannot be written."""
