"""A JSON schema as the tree of an expression for the JSON texts that it allows.

The texts have no whitespace outside strings, and the properties of an object are in the order of the schema.
docs/constraints.md lists the keywords. All others are errors: texts would be invalid if they were ignored.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from textgen_runtime.errors import ConstraintError, first_line, quote, shorten
from textgen_runtime.json_text import below, from_json, to_json

from .expression import Alternatives, Anchor, Atom, Chain, Node, Repeat, parse, replace_leaves

# Keywords that do not change which values are valid, or are followed anyway.
ANNOTATIONS: Final = frozenset(
    {"$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated"}
)
KEYWORDS: Final[Mapping[str, Collection[str]]] = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "minItems", "maxItems"),
    "string": ("minLength", "maxLength", "pattern"),
    "integer": (),
    "number": (),
    "boolean": (),
    "null": (),
}
TYPES_OF: Final[Mapping[type, Collection[str]]] = {
    dict: ("object",),
    list: ("array",),
    str: ("string",),
    int: ("integer", "number"),
    float: ("number",),
    bool: ("boolean",),
    type(None): ("null",),
}
# RFC 8259. A character of a string, except \u escapes, which could be half of a surrogate pair.
CHARACTER: Final = parse(r'[^"\\\x00-\x1f]|\\["\\/bfnrt]')
STRING: Final = Chain((Atom('"'), Repeat(CHARACTER, 0, None), Atom('"')))
INTEGER: Final = "-?(?:0|[1-9][0-9]*)"
SCALARS: Final[Mapping[str, Node]] = {
    "string": STRING,
    "integer": parse(INTEGER),
    "number": parse(INTEGER + r"(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"),
    "boolean": parse("true|false"),
    "null": parse("null"),
}
# What a pattern never matches: characters that JSON escapes, and spaces and line ends outside ASCII, which
# classes and dots of Python and ECMA-262, the dialect of JSON Schema, treat in different ways.
BARRED: Final = r'(?!["\\\x00-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff])'
# A pattern without ^ at its start and $ at its end.
UNANCHORED: Final = re.compile(r"\^?((?:[^\\]|\\.)*?)\$?", re.DOTALL)
# How deep values without a schema are nested.
ANY_DEPTH: Final = 2
# If none of an object's properties is required, the tree grows with the square of their number.
MAX_OPTIONAL: Final = 100


def schema_tree(text: str) -> Node:
    """Return the tree of a schema, which is a JSON text.

    Raises:
        ConstraintError: If the schema is malformed, or uses what is not supported.
        RecursionError: If it is nested too deeply.
    """
    try:
        schema = from_json(text)
    except ValueError as error:
        raise ConstraintError(f"it is not JSON: {first_line(error)}") from None
    return _value(schema, "#")


def _error(place: str, reason: str) -> ConstraintError:
    return ConstraintError(f"at {shorten(place)}: {reason}")


def _value(schema: Any, place: str) -> Node:
    if schema is True:
        schema = {}
    if not isinstance(schema, Mapping):
        raise _error(place, f"a schema must be an object, not {quote(schema)}")
    options = schema.get("anyOf")
    if isinstance(options, list) and schema.keys() <= ANNOTATIONS | {"anyOf"}:
        return Alternatives(tuple([_value(one, f"{place}/anyOf/{i}") for i, one in enumerate(options)]))
    types = _types_named(schema, place)
    constant = next((keyword for keyword in ("const", "enum") if keyword in schema), None)
    supported = {constant} if constant else set().union(*(KEYWORDS[name] for name in types))
    for keyword in schema:
        if keyword not in supported | ANNOTATIONS | {"type"}:
            raise _error(place, f"the keyword {quote(keyword)} is not supported here")
    if constant:
        values = schema[constant] if constant == "enum" else [schema[constant]]
        return _constants(values, types, f"{place}/{constant}")
    return Alternatives(tuple([_typed(name, schema, place) for name in types])) if types else _any(ANY_DEPTH)


def _types_named(schema: Mapping[str, Any], place: str) -> list[str]:
    """Return the types that a schema names, or the one that its keywords belong to, if there is one."""
    if "type" not in schema:
        return [name for name, own in KEYWORDS.items() if not schema.keys().isdisjoint(own)][:1]
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    for name in types or [types]:
        if not isinstance(name, str) or name not in KEYWORDS:
            raise _error(f"{place}/type", f"{quote(name)} is not supported")
    return types


def _typed(name: str, schema: Mapping[str, Any], place: str) -> Node:
    match name:
        case "object":
            return _object(schema, place)
        case "array":
            least, most = _bounds(schema, "minItems", "maxItems", place)
            item = _value(schema["items"], f"{place}/items") if "items" in schema else _any(ANY_DEPTH)
            return Chain((Atom("["), _listed(item, least, most), Atom("]")))
        case "string":
            return _string(schema, place)
    return SCALARS[name]


def _any(depth: int) -> Node:
    """Return any value, with arrays and objects nested at most ``depth`` deep."""
    scalars = tuple(SCALARS[name] for name in ("string", "number", "boolean", "null"))
    if not depth:
        return Alternatives(scalars)
    inner = _any(depth - 1)
    member = Chain((STRING, Atom(":"), inner))
    array = Chain((Atom("["), _listed(inner, 0, None), Atom("]")))
    return Alternatives((*scalars, array, Chain((Atom("{"), _listed(member, 0, None), Atom("}")))))


def _listed(item: Node, least: int, most: int | None) -> Node:
    """Return items with commas between them."""
    if most == 0:
        return Chain(())
    more = Repeat(Chain((Atom(","), item)), max(least - 1, 0), None if most is None else most - 1)
    return Repeat(Chain((item, more)), min(least, 1), 1)


def _literal(value: Any) -> Node:
    text = to_json(value, ascii_only=False, compact=True)
    return Chain(tuple([Atom(r"\.") if character == "." else Atom(character) for character in text]))


def _constants(values: Any, types: Collection[str], place: str) -> Node:
    """Return the values that have one of the types, if there are types."""
    if isinstance(values, list):
        values = [value for value in values if not types or set(types) & {*TYPES_OF[type(value)]}]
    if not isinstance(values, list) or not values:
        raise _error(place, "this must be a list with a value of the type")
    return Alternatives(tuple(map(_literal, values)))


def _bounds(schema: Mapping[str, Any], least: str, most: str, place: str) -> tuple[int, int | None]:
    """Return the values of two keywords that bound a number of things."""
    for keyword in (least, most):
        value = schema.get(keyword, 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise _error(f"{place}/{keyword}", f"this must be an integer, 0 or more, not {quote(value)}")
    bounds = schema.get(least, 0), schema.get(most)
    if bounds[1] is not None and bounds[1] < bounds[0]:
        raise _error(f"{place}/{most}", f"this is less than {least}")
    return bounds


def _string(schema: Mapping[str, Any], place: str) -> Node:
    least, most = _bounds(schema, "minLength", "maxLength", place)
    if "pattern" not in schema:
        return Chain((Atom('"'), Repeat(CHARACTER, least, most), Atom('"')))
    if "minLength" in schema or "maxLength" in schema:
        raise _error(place, "the keyword 'pattern' is not supported beside a length")
    if not isinstance(schema["pattern"], str):
        raise _error(f"{place}/pattern", f"this must be a text, not {quote(schema['pattern'])}")
    try:
        return Chain((Atom('"'), _pattern(schema["pattern"]), Atom('"')))
    except ConstraintError as error:
        raise _error(f"{place}/pattern", str(error)) from None


def _pattern(pattern: str) -> Node:
    """Return the contents of strings that match a pattern as a whole, without escapes."""
    whole = UNANCHORED.fullmatch(pattern)

    def escape_nothing(leaf: Atom | Anchor) -> Node:
        if isinstance(leaf, Anchor):
            raise ConstraintError("an anchor is supported only as ^ at the start and $ at the end")
        if leaf.flags != re.ASCII:
            raise ConstraintError("flags are not supported in a pattern")
        return leaf._replace(barred=BARRED + leaf.barred)

    return replace_leaves(parse(whole[1] if whole else pattern, re.ASCII), escape_nothing)


def _object(schema: Mapping[str, Any], place: str) -> Node:
    properties, required = schema.get("properties"), schema.get("required", [])
    if properties is None and not required and schema.get("additionalProperties", True) is True:
        member = Chain((STRING, Atom(":"), _any(ANY_DEPTH)))
        return Chain((Atom("{"), _listed(member, 0, None), Atom("}")))
    if not isinstance(schema.get("additionalProperties", False), bool):
        raise _error(f"{place}/additionalProperties", "only true and false are supported")
    if not isinstance(properties or {}, Mapping):
        raise _error(f"{place}/properties", "this must be an object")
    properties = properties or {}
    if not isinstance(required, list) or not all(name in [*properties] for name in required):
        raise _error(f"{place}/required", "this must be a list of names of properties")
    members = [
        (
            Chain((_literal(name), Atom(":"), _value(part, below(f"{place}/properties", name)))),
            name in required,
        )
        for name, part in properties.items()
    ]
    return Chain((Atom("{"), _with_commas(members, place), Atom("}")))


def _with_commas(members: list[tuple[Chain, bool]], place: str) -> Node:
    """Return members, of which some are required, with commas between those that are present."""
    comma = Atom(",")
    after = [
        Chain((comma, member)) if required else Repeat(Chain((comma, member)), 0, 1)
        for member, required in members
    ]
    first = next((index for index, (_, required) in enumerate(members) if required), None)
    if first is not None:
        before = [Repeat(Chain((member, comma)), 0, 1) for member, _ in members[:first]]
        return Chain((*before, members[first][0], *after[first + 1 :]))
    if len(members) > MAX_OPTIONAL:
        raise _error(f"{place}/properties", f"more than {MAX_OPTIONAL} are supported only if one is required")
    # One option for each member that can be the first.
    return Alternatives(
        (Chain(()), *(Chain((member, *after[i + 1 :])) for i, (member, _) in enumerate(members)))
    )
