"""Checks of the keywords of a JSON schema, and the expressions that need no other part of the schema."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from textgen_runtime.errors import ConstraintError, first_line, quote, shorten
from textgen_runtime.system.json_text import UnwritableError, to_json

from ._json_values import CHARACTER, FORMATS, STRING, counted, string_of_pattern

# Keywords that do not change which values are valid.
ANNOTATIONS: Final = {
    "$anchor",
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
}
MAX_BOUND: Final = 999_999_999
KEYWORDS: Final[Mapping[str, Collection[str]]] = {
    "object": ("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "integer": (),
    "number": (),
    "boolean": (),
    "null": (),
}


TOO_DEEP: Final = "is nested too deeply; use fewer levels"


def schema_error(place: str, reason: str) -> ConstraintError:
    """Return the error of one place in the schema, such as ``#/properties/name``."""
    return ConstraintError(f"the JSON schema, at {shorten(place)}: {reason}")


def refuse_others(keywords: Collection[str], supported: Collection[str], place: str) -> None:
    """Raise ConstraintError if a keyword is not among the supported ones."""
    for keyword in keywords:
        if keyword not in supported:
            raise schema_error(place, f"the keyword {quote(keyword)} is not supported here; remove it")


def types_of(schema: Mapping[str, Any], keywords: Collection[str], place: str) -> list[str]:
    """Return the types that a schema names, or the type that its keywords belong to."""
    types = schema.get("type")
    if types is None:
        types = [name for name, own in KEYWORDS.items() if set(keywords) & set(own)][:1]
    elif isinstance(types, str):
        types = [types]
    if not isinstance(types, list) or not types:
        refuse_others(keywords, ["type"], place)
        raise schema_error(place, "type must be the name of a type, or a list of names")
    for name in types:
        if not isinstance(name, str) or name not in KEYWORDS:
            raise schema_error(place, f"{quote(name)} is not a type; use {', '.join(KEYWORDS)}")
    return types


def bounds_of(schema: Mapping[str, Any], least: str, most: str, place: str) -> tuple[int, int | None]:
    """Return the values of two keywords that bound a number of things."""
    for keyword in (least, most):
        value = schema.get(keyword, 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise schema_error(
                f"{place}/{keyword}", f"the value must be an integer, 0 or more, not {quote(value)}"
            )
        if value > MAX_BOUND:
            raise schema_error(f"{place}/{keyword}", f"the value must be at most {MAX_BOUND:,}")
    bounds = schema.get(least, 0), schema.get(most)
    if bounds[1] is not None and bounds[1] < bounds[0]:
        raise schema_error(place, f"{most} is less than {least}; raise {most}, or lower {least}")
    return bounds


def alternatives(options: Sequence[str]) -> str:
    """Return an expression for any of some expressions."""
    return options[0] if len(options) == 1 else f"(?:{'|'.join(options)})"


def constant(value: object, place: str) -> str:
    """Return the expression of one value."""
    try:
        return re.escape(to_json(value, ascii_only=False, compact=True))
    except UnwritableError as error:
        raise schema_error(place, error.reason) from None
    except RecursionError:
        raise schema_error(place, f"this part {TOO_DEEP}") from None


def constants(schema: Mapping[str, Any], keywords: Collection[str], keyword: str, place: str) -> str:
    """Return the expression of ``enum`` or ``const``, without values of other types than ``type``."""
    values, inside = schema[keyword], f"{place}/{keyword}"
    if keyword == "const":
        values = [values]
    if not isinstance(values, list):
        raise schema_error(inside, f"the value must be a list, not {quote(values)}")
    if "type" in schema:
        types = types_of(schema, keywords, place)
        values = [value for value in values if any(_has_type(value, name) for name in types)]
    if not values:
        raise schema_error(inside, "the list is empty, or has no value of the type; add one")
    return alternatives([constant(value, inside) for value in values])


def _has_type(value: object, name: str) -> bool:
    if isinstance(value, bool) or value is None:
        return name == ("null" if value is None else "boolean")
    classes: dict[str, type | tuple[type, ...]] = {
        "object": Mapping,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
    }
    return name in classes and isinstance(value, classes[name])


def string(schema: Mapping[str, Any], place: str, written: dict[str, str]) -> str:
    """Return the expression of a string schema. For ``written``, see ``string_of_pattern``."""
    least, most = bounds_of(schema, "minLength", "maxLength", place)
    if (least, most) != (0, None):
        refuse_others([name for name in ("pattern", "format") if name in schema], (), place)
        return f'"{CHARACTER}{counted(least, most)}"'
    if "pattern" in schema:
        refuse_others([name for name in ("format",) if name in schema], (), place)
        if not isinstance(schema["pattern"], str):
            raise schema_error(
                f"{place}/pattern", f"the value must be a text, not {quote(schema['pattern'])}"
            )
        try:
            return string_of_pattern(schema["pattern"], written)
        except ConstraintError as error:
            raise schema_error(f"{place}/pattern", first_line(error)) from None
    if "format" not in schema:
        return STRING
    if schema["format"] not in list(FORMATS):
        raise schema_error(
            f"{place}/format",
            f"{quote(schema['format'])} is not supported; use {', '.join(FORMATS)}, or a pattern",
        )
    return f'"{FORMATS[schema["format"]]}"'


def within_bounds(
    properties: Mapping[str, Any], required: Collection[str], least: int, most: int | None, place: str
) -> tuple[Mapping[str, Any], Collection[str]]:
    """Return the properties that an object may have, and the names of those that it must have.

    An object of these then has at least ``least`` and at most ``most`` properties, except if ``least`` is 1
    and none is required: the caller must exclude the empty object. For any other bounds, an expression would
    have to list the combinations of the properties.

    Args:
        properties: The properties as the schema lists them.
        required: The names among them that the schema requires.
        least: The value of ``minProperties``, or 0.
        most: The value of ``maxProperties``, or None.
        place: The place of the object, for errors.

    Raises:
        ConstraintError: If the bounds contradict the other arguments, or would need such a list.
    """
    if least > len(properties):
        raise schema_error(
            f"{place}/minProperties",
            f"the value must be at most {len(properties)}, the number of properties",
        )
    if most is not None and most < len(required):
        raise schema_error(
            f"{place}/maxProperties",
            f"the value must be at least {len(required)}, the number of required properties",
        )
    if most is not None and len(required) < most < len(properties):
        raise schema_error(
            f"{place}/maxProperties",
            f"the value must be {len(required)}, the number of required properties, or at least "
            f"{len(properties)}, the number of all",
        )
    if max(len(required), 1) < least < len(properties):
        raise schema_error(
            f"{place}/minProperties",
            f"the value must be at most {max(len(required), 1)}, or {len(properties)}, the number of all "
            "properties",
        )
    if least == len(properties):
        return properties, properties.keys()
    if most == len(required):
        return {name: schema for name, schema in properties.items() if name in required}, required
    return properties, required


def length_with_commas(members: Sequence[tuple[str, bool]]) -> int:
    """Return about how many characters ``with_commas`` returns: without required members, a square."""
    if any(required for _, required in members):
        return sum(len(member) for member, _ in members)
    return sum(count * len(member) for count, (member, _) in enumerate(members, 1))


def with_commas(members: Sequence[tuple[str, bool]], *, may_be_empty: bool) -> str:
    """Return an expression for the members of an object, with commas between those that are present.

    Args:
        members: The expression of each member, and whether it is required.
        may_be_empty: Whether all members may be missing, if none is required.
    """
    first = next((index for index, (_, required) in enumerate(members) if required), None)
    if first is not None:
        before = [f"(?:{member},)?" for member, _ in members[:first]]
        return "".join([*before, members[first][0], _rest(members[first + 1 :])])
    # One alternative for each member that can be the first.
    options = [member + _rest(members[index + 1 :]) for index, (member, _) in enumerate(members)]
    return f"(?:{'|'.join(options)}){'?' if may_be_empty else ''}" if options else ""


def _rest(members: Sequence[tuple[str, bool]]) -> str:
    return "".join([f",{member}" if required else f"(?:,{member})?" for member, required in members])
