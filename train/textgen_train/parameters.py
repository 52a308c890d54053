"""Parameters: dataclass fields with a type, a range or choices, and a help text.

Each parameter is declared once. Its check, its option of the command line, its stored value in a checkpoint
and its row in the report follow from the declaration.
"""

from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from textgen_runtime.errors import Name, quote

from .errors import RecipeError

T = TypeVar("T")

# All stored integers are counts of at most 63 bits.
MAX_COUNT = 2**63 - 1


@dataclass(frozen=True)
class Range:
    """The valid values of a number.

    Attributes:
        minimum: The smallest number.
        maximum: The largest number.
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


def path(help_text: str, **presentation: str) -> Any:
    """Return a dataclass field for a path, None by default; see ``number``."""
    return _declare(None, help=help_text, **presentation)


def _declare(default: Any, **metadata: Any) -> Any:
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Parameters:
    """Base class of groups of parameters. Fields without a declaration are not checked."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            RecipeError: If a value is out of its range, not one of its choices, or of the wrong type.
        """
        for parameter in fields(self):
            value = getattr(self, parameter.name)
            if parameter.metadata and not (value is None and parameter.default is None):
                _check(parameter, value)


def kind_of(parameter: Field[Any]) -> type:
    """Return the type of a parameter: int, float, bool, str or Path."""
    kinds: tuple[Any, ...] = get_args(parameter.type) or (parameter.type,)
    kind: type = next(kind for kind in kinds if kind is not type(None))
    return kind


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
        expected = {bool: "true or false", str: "a text", Path: "a path"}[kind]
        is_valid = isinstance(value, kind)
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


def from_plain(kind: type[T], value: object) -> T:
    """Create a dataclass from the result of ``to_plain``.

    Args:
        kind: The dataclass. The types of its fields consist of dataclasses, other classes, ``None``, ``Any``,
            unions, lists, and dicts with names as keys. An ``int`` is a count, and a ``float`` may be an
            integer.
        value: The result of ``to_plain``.

    Raises:
        ValueError: If a field is missing, unknown or of another type. The message begins with its name. Or
            the error of the dataclass.
    """
    result: T = _dataclass(kind, value, "")
    return result


def _dataclass(kind: Any, value: object, name: str) -> Any:
    if not isinstance(value, dict):
        raise _invalid(name)
    prefix = f"{name}." if name else ""
    known = {field.name: field for field in fields(kind)}
    for field_ in known.values():
        if field_.name not in value and field_.default is MISSING:
            raise ValueError(f"{quote(prefix + field_.name)} is missing")
    for key in value:
        if key not in known:
            raise ValueError(f"{quote(prefix + key)} is unknown")
    types = get_type_hints(kind)
    return kind(**{key: _typed(types[key], part, f"{prefix}{key}") for key, part in value.items()})


def _typed(kind: Any, value: Any, name: str) -> Any:
    """Return a value of an annotated type."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if is_dataclass(kind):
        return _dataclass(kind, value, name)
    if origin in {Union, UnionType}:
        return _union(parts, value, name)
    if not (value in parts if origin is Literal else _is_instance(origin or kind, value)):
        raise _invalid(name)
    if origin is list:
        return [_typed(parts[0], part, f"{name}.{i}") for i, part in enumerate(value)]
    if origin is dict:
        return {key: _typed(parts[1], part, f"{name}.{key}") for key, part in value.items()}
    return value


def _union(kinds: tuple[Any, ...], value: Any, name: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    *others, last = [kind for kind in kinds if kind is not type(None)]
    for kind in others:
        try:
            return _typed(kind, value, name)
        except ValueError:
            continue
    # The message about the last type is as good as any other.
    return _typed(last, value, name)


def _is_instance(kind: type, value: Any) -> bool:
    if kind in (int, float):
        is_count = type(value) is int and 0 <= value <= MAX_COUNT
        return is_count or (kind is float and type(value) is float)
    return isinstance(value, kind)


def _invalid(name: str) -> ValueError:
    return ValueError(f"{quote(name) if name else 'it'} has an invalid value")
