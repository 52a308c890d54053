"""Translate a JSON schema to an expression for the JSON texts that it allows, and compile it."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from textgen_runtime._core import Constraint
from textgen_runtime.errors import ConstraintError, first_line, quote
from textgen_runtime.system.json_text import below, from_json

from ._json_values import NOT_ESCAPED, SCALARS, STRING, listed
from ._parser import MAX_LENGTH, TooDeepError
from ._positions import TooComplexError
from ._schema_parts import (
    ANNOTATIONS,
    KEYWORDS,
    TOO_DEEP,
    alternatives,
    bounds_of,
    constant,
    constants,
    length_with_commas,
    refuse_others,
    schema_error,
    string,
    types_of,
    with_commas,
    within_bounds,
)
from .regex import SIMPLIFY, NoTextError, compile_expression

MAX_SCHEMAS: Final = 10_000
MAX_DEPTH: Final = 60
# Each character of the result is part of at most so many schemas.
MAX_CHARACTERS: Final = MAX_DEPTH * MAX_LENGTH
# How often a reference is followed inside itself, and how deep values without a schema are nested.
MAX_REFERENCES: Final = 4
ANY_DEPTH: Final = 2

# Keywords that replace a type.
COMBINATIONS: Final = ("$ref", "enum", "const", "anyOf", "oneOf", "allOf")


class _EndlessError(Exception):
    """A reference to a schema inside itself, deeper than ``MAX_REFERENCES``."""


def compile_schema(
    schema: str | Mapping[str, Any], symbols: Sequence[str], excluded: Collection[int] = ()
) -> Constraint:
    """Return the constraint that a whole text is JSON of a schema.

    Args:
        schema: The schema, see ``schema_to_regex``.
        symbols: The texts of all tokens. A token reads all characters of its text.
        excluded: Tokens that the constraint never allows.

    Raises:
        ConstraintError: Also if the schema is too complex, or if no text of the vocabulary matches it.
    """
    expression, written = _translate(schema)
    try:
        return compile_expression(expression, tuple(symbols), frozenset(excluded))
    except TooDeepError:
        raise ConstraintError(f"the JSON schema {TOO_DEEP}") from None
    except TooComplexError as error:
        raise ConstraintError(f"the JSON schema {error}; {SIMPLIFY}") from None
    except NoTextError as error:
        # Outside patterns, the escape of a character stands for that character.
        sources = [written.get(source, re.sub(r"^\\(\W)$", r"\1", source)) for source in error.sources]
        # Only a pattern has another spelling.
        hint = _hint(error) if written.keys() >= error.sources.keys() else ""
        raise error.described("the JSON schema", sources, hint) from None


def _hint(error: NoTextError) -> str:
    escaped = (
        re.search(source.removeprefix(NOT_ESCAPED), error.alphabet, atom.flags)
        for source, atom in error.sources.items()
    )
    if any(escaped):
        return "remove from the pattern what JSON must escape, such as quotes"
    return "to match the other case, write (?i:...) in the pattern" if error.has_other_case() else ""


def schema_to_regex(schema: str | Mapping[str, Any]) -> str:
    """Return an expression for the JSON texts that a schema allows.

    The texts have no whitespace outside strings, and the properties of an object are in the order of the
    schema. docs/constraints.md lists the keywords, and the valid texts that the expression does not allow.
    ``oneOf`` is read as ``anyOf``.

    Args:
        schema: A schema of JSON Schema, as a JSON text or as what ``json.loads`` returns for it.

    Raises:
        ConstraintError: If the schema is malformed, uses other keywords, or allows no finite value.
    """
    return _translate(schema)[0]


def _translate(schema: str | Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    """Return the expression of a schema, and the atoms of its patterns with their texts in the schema."""
    if isinstance(schema, str):
        try:
            schema = from_json(schema)
        except RecursionError:
            raise ConstraintError(f"the JSON schema {TOO_DEEP}") from None
        except ValueError as error:
            raise ConstraintError(f"the JSON schema is not JSON: {first_line(error)}") from None
    translator = _Translator(schema)
    try:
        return translator.value(schema, "#"), translator.written
    except _EndlessError:
        raise ConstraintError(
            "the JSON schema allows no finite value, because it must contain itself: make a reference "
            "optional"
        ) from None


def _check_length(length: int, place: str) -> None:
    if length > MAX_LENGTH:
        raise schema_error(
            place, f"this part needs an expression of more than {MAX_LENGTH:,} characters; shorten it"
        )


class _Translator:
    """The translation of one schema.

    ``place`` is the path of a part in the text of the schema, such as ``#/properties/name``. A reference is
    the place of its target.
    """

    def __init__(self, root: object) -> None:
        self.root = root
        self.schemas = 0
        self.depth = 0
        # Those of all parts so far.
        self.characters = 0
        self.expanding: dict[str, int] = {}
        # The atoms of patterns, with their texts in the schema.
        self.written: dict[str, str] = {}

    def value(self, schema: object, place: str) -> str:
        """Return the expression of a part of the schema."""
        self.schemas += 1
        if self.schemas > MAX_SCHEMAS:
            raise schema_error(
                place,
                f"the schema has more than {MAX_SCHEMAS:,} parts after its references are followed; use "
                "fewer",
            )
        if self.depth > MAX_DEPTH:
            raise schema_error(place, f"this part {TOO_DEEP}")
        if schema is True:
            schema = {}
        if not isinstance(schema, Mapping):
            raise schema_error(place, f"a schema must be an object, not {quote(schema)}")
        self.depth += 1
        try:
            expression = self._schema(schema, place)
        finally:
            self.depth -= 1
        self.characters += len(expression)
        _check_length(len(expression) if self.characters <= MAX_CHARACTERS else self.characters, place)
        return expression

    def _schema(self, schema: Mapping[str, Any], place: str) -> str:
        keywords = [keyword for keyword in schema if keyword not in ANNOTATIONS]
        for keyword in COMBINATIONS:
            if keyword in schema:
                of_values = keyword in ("enum", "const")
                refuse_others(keywords, {keyword, "type"} if of_values else {keyword}, place)
                if of_values:
                    return constants(schema, keywords, keyword, place)
                return self._combination(keyword, schema[keyword], f"{place}/{keyword}")
        if not keywords:
            return self._any(ANY_DEPTH)
        types = types_of(schema, keywords, place)
        refuse_others(keywords, {"type"}.union(*(KEYWORDS[name] for name in types)), place)
        return alternatives([self._typed(name, schema, place) for name in types])

    def _combination(self, keyword: str, value: Any, place: str) -> str:
        if keyword == "$ref":
            return self._reference(value, place)
        if not isinstance(value, list) or not value:
            raise schema_error(place, "the value must be a list with at least one entry")
        if keyword == "allOf" and len(value) > 1:
            raise schema_error(place, "allOf is supported only with one entry; merge the entries")
        return self._options(value, place)

    def _options(self, options: Sequence[object], place: str) -> str:
        found = []
        for index, option in enumerate(options):
            try:
                found.append(self.value(option, f"{place}/{index}"))
            except _EndlessError:
                continue
        if not found:
            raise _EndlessError
        return alternatives(found)

    def _reference(self, reference: object, place: str) -> str:
        if not isinstance(reference, str) or not f"{reference}/".startswith("#/"):
            raise schema_error(
                place,
                f"a reference must be inside the schema, such as #/$defs/name, not {quote(reference)}",
            )
        schema = self.root
        for part in reference.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(schema, Mapping) or name not in schema:
                raise schema_error(place, f"the schema has no {quote(reference)}; add or correct it")
            schema = schema[name]
        depth = self.expanding.get(reference, 0)
        if depth == MAX_REFERENCES:
            raise _EndlessError
        self.expanding[reference] = depth + 1
        try:
            return self.value(schema, reference)
        finally:
            self.expanding[reference] = depth

    def _typed(self, name: str, schema: Mapping[str, Any], place: str) -> str:
        translate: dict[str, Callable[[Mapping[str, Any], str], str]] = {
            "object": self._object,
            "array": self._array,
            "string": lambda schema, place: string(schema, place, self.written),
        }
        return translate[name](schema, place) if name in translate else SCALARS[name]

    def _object(self, schema: Mapping[str, Any], place: str) -> str:
        properties, required = schema.get("properties"), schema.get("required", [])
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            raise schema_error(f"{place}/required", "the value must be a list of names")
        least, most = bounds_of(schema, "minProperties", "maxProperties", place)
        if properties is None and not required:
            return self._free_object(schema.get("additionalProperties", True), least, most, place)
        if not isinstance(properties, Mapping) or not properties.keys() >= set(required):
            raise schema_error(place, "properties must be an object with each name of required")
        allowed, needed = within_bounds(properties, frozenset(required), least, most, place)
        members = self._members(allowed, needed, f"{place}/properties")
        if least and not members:
            raise _EndlessError
        _check_length(length_with_commas(members), place)
        return rf"\{{{with_commas(members, may_be_empty=not least)}\}}"

    def _members(
        self, properties: Mapping[str, Any], required: Collection[str], place: str
    ) -> list[tuple[str, bool]]:
        """Return the expression of each property, and whether it is required."""
        members = []
        for name, schema in properties.items():
            try:
                value = self.value(schema, below(place, name))
            except _EndlessError:
                if name in required:
                    raise
                continue
            members.append((f"{constant(name, place)}:{value}", name in required))
        return members

    def _free_object(self, values: object, least: int, most: int | None, place: str) -> str:
        inside = f"{place}/additionalProperties"
        if values is False and least:
            raise schema_error(
                inside, "false allows no properties, but minProperties needs some; remove one of the two"
            )
        if least > 1:
            raise schema_error(
                f"{place}/minProperties",
                "without properties, the value must be at most 1, because names may repeat; list the needed "
                "names in properties and required",
            )
        most = 0 if values is False else most
        return self._repeated(lambda: f"{STRING}:{self.value(values, inside)}", r"\{", r"\}", least, most)

    def _array(self, schema: Mapping[str, Any], place: str) -> str:
        least, most = bounds_of(schema, "minItems", "maxItems", place)
        if "prefixItems" in schema:
            if schema.get("items", False) is not False or (least, most) != (0, None):
                raise schema_error(
                    place, "prefixItems is supported only without minItems, maxItems and items; remove these"
                )
            return self._tuple(schema["prefixItems"], f"{place}/prefixItems")
        items = schema.get("items", True)
        return self._repeated(lambda: self.value(items, f"{place}/items"), r"\[", r"\]", least, most)

    def _tuple(self, entries: object, place: str) -> str:
        if not isinstance(entries, list):
            raise schema_error(place, "the value must be a list")
        values = [self.value(entry, f"{place}/{index}") for index, entry in enumerate(entries)]
        return rf"\[{','.join(values)}\]"

    @staticmethod
    def _repeated(item: Callable[[], str], opening: str, closing: str, least: int, most: int | None) -> str:
        try:
            return f"{opening}{listed(item(), least, most) if most != 0 else ''}{closing}"
        except _EndlessError:
            if least:
                raise
            return opening + closing

    def _any(self, depth: int) -> str:
        """Return an expression for any value, with arrays and objects nested at most ``depth`` deep."""
        options = list(SCALARS.values())
        options.remove(SCALARS["integer"])
        if depth:
            inner = self._any(depth - 1)
            options += [rf"\[{listed(inner, 0, None)}\]", rf"\{{{listed(f'{STRING}:{inner}', 0, None)}\}}"]
        return alternatives(options)
