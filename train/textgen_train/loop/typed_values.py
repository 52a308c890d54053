"""Dataclasses from plain values such as those of JSON, and back. Names and types of fields are checked."""

from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from textgen_runtime.errors import quote

T = TypeVar("T")

# All integers in stored values are counts.
MAX_COUNT = 2**63 - 1


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
        ValueError: If a field is missing, unknown or of another type. The message begins with its name.
    """
    result: T = _dataclass(kind, value, "")
    return result


def _dataclass(kind: Any, value: object, name: str) -> Any:
    if not isinstance(value, dict):
        raise _invalid(name)
    prefix = f"{name}." if name else ""
    known = {field.name: field for field in fields(kind)}
    for field in known.values():
        if field.name not in value and field.default is MISSING:
            raise ValueError(f"{quote(prefix + field.name)} is missing")
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
    if origin is UnionType:
        return _union(parts, value, name)
    if not _is_instance(origin or kind, value):
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
