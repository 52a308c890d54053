"""Parameters: dataclass fields with a type, a range or choices, and a help text.

Each parameter is declared once. Its check, its option of the command line, its stored value in a checkpoint
and its row in the report follow from the declaration.
"""

from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from textgen_runtime.errors import Name, quote

from .errors import RecipeError

T = TypeVar("T")

# All stored integers are counts of at most 63 bits.
MAX_COUNT = 2**63 - 1


@dataclass(frozen=True)
class Range:
    """The valid values of a number.

    Attributes:
        above: Whether the minimum itself is not valid.
        below: Whether the maximum itself is not valid.
    """

    minimum: float
    maximum: float = MAX_COUNT
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        is_high = value > self.minimum if self.above else value >= self.minimum
        return is_high and (value < self.maximum if self.below else value <= self.maximum)

    def __str__(self) -> str:
        minimum, maximum = map(_digits, (self.minimum, self.maximum))
        if self.maximum == MAX_COUNT:
            return f"of {minimum} or more and below 2^63"
        if self.above or self.below:
            return (
                f"{'above' if self.above else 'of at least'} {minimum} and "
                f"{'below' if self.below else 'at most'} {maximum}"
            )
        return f"from {minimum} to {maximum}"


def number(default: float | None, help_text: str, valid: Range, **presentation: str) -> Any:
    """Return a dataclass field for a number in a range.

    Args:
        default: The default value, which may be None.
        help_text: What the parameter is, for the help of the command line and for the report.
        valid: The range of other values than the default.
        presentation: How the command line shows the parameter, by these keys, all optional: ``option``, if
            its name is another one; ``short``, its one-letter name; ``metavar``; ``group``, the heading in
            the help; and ``excludes``, a name that parameters share of which only one may be given.
    """
    return _declare(default, help=help_text, range=valid, **presentation)


def choice(default: str | None, help_text: str, choices: Sequence[str], **presentation: str) -> Any:
    """Return a dataclass field for one of several texts; see ``number``."""
    return _declare(default, help=help_text, choices=tuple(choices), **presentation)


def flag(help_text: str, **presentation: str) -> Any:
    """Return a boolean dataclass field, False by default; see ``number``."""
    return _declare(False, help=help_text, **presentation)


def text(default: str | None, help_text: str, **presentation: str) -> Any:
    """Return a dataclass field for a text; see ``number``."""
    return _declare(default, help=help_text, **presentation)


def texts(help_text: str, **presentation: str) -> Any:
    """Return a dataclass field for one or more texts, None by default; see ``number``."""
    return _declare(None, help=help_text, **presentation)


def path(help_text: str, **presentation: str) -> Any:
    """Return a dataclass field for a path, None by default; see ``number``."""
    return _declare(None, help=help_text, **presentation)


def _declare(default: Any, **metadata: Any) -> Any:
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Parameters:
    """Base class of groups of parameters. Fields without a declaration are not checked."""

    def __post_init__(self) -> None:
        """Check the values."""
        for parameter in fields(self):
            value = getattr(self, parameter.name)
            if parameter.metadata and not (value is None and parameter.default is None):
                _check(parameter, value)


def kind_of(parameter: Field[Any]) -> type:
    """Return the type of a parameter: int, float, bool, str, list or Path."""
    kinds: tuple[Any, ...] = get_args(parameter.type) or (parameter.type,)
    kind: type = next(kind for kind in kinds if kind is not type(None))
    return get_origin(kind) or kind


def option_name(name: str) -> str:
    """Return the command-line name of a parameter, without the leading dashes."""
    return name.replace("_", "-")


def format_value(value: float | str) -> str:
    """Return the value of a parameter, as it is written on the command line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _check(parameter: Field[Any], value: object) -> None:
    kind, metadata = kind_of(parameter), parameter.metadata
    valid, choices = metadata.get("range"), metadata.get("choices")
    if valid is not None:
        is_number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
        is_valid = is_number and value in valid
        expected = f"{'an integer' if kind is int else 'a number'} {valid}"
    elif choices is not None:
        is_valid, expected = value in choices, f"one of {', '.join(choices)}"
    else:
        expected = {bool: "true or false", str: "a text", list: "one or more texts", Path: "a path"}[kind]
        is_valid = isinstance(value, kind)
        if kind is list and isinstance(value, list):
            is_valid = bool(value) and all(isinstance(part, str) for part in value)
    if not is_valid:
        raise RecipeError(Name(parameter.name), f" must be {expected}, not {quote(value)}")


def _digits(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def to_plain(value: Any) -> Any:
    """Return a value with a dict in place of each dataclass in it. All other objects are shared."""
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {name: to_plain(part) for name, part in value.items()}
    return [to_plain(part) for part in value] if isinstance(value, list) else value


def from_plain(kind: type[T], value: Any) -> T:
    """Create a dataclass from the result of ``to_plain``.

    Only the names of its fields are checked, and what the dataclass itself checks. Fields may have other
    dataclasses, in lists, in dicts and in unions with None.

    Raises:
        ValueError: If a field is missing or unknown; or the error of the dataclass.
    """
    types = get_type_hints(kind)
    try:
        return kind(**{name: _nested(types.get(name), part) for name, part in value.items()})
    except (AttributeError, TypeError) as error:
        raise ValueError(str(error)) from error


def _nested(kind: Any, value: Any) -> Any:
    """Return a value of an annotated type, with dataclasses in place of their dicts."""
    parts = [part for part in get_args(kind) if part is not type(None)]
    if isinstance(kind, type) and is_dataclass(kind):
        return from_plain(kind, value)
    if value is None or not parts:
        return value
    if get_origin(kind) is list:
        return [_nested(parts[0], part) for part in value]
    if get_origin(kind) is dict:
        return {name: _nested(parts[1], part) for name, part in value.items()}
    return _nested(parts[0], value) if len(parts) == 1 else value
