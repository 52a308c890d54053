"""JSON schemas: every text is JSON, and valid."""

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from textgen_runtime.constraints.regex import compile_regex
from textgen_runtime.constraints.schema import compile_schema, schema_to_regex
from textgen_runtime.errors import ConstraintError

from tests.helpers.constraint_texts import decode, random_tokens

SYMBOLS = [chr(code) for code in (0, 9, 10, *range(32, 128), 0xE9, 0x2028, 0x1F600)]

NODE = {
    "type": "object",
    "properties": {
        "value": {"type": "integer"},
        "next": {"anyOf": [{"$ref": "#/$defs/a~1b"}, {"type": "null"}]},
    },
    "required": ["value", "next"],
}


def texts_of(schema: object, count: int = 100) -> list[str]:
    """Return random texts that a schema allows."""
    expression = schema_to_regex(json.dumps(schema))
    constraint, rng = compile_regex(expression, SYMBOLS), random.Random(1)
    texts = [decode(SYMBOLS, random_tokens(constraint, rng, 400)) for _ in range(count)]
    assert all(re.fullmatch(expression, text) for text in texts)
    return texts


def depth(value: object) -> int:
    """Return how deeply the lists and dicts of a value are nested."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def chain_length(node: Any) -> int:
    assert node.keys() == {"value", "next"}
    return 1 if node["next"] is None else 1 + chain_length(node["next"])


def chain(length: int) -> dict[str, Any] | None:
    return {"value": length, "next": chain(length - 1)} if length else None


# What the validator of another package checks.
VALIDATED: dict[str, object] = {
    "string": {"type": "string"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "types": {"type": ["integer", "null"]},
    "annotations": {"title": "t", "$comment": "c", "type": "null", "default": 1},
    "length": {"type": "string", "minLength": 2, "maxLength": 4},
    "length from": {"minLength": 3},
    "pattern": {"type": "string", "pattern": r'^[^a]+.?(\\|"|b){0,1}$'},
    "pattern without anchors": {"pattern": r"\d{2}[.]\$"},
    "enum": {"enum": ["a", 1, None, {"k": [1.5, "."]}]},
    "enum of a type": {"type": "integer", "enum": [True, 1, "a", 2.5, 7]},
    "enum of types": {"type": ["boolean", "null"], "enum": [True, 1, None]},
    "const": {"const": 'a"\\é\n.*'},
    "any of": {"anyOf": [{"type": "null"}, {"const": 3}]},
    "one of": {"oneOf": [{"type": "null"}, {"const": 3}]},
    "all of one": {"allOf": [{"type": "null"}]},
    "array": {"type": "array", "items": {"type": "null"}},
    "array of some": {"items": {"const": 1}, "minItems": 2, "maxItems": 3},
    "array of up to two": {"items": {"const": 1}, "maxItems": 2},
    "array of at least one": {"items": {"const": 1}, "minItems": 1},
    "empty array": {"type": "array", "maxItems": 0},
    "object of any names": {"additionalProperties": {"type": "boolean"}, "maxProperties": 2},
    "object of at least one name": {"minProperties": 1, "maxProperties": 3},
    "object of no property": {"properties": {"a": {}}, "maxProperties": 0},
    "closed object": {"type": "object", "additionalProperties": False},
    "format": {"format": "uri"},
}
PROPERTIES = {"a": {"const": 1}, "b.": {"const": 2}, "c": {"const": 3}}
# Where the texts are fewer than the valid ones: a text has the listed properties, and is not deep.
NARROWER: dict[str, tuple[object, Callable[[Any], bool]]] = {
    "integer": ({"type": "integer"}, lambda value: isinstance(value, int)),
    "tuple": (
        {"prefixItems": [{"type": "integer"}, {"const": "x"}]},
        lambda value: value[1:] == ["x"],
    ),
    "object": (
        {"properties": PROPERTIES, "required": ["c", "b."], "additionalProperties": False},
        lambda value: {"b.", "c"} <= value.keys() <= {"a", "b.", "c"},
    ),
    "object without required properties": (
        {"properties": PROPERTIES},
        lambda value: value.keys() <= {"a", "b.", "c"},
    ),
    "object without properties": ({"type": "object", "properties": {}}, lambda value: value == {}),
    "object of some of its properties": (
        {"properties": {"a": {"const": 1}, "b": {"const": 2}}, "minProperties": 1, "maxProperties": 2},
        lambda value: value.keys() <= {"a", "b"},
    ),
    "object of all its properties": (
        {"properties": {"a": {"type": "null"}, "b": {"type": "boolean"}}, "minProperties": 2},
        lambda value: value.keys() == {"a", "b"},
    ),
    "object of its required properties": (
        {"properties": {"a": {}, "b": {}, "c": {}}, "required": ["b"], "maxProperties": 1},
        lambda value: value.keys() == {"b"},
    ),
    "object of at least its required properties": (
        {"properties": PROPERTIES, "required": ["a", "c"], "minProperties": 2, "maxProperties": 9},
        lambda value: value.keys() <= {"a", "b.", "c"},
    ),
    "recursive object of a property": (
        {
            "properties": {"a": {"$ref": "#"}, "b": {"properties": {"c": {"$ref": "#"}}}},
            "minProperties": 1,
        },
        lambda value: value.keys() <= {"a", "b"},
    ),
    "anything": ({}, lambda value: depth(value) <= 2),
    "true": (True, lambda value: depth(value) <= 2),
    "any array": ({"type": "array"}, lambda value: depth(value) <= 3),
    "any object": ({"type": "object"}, lambda value: depth(value) <= 3),
    "recursion": ({"$defs": {"a/b": NODE}, "$ref": "#/$defs/a~1b"}, lambda value: chain_length(value) <= 4),
    "recursive array": ({"type": "array", "items": {"$ref": "#"}}, lambda value: 1 <= depth(value) <= 5),
    "recursive object": (
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        lambda value: 1 <= depth(value) <= 5,
    ),
    "recursive values": ({"type": "object", "additionalProperties": {"$ref": "#"}}, lambda v: depth(v) <= 5),
}


def check_texts(schema: object) -> list[Any]:
    """Check that random texts are JSON without spaces, and valid. Return their values."""
    texts, validator = texts_of(schema), Draft202012Validator(schema)
    values = [json.loads(text) for text in texts]
    for text, value in zip(texts, values, strict=True):
        validator.validate(value)
        # Numbers and escapes can be written in several ways.
        assert len(text) <= len(json.dumps(value, ensure_ascii=False)) or re.search(r"[0-9/]", text)
    # No property and no entry is left out.
    assert len(set(texts)) > 1 or len({*map(str.strip, texts)}) == 1
    return values


@pytest.mark.parametrize("schema", VALIDATED.values(), ids=VALIDATED)
def test_every_text_is_valid_json_without_spaces(schema: object) -> None:
    check_texts(schema)


@pytest.mark.parametrize(("schema", "is_possible"), NARROWER.values(), ids=NARROWER)
def test_texts_have_listed_properties_and_are_not_deep(
    schema: object, is_possible: Callable[[Any], bool]
) -> None:
    assert all(map(is_possible, check_texts(schema)))


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ({"type": ["null", "boolean"]}, [None, True, False]),
        ({"enum": [1, "a", None]}, [1, "a", None]),
        ({"items": {"enum": [1, 2]}, "maxItems": 2}, [[], [1], [2], [1, 1], [1, 2], [2, 1], [2, 2]]),
        (
            {"properties": {"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}}},
            [
                {
                    name: value
                    for index, (name, value) in enumerate(zip("abc", (1, 2, 3), strict=True))
                    if mask >> index & 1
                }
                for mask in range(8)
            ],
        ),
        ({"items": {"const": 1}, "minItems": 2, "maxItems": 3}, [[1, 1], [1, 1, 1]]),
        ({"items": {"$ref": "#"}, "type": "array"}, [[[[[[]]]]], [[], [[]]]]),
        ({"$defs": {"a/b": NODE}, "$ref": "#/$defs/a~1b"}, [chain(1), chain(4)]),
        ({}, [{"a": [-1.5e3, "b"]}, "c"]),
        (
            {"properties": {"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}}, "required": ["b"]},
            [{"b": 2}, {"a": 1, "b": 2}, {"b": 2, "c": 3}, {"a": 1, "b": 2, "c": 3}],
        ),
        (
            {"properties": {"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}}, "required": ["c"]},
            [{"c": 3}, {"a": 1, "c": 3}, {"b": 2, "c": 3}, {"a": 1, "b": 2, "c": 3}],
        ),
    ],
)
def test_every_valid_value_can_be_written(schema: object, values: list[object]) -> None:
    expression = schema_to_regex(json.dumps(schema))
    assert all(re.fullmatch(expression, json.dumps(value, separators=(",", ":"))) for value in values)


@pytest.mark.parametrize(
    ("name", "values", "others"),
    [
        ("date", ["2026-01-09", "0000-12-31"], ["2026-13-01", "2026-00-01", "2026-01-32", "2026-01-00"]),
        ("time", ["23:59:59Z", "00:00:00.5-23:59"], ["24:00:00Z", "12:60:00Z", "12:00:60Z", "12:00:00"]),
        ("date-time", ["2026-01-09T23:59:59Z"], ["2026-01-09 23:59:59Z"]),
        ("uuid", ["01234567-89ab-cdef-0123-456789abcdef"], ["01234567-89ab-cdef-0123-456789abcdeg"]),
        ("email", ["a.b+c@d-e.org"], ["a@b", "a..b@c.org", ".a@b.org", "a@-b.org"]),
        ("uri", ["a:b", "https://x.org/~a?b=%2F#c"], ["1a:b", "a", "a:%2", "a:b#c#d"]),
    ],
)
def test_a_format_has_the_values_of_its_standard(name: str, values: list[str], others: list[str]) -> None:
    expression = schema_to_regex({"format": name})
    assert [bool(re.fullmatch(expression, f'"{value}"')) for value in values] == [True] * len(values)
    assert [bool(re.fullmatch(expression, f'"{value}"')) for value in others] == [False] * len(others)


def test_a_reference_may_be_used_many_times_and_have_any_name() -> None:
    name = "~1/a"
    properties = {symbol: {"$ref": "#/$defs/~01~1a"} for symbol in "abcdefgh"}
    schema = {"$defs": {name: {"const": 1}}, "properties": properties, "required": [*properties]}
    assert re.fullmatch(
        schema_to_regex(schema), json.dumps(dict.fromkeys(properties, 1), separators=(",", ":"))
    )


@pytest.mark.parametrize("schema", [{"type": "string"}, {"minLength": 1}, {"pattern": "[^é]"}])
def test_no_control_character_stands_in_a_string(schema: dict[str, Any]) -> None:
    expression = schema_to_regex(schema)
    refused = [code for code in range(0x30) if not re.fullmatch(expression, f'"{chr(code)}"')]
    assert refused == [*range(0x20), ord('"')]


OF_ECMA = '"\\\t٣5aéж_- .\xa0\ufeff\x85\x1f\u2028'
SPACES = " \xa0\ufeff\u2028"


@pytest.mark.parametrize(
    ("pattern", "characters"),
    [
        (r"\d", "5"),
        (r"\D", f"٣aéж_-.\x85{SPACES}"),
        (r"\w", "5a_"),
        (r"[^\w]", f"٣éж-.\x85{SPACES}"),
        (r"\W", f"٣éж-.\x85{SPACES}"),
        (r"\s", SPACES),
        (r"\S", "٣5aéж_-.\x85"),
        (r"[-\s]", f"-{SPACES}"),
        (r"[^\S.]", SPACES),
        (r"[\S]", "٣5aéж_-.\x85"),
        (r"(?!\d)(?!\s)[\w\s]", "a_"),
        (".", f"٣5aéж_-.\x85{SPACES}".replace("\u2028", "")),
        ("(?s:.)", f"٣5aéж_-.\x85{SPACES}"),
        (r"[.]|\.", "."),
        (r"(?i:É|\W)", f"٣éж-.\x85{SPACES}"),
        (r"[\\s]", ""),
    ],
)
def test_the_classes_of_a_pattern_are_those_of_ecma_262(pattern: str, characters: str) -> None:
    expression = schema_to_regex({"pattern": pattern})
    assert {symbol for symbol in OF_ECMA if re.fullmatch(expression, f'"{symbol}"')} == set(characters)


def test_a_pattern_with_a_named_group_may_be_used_several_times() -> None:
    schema = {"items": {"pattern": r"(?P<name>a)[(?P<x>]\(?"}, "minItems": 2, "maxItems": 2}
    assert compile_regex(schema_to_regex(schema), SYMBOLS)
    assert re.fullmatch(schema_to_regex(schema), '["aP(","a?"]')


ESCAPED = (
    "the vocabulary has no symbol for '{}'; remove from the pattern what JSON must escape, such as quotes"
)
OTHER = "use other characters, or a model that knows these"


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"pattern": "[D-F]+Ä"}, f"the vocabulary has no symbol for '[D-F]', 'Ä'; {OTHER}"),
        (
            {"pattern": "[D-F]+"},
            (
                "the vocabulary has no symbol for '[D-F]'; to match the other case, write (?i:...) in the "
                "pattern"
            ),
        ),
        (
            {"pattern": r"\s\S(?!a)[\s]."},
            rf"the vocabulary has no symbol for '\\s', '(?!a)[\\s]'; {OTHER}",
        ),
        (
            {"pattern": r"(?![a-f])[^\n\r\u2028\u2029]"},
            ESCAPED.format(r"(?![a-f])[^\\n\\r\\u2028\\u2029]"),
        ),
        ({"pattern": "(?s:(?![a-f]).)(?![a-f])."}, ESCAPED.format("(?![a-f]).")),
        ({"pattern": r"a\\"}, ESCAPED.format(r"\\\\")),
        ({"const": {"d": "E"}}, "the vocabulary has no symbol for '{', ':', 'E', '}'; " + OTHER),
        ({"enum": ["E"]}, f"the vocabulary has no symbol for 'E'; {OTHER}"),
    ],
)
def test_a_schema_that_the_vocabulary_cannot_write_is_refused_in_its_own_words(
    schema: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConstraintError) as caught:
        compile_schema(schema, 'abdef"\\')
    assert str(caught.value) == f"no text of the vocabulary matches the JSON schema: {reason}"


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (
            {"pattern": "(a|b)*a(a|b){20}"},
            "the JSON schema needs more than 32,768 states; use fewer or smaller repetitions",
        ),
        ({"pattern": f"{'(' * 100}a{')' * 100}"}, "the JSON schema is nested too deeply; use fewer levels"),
    ],
)
def test_a_schema_that_is_too_complex_is_refused_in_its_own_words(
    schema: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConstraintError) as caught:
        compile_schema(schema, SYMBOLS)
    assert str(caught.value) == message


def test_a_mapping_and_its_text_give_the_same_expression() -> None:
    schema = {"type": "array", "items": {"type": "null"}}
    assert schema_to_regex(schema) == schema_to_regex(json.dumps(schema)) == r"\[(?:null(?:,null){0,})?\]"


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{", "the JSON schema is not JSON: Expecting property name enclosed in double quotes"),
        ('{"const": NaN}', "the JSON schema is not JSON: NaN is not JSON"),
        ("[" * 100_000, "the JSON schema is nested too deeply; use fewer levels"),
        ("5", "the JSON schema, at #: a schema must be an object, not 5"),
        (
            {"properties": {"a": False}},
            "the JSON schema, at #/properties/a: a schema must be an object, not False",
        ),
        (
            {"type": "text"},
            "at #: 'text' is not a type; use object, array, string, integer, number,",
        ),
        ({"type": []}, "at #: type must be the name of a type, or a list of names"),
        ({"type": {"a": 1}}, "at #: type must be the name of a type, or a list of names"),
        ({"type": [["a"]]}, "at #: ['a'] is not a type"),
        ({"type": "integer", "minimum": 3}, "at #: the keyword 'minimum' is not supported here; remove it"),
        ({"minimum": 3}, "at #: the keyword 'minimum' is not supported here; remove it"),
        ({"type": "string", "items": {}}, "at #: the keyword 'items' is not supported here; remove it"),
        ({"items": {"not": {}}}, "at #/items: the keyword 'not' is not supported here; remove it"),
        ({"properties": {"a/~b": {"not": {}}}}, "at #/properties/a~1~0b: the keyword 'not' is not"),
        ({"properties": [1]}, "at #: properties must be an object with each name of required"),
        (
            {"properties": {}, "required": ["a"]},
            "at #: properties must be an object with each name of required",
        ),
        ({"required": "a"}, "at #/required: the value must be a list of names"),
        (
            {"properties": {}, "minProperties": 1},
            "at #/minProperties: the value must be at most 0, the number of properties",
        ),
        (
            {"items": {"minProperties": 2}},
            "items/minProperties: without properties, the value must be at most 1, because names may repeat",
        ),
        (
            {"properties": dict.fromkeys("abcd", True), "required": ["a"], "minProperties": 2},
            "at #/minProperties: the value must be at most 1, or 4, the number of all properties",
        ),
        (
            {"properties": dict.fromkeys("abcd", True), "required": ["a", "b"], "maxProperties": 3},
            "at #/maxProperties: the value must be 2, the number of required properties, or at least 4, the",
        ),
        (
            {"properties": dict.fromkeys("abcd", True), "required": ["a", "b"], "maxProperties": 1},
            "at #/maxProperties: the value must be at least 2, the number of required properties",
        ),
        (
            {"properties": dict.fromkeys("bcd", True) | {"a": {"$ref": "#"}}, "minProperties": 2},
            "at #/minProperties: the value must be at most 1, or 4, the number of all properties",
        ),
        (
            {"properties": dict.fromkeys("bcd", True) | {"a": {"$ref": "#"}}, "maxProperties": 3},
            "the value must be 0, the number of required properties, or at least 4, the number of all",
        ),
        (
            {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"items": {"items": {"minProperties": 2}}}}},
            "at #/$defs/a~1b/items/items/minProperties: without properties, the value must be at most 1",
        ),
        (
            {"properties": {"a": {"$ref": "#"}, "b": {}}, "minProperties": 2},
            "the JSON schema allows no finite value, because it must contain itself: make a reference opt",
        ),
        (
            {"type": "object", "additionalProperties": False, "minProperties": 2},
            "at #/additionalProperties: false allows no properties, but minProperties needs some; remove",
        ),
        (
            {"type": "array", "minItems": 2, "maxItems": 1},
            "at #: maxItems is less than minItems; raise maxItems, or",
        ),
        ({"type": "array", "minItems": -1}, "at #/minItems: the value must be an integer, 0 or more, not -1"),
        (
            {"type": "array", "maxItems": 1.5},
            "at #/maxItems: the value must be an integer, 0 or more, not 1.5",
        ),
        ({"minLength": True}, "at #/minLength: the value must be an integer, 0 or more, not True"),
        ({"prefixItems": {}}, "at #/prefixItems: the value must be a list"),
        (
            {"prefixItems": [], "minItems": 1},
            "prefixItems is supported only without minItems, maxItems and items; remove these",
        ),
        ({"minLength": 1, "pattern": "a"}, "at #: the keyword 'pattern' is not supported here; remove it"),
        ({"format": "uuid", "pattern": "a"}, "at #: the keyword 'format' is not supported here; remove it"),
        ({"pattern": 5}, "at #/pattern: the value must be a text, not 5"),
        (
            {"pattern": "a(b"},
            "at #/pattern: the expression 'a(b', at character 2: this group has no closing )",
        ),
        (
            {"pattern": "^[a$"},
            "at #/pattern: the expression '^[a$', at character 2: this class has no closing ]",
        ),
        (
            {"items": {"pattern": "(?i)ab"}},
            "#/items/pattern: the expression '(?i)ab', at character 1: (?i) is not supported; put a part",
        ),
        (
            {"pattern": "^(?i)ab$"},
            "at #/pattern: the expression '^(?i)ab$', at character 2: (?i) is not supported; put a part",
        ),
        (
            {"pattern": "(?x)a"},
            "at #/pattern: the expression '(?x)a', at character 1: the flag x is not supp",
        ),
        (
            {"pattern": "a^b"},
            "at #/pattern: the expression 'a^b', at character 2: an anchor is supported only as ^ at the",
        ),
        (
            {"format": "ipv4"},
            "at #/format: 'ipv4' is not supported; use date, time, date-time, uuid, email, uri, or a",
        ),
        ({"format": ["date"]}, "at #/format: ['date'] is not supported"),
        ({"enum": []}, "at #/enum: the list is empty, or has no value of the type; add one"),
        (
            {"enum": ["a"], "type": "null"},
            "at #/enum: the list is empty, or has no value of the type; add one",
        ),
        ({"enum": "a"}, "at #/enum: the value must be a list, not 'a'"),
        ({"const": 1, "maxLength": 1}, "at #: the keyword 'maxLength' is not supported here; remove it"),
        ({"anyOf": []}, "at #/anyOf: the value must be a list with at least one entry"),
        ({"anyOf": [{}], "type": "null"}, "at #: the keyword 'type' is not supported here; remove it"),
        ({"allOf": [{}, {}]}, "at #/allOf: allOf is supported only with one entry; merge the entries"),
        ({"$ref": 5}, "at #/$ref: a reference must be inside the schema, such as #/$defs/name, not 5"),
        (
            {"$ref": "other.json"},
            "at #/$ref: a reference must be inside the schema, such as #/$defs/name, not 'other",
        ),
        (
            {"$ref": "#name"},
            "at #/$ref: a reference must be inside the schema, such as #/$defs/name, not '#name'",
        ),
        ({"$ref": "#/$defs/a"}, "at #/$ref: the schema has no '#/$defs/a'; add or correct it"),
        (
            {"anyOf": [{"$ref": "#/anyOf/0"}]},
            "at #/anyOf/0/$ref: the schema has no '#/anyOf/0'; add or correct it",
        ),
        (
            {"$ref": "#"},
            "the JSON schema allows no finite value, because it must contain itself: make a reference opt",
        ),
        (
            {"properties": {"a": {"$ref": "#"}}, "required": ["a"]},
            "allows no finite value, because it must contain itself: make a reference opt",
        ),
        (
            {"items": {"$ref": "#"}, "minItems": 1},
            "the JSON schema allows no finite value, because it must contain itself: make a reference opt",
        ),
        (
            {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
            "the JSON schema allows no finite value, because it must contain itself: make a reference opt",
        ),
        (
            {"additionalProperties": {"$ref": "#"}, "minProperties": 1},
            "allows no finite value, because it must contain itself: make a reference opt",
        ),
    ],
)
def test_what_is_wrong_with_a_schema_is_said_in_one_line(schema: Any, message: str) -> None:
    with pytest.raises(ConstraintError) as caught:
        schema_to_regex(schema)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def doubled(levels: int) -> dict[str, Any]:
    """Return a schema of arrays with two entries, each of which has two entries, and so on."""
    names = [f"#/$defs/{level}" for level in range(levels)]
    defs: dict[str, Any] = {
        str(level): {"prefixItems": [{"$ref": name}, {"$ref": name}]} for level, name in enumerate(names[1:])
    }
    return {"$defs": {**defs, str(levels - 1): {"type": "null"}}, "$ref": "#/$defs/0"}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (doubled(16), "more than 10,000 parts after its references are followed; use fewer"),
        (doubled(200), "this part is nested too deeply; use fewer levels"),
        (
            {"const": "a" * 100_001},
            "this part needs an expression of more than 100,000 characters; shorten it",
        ),
        (
            {"properties": {f"p{index}": {"const": "a" * 2000} for index in range(45)}},
            "this part needs an expression of more than 100,000 characters; shorten it",
        ),
        (
            {"$defs": {"a": {"const": "a" * 90_000}}, "prefixItems": [{"$ref": "#/$defs/a"}] * 9000},
            "at #/$defs/a: this part needs an expression of more than 100,000 characters; shorten it",
        ),
        ({"minLength": 10**5000}, "at #/minLength: the value must be at most 999,999,999"),
        # Written out, this expression would take 500 MB.
        (
            {"type": "object", "properties": {f"{i:01000}": {} for i in range(1000)}},
            "at #: this part needs an expression of more than 100,000 characters; shorten it",
        ),
        (
            {"enum": ["a" * 60_000, "b" * 60_000]},
            "this part needs an expression of more than 100,000 characters; shorten it",
        ),
    ],
)
def test_a_schema_that_explodes_is_refused(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(ConstraintError) as caught:
        schema_to_regex(schema)
    assert str(caught.value).endswith(message)


def test_a_value_that_json_cannot_write_is_an_error() -> None:
    with pytest.raises(ConstraintError, match="at #/const: JSON has no NaN"):
        schema_to_regex({"const": float("nan")})
    with pytest.raises(ConstraintError, match="at #/enum: the type set is not one of JSON"):
        schema_to_regex({"enum": [{1}]})
