"""What a user can cause to go wrong, as one small family of exceptions.

Every message is one line that says what is wrong, where, and what to do about it. The commands print
it as it stands; anything outside this family is a defect of the project and shows its traceback.
A value that comes from a user or from a file is put into a message by ``quote``, a path by ``shorten``.
"""

from reprlib import Repr

QUOTED_LENGTH = 80
SHORTENED_LENGTH = 200

# No integer of more digits is turned into text: Python refuses those of more than 4,300.
QUOTED_BITS = 256

_repr = Repr()
_repr.maxstring = _repr.maxlong = _repr.maxother = QUOTED_LENGTH


def quote(value: object) -> str:
    """A value as it stands in a message: its repr, of which at most 80 characters are shown."""
    if isinstance(value, int) and value.bit_length() > QUOTED_BITS:
        return f"an integer of {value.bit_length():,} bits"
    return shorten(_repr.repr(value), QUOTED_LENGTH)


def shorten(text: str, length: int = SHORTENED_LENGTH) -> str:
    """A text of which at most so many characters are shown: its beginning and its end."""
    if len(text) <= length:
        return text
    half = (length - 3) // 2
    return f"{text[: length - 3 - half]}...{text[-half:]}"


def first_line(error: BaseException) -> str:
    """The first line of another library's message, shortened; the name of its kind if it has no message."""
    return shorten((str(error).strip().splitlines() or [type(error).__name__])[0])


class TextgenError(Exception):
    """Base of everything that a user of the library or of the commands can cause."""


class ModelFileError(TextgenError):
    """A model file that is missing, damaged, or not a text generator that this version reads."""


class UnknownGraphError(ModelFileError):
    """A model file whose graph the native engine does not run, though another engine may."""


class TooLargeError(UnknownGraphError):
    """A model file whose graph is known, but beyond the limits of the native engine."""


class PromptError(TextgenError, ValueError):
    """A prompt that is empty or holds characters outside the model's vocabulary."""


class SamplingError(TextgenError, ValueError):
    """A temperature, logits or a distribution from which nothing can be drawn."""


class ScoringError(TextgenError, ValueError):
    """A text in which there is nothing to predict, or logits that say nothing about it."""


class SavedGenerationError(TextgenError):
    """A saved generation that is damaged or belongs to another model."""


class TextFileError(TextgenError):
    """A text that cannot be read, or is not UTF-8."""


class CorpusError(TextgenError):
    """A corpus that cannot be had, or that nothing can be learned from."""


class OutputError(TextgenError):
    """A file that cannot be written."""
