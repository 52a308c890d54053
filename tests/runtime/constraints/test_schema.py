"""JSON schemas: which values can be written, what is refused, and random schemas against jsonschema."""

import json
import random
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from textgen_runtime._core import Constraint
from textgen_runtime.constraints import compile_constraint
from textgen_runtime.errors import ConstraintError

from tests.helpers.constraint_texts import decode, matches, random_tokens

SYMBOLS = (*map(chr, (0, 9, 10, *range(32, 128), 0x85, 0xA0, 0xE9, 0x663, 0x2028, 0x1F600)),)


def compile_schema(schema: Any, symbols: tuple[str, ...] = SYMBOLS) -> Constraint:
    return compile_constraint("json_schema", json.dumps(schema), symbols, frozenset())


def writes(constraint: Constraint, text: str) -> bool:
    return matches(constraint, map(SYMBOLS.index, text))


def texts_of(schema: Any, count: int = 300) -> set[str]:
    constraint, rng = compile_schema(schema), random.Random(1)
    return {decode(SYMBOLS, random_tokens(constraint, rng, 100)) for _ in range(count)}


ABC = {"properties": {"a": {"const": 1}, "b.": {"const": 2}, "c": {"const": 3}}}
A, B, C = '"a":1', '"b.":2', '"c":3'


@pytest.mark.parametrize(
    ("schema", "texts"),
    [
        ({"type": ["null", "boolean"]}, {"null", "true", "false"}),
        ({"enum": [1, "a", None, {"k": [1.5, "."]}]}, {"1", '"a"', "null", '{"k":[1.5,"."]}'}),
        ({"type": "integer", "enum": [True, 1, "a", 2.5, 7]}, {"1", "7"}),
        ({"type": ["boolean", "null", "array"], "enum": [True, 1, None, [0], {}]}, {"true", "null", "[0]"}),
        (
            {"type": ["object", "string", "number"], "enum": [True, 1, 1.5, {}, "a"]},
            {"1", "1.5", "{}", '"a"'},
        ),
        ({"const": 'a"\\é\n.*'}, {r'"a\"\\é\n.*"'}),
        (
            {"items": {"enum": [1, 2]}, "maxItems": 2},
            {"[]", "[1]", "[2]", "[1,1]", "[1,2]", "[2,1]", "[2,2]"},
        ),
        ({"items": {"const": 1}, "minItems": 2, "maxItems": 3}, {"[1,1]", "[1,1,1]"}),
        ({"type": "array", "maxItems": 0}, {"[]"}),
        # As Pydantic writes an optional field.
        ({"anyOf": [{"enum": [1, 2]}, {"type": "null"}], "default": None}, {"1", "2", "null"}),
        ({"pattern": "^(a|b)$"}, {'"a"', '"b"'}),
        ({"pattern": r"\$"}, {'"$"'}),
        ({"minLength": 0, "maxLength": 0}, {'""'}),
        ({"properties": {}}, {"{}"}),
        ({"type": "object", "additionalProperties": False}, {"{}"}),
        (
            ABC | {"additionalProperties": True},
            {
                "{" + ",".join(filter(None, [a, b, c])) + "}"
                for a in ("", A)
                for b in ("", B)
                for c in ("", C)
            },
        ),
        (ABC | {"required": ["b."]}, {f"{{{a}{B}{c}}}" for a in ("", A + ",") for c in ("", "," + C)}),
        (ABC | {"required": ["c"]}, {f"{{{a}{b}{C}}}" for a in ("", A + ",") for b in ("", B + ",")}),
        (ABC | {"required": ["a", "c"], "title": "t"}, {f"{{{A}{b},{C}}}" for b in ("", "," + B)}),
    ],
)
def test_a_schema_has_exactly_these_texts(schema: Any, texts: set[str]) -> None:
    assert texts_of(schema) == texts


@pytest.mark.parametrize("schema", [{}, True, {"title": "anything"}])
def test_a_schema_without_types_has_any_value_that_is_not_deep(schema: Any) -> None:
    constraint = compile_schema(schema)
    assert writes(constraint, '{"a":[-1.5e3,"b",null],"c":true}')
    assert writes(constraint, '[[],{"a":0}]')
    assert not writes(constraint, "[[[]]]")
    objects = compile_schema({"type": "object"})
    assert writes(objects, '{"a":{"b":[1]}}')
    assert not writes(objects, "1")
    assert writes(compile_schema({"type": "array"}), "[[[1]]]")


@pytest.mark.parametrize(
    ("name", "values", "others"),
    [
        ("integer", ["0", "-0", "120"], ["01", "1.0", "+1", "1e2", "-", ""]),
        ("number", ["0", "-1.50", "2e+10", "1E-7"], ["01", "1.", ".5", "1e", "NaN"]),
        ("string", ['""', '"é\\n\\/\\""'], ['"\t"', '"\\u0041"', '"\\x"', '"a', '"a"b"']),
    ],
)
def test_a_type_has_the_values_of_json(name: str, values: list[str], others: list[str]) -> None:
    constraint = compile_schema({"type": name})
    assert [writes(constraint, value) for value in values] == [True] * len(values)
    assert [writes(constraint, other) for other in others] == [False] * len(others)


def test_a_length_counts_the_characters_of_the_value() -> None:
    constraint = compile_schema({"type": "string", "minLength": 2, "maxLength": 3})
    found = [writes(constraint, text) for text in ('"a"', '"\\n"', '"\\na"', '"é😀b"', '"abcd"')]
    assert found == [False, False, True, True, False]


@pytest.mark.parametrize("schema", [{"type": "string"}, {"minLength": 1}, {"pattern": "[^é]"}])
def test_no_control_character_stands_in_a_string(schema: dict[str, Any]) -> None:
    symbols = tuple(map(chr, range(128)))
    constraint = compile_schema(schema, symbols)
    refused = [code for code in range(128) if not matches(constraint, [34, code, 34])]
    assert refused == [*range(0x20), ord('"'), ord("\\")]


@pytest.mark.parametrize(
    ("pattern", "characters"),
    [
        (r"\d", "0123456789"),
        (r"[^\W\da-zA-Z]", "_"),
        (r"\s", " "),
        (r"[^\S]", " "),
        (r"(?!\w)[^ -/:-@[-`{-~\x7f]", "é٣😀"),
        (r"[\D](?!.)a|[^\s!-~\x7f]", "é٣😀"),
        (r"(?![a-z])[^A-Z0-_{-~!-/é٣`😀\x7f]|[.]", " ."),
    ],
)
def test_the_classes_of_a_pattern_are_those_of_ecma_262_and_ascii(pattern: str, characters: str) -> None:
    constraint = compile_schema({"pattern": pattern})
    assert {symbol for symbol in SYMBOLS if writes(constraint, f'"{symbol}"')} == set(characters)


def test_a_dot_and_a_class_match_no_spaces_that_ecma_262_reads_in_another_way() -> None:
    for pattern in (".", r"\S", r"\W", r"[^a]"):
        constraint = compile_schema({"pattern": pattern})
        assert not any(writes(constraint, f'"{symbol}"') for symbol in "\x85\xa0\u2028")
        assert writes(constraint, '"é"')


@pytest.mark.parametrize(
    ("schema", "place", "culprit"),
    [
        (5, "#", "5"),
        ({"properties": {"a": False}}, "#/properties/a", "False"),
        ({"type": "text"}, "#/type", "'text'"),
        ({"type": []}, "#/type", "[]"),
        ({"type": {"a": 1}}, "#/type", "{'a': 1}"),
        ({"type": ["null", ["a"]]}, "#/type", "['a']"),
        ({"type": "integer", "minimum": 3}, "#", "'minimum'"),
        ({"minimum": 3}, "#", "'minimum'"),
        ({"type": "string", "items": {}}, "#", "'items'"),
        ({"properties": {"a/~b": {"not": {}}}}, "#/properties/a~1~0b", "'not'"),
        ({"items": {"$ref": "#"}}, "#/items", "'$ref'"),
        ({"anyOf": [{}, {"not": {}}]}, "#/anyOf/1", "'not'"),
        ({"anyOf": [{"type": "null"}], "type": "null"}, "#", "'anyOf'"),
        ({"anyOf": {}}, "#", "'anyOf'"),
        ({"items": {}, "uniqueItems": True}, "#", "'uniqueItems'"),
        ({"properties": {"a": {}}, "minProperties": 1}, "#", "'minProperties'"),
        ({"type": "string", "format": "date"}, "#", "'format'"),
        ({"const": 1, "maxLength": 1}, "#", "'maxLength'"),
        ({"minLength": 1, "pattern": "a"}, "#", "'pattern'"),
        ({"properties": [1]}, "#/properties", ""),
        ({"properties": {}, "required": ["a"]}, "#/required", ""),
        ({"properties": {"1": {}}, "required": [1]}, "#/required", ""),
        ({"required": "a"}, "#/required", ""),
        ({"properties": {}, "additionalProperties": {}}, "#/additionalProperties", ""),
        ({"minItems": 2, "maxItems": 1}, "#/maxItems", ""),
        ({"minItems": -1}, "#/minItems", "-1"),
        ({"maxItems": 1.5}, "#/maxItems", "1.5"),
        ({"minLength": True}, "#/minLength", "True"),
        ({"pattern": 5}, "#/pattern", "5"),
        ({"pattern": "a(b"}, "#/pattern", "character 2"),
        ({"pattern": "a^b"}, "#/pattern", "anchor"),
        ({"pattern": "(?i:a)"}, "#/pattern", "flags"),
        ({"enum": []}, "#/enum", ""),
        ({"enum": ["a"], "type": "null"}, "#/enum", ""),
        ({"enum": "a"}, "#/enum", ""),
        ({"properties": {str(i): {} for i in range(101)}}, "#/properties", "100"),
    ],
    ids=str,
)
def test_what_is_not_supported_is_refused_by_its_name_and_place(
    schema: Any, place: str, culprit: str
) -> None:
    with pytest.raises(ConstraintError) as caught:
        compile_schema(schema)
    assert str(caught.value).startswith(f"the JSON schema: at {place}: ")
    assert culprit in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "schema",
    ["{", '{"const": NaN}', "[" * 100_000, '{"items":' * 900 + "{}" + "}" * 900, '{"minLength": 99999}'],
)
def test_a_schema_that_is_no_json_or_too_large_is_refused(schema: str) -> None:
    with pytest.raises(ConstraintError, match=r"^the JSON schema: "):
        compile_constraint("json_schema", schema, SYMBOLS, frozenset())


def test_a_schema_that_the_vocabulary_cannot_write_names_the_characters() -> None:
    for schema in ({"pattern": "[D-F]+Ä"}, {"const": "DÄ"}):
        with pytest.raises(ConstraintError, match="'Ä'"):
            compile_schema(schema, ('"', "a"))


NAMES = st.sampled_from(["a", "b", "é", 'c"', "$ref", "~1/0"])
BOUNDS = st.integers(0, 3)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.text('a"\\é\n', max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=3,
)
TYPES = ["object", "array", "string", "integer", "number", "boolean", "null"]
SOME_TYPES = st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True)
PLAIN = st.one_of(
    st.sampled_from([True, {}, {"title": "t", "type": "null"}]),
    st.sampled_from(TYPES).map(lambda name: {"type": name}),
    SOME_TYPES.map(lambda names: {"type": names}),
    VALUES.map(lambda value: {"const": value}),
    st.fixed_dictionaries({"enum": st.lists(VALUES, max_size=3)}, optional={"type": SOME_TYPES}),
    st.fixed_dictionaries({"minLength": BOUNDS}, optional={"maxLength": BOUNDS}),
    st.sampled_from([r"^\d+$", "a|é", "[^a]{2}", "^(?!b)", "(", r"\s*", r"\S."]).map(
        lambda each: {"pattern": each}
    ),
)
# What is no schema, or not a supported one.
OTHERS: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        1,
        [],
        "a",
        False,
        {"type": "text"},
        {"minimum": 1},
        {"required": 1},
        {"$ref": "#"},
        {"format": "date"},
    ]
)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return schemas that contain others."""
    some = st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    objects: st.SearchStrategy[Any] = st.fixed_dictionaries(
        {"properties": some}, optional={"additionalProperties": st.booleans()}
    )
    arrays = st.fixed_dictionaries(
        {"items": inner}, optional={"minItems": st.integers(0, 2), "maxItems": BOUNDS}
    )
    # The kinds are equally likely: `|` would choose among the branches of each.
    kinds = [
        arrays,
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
        objects,
        objects.map(lambda schema: schema | {"required": list(schema["properties"])[:2]}),
        objects.map(lambda schema: schema | {"required": list(schema["properties"])[-1:]}),
    ]
    return st.integers(0, len(kinds) - 1).flatmap(kinds.__getitem__)


COUNTS = {"refused": 0, "compiled": 0}


@given(nested(st.recursive(PLAIN | OTHERS, nested, max_leaves=4)) | PLAIN | OTHERS)
def check_schema(schema: Any) -> None:
    try:
        constraint = compile_schema(schema)
    except ConstraintError as error:
        event("refused")
        COUNTS["refused"] += 1
        assert "\n" not in str(error)  # noqa: PT017 (either is right)
        return
    event("compiled")
    COUNTS["compiled"] += 1
    validator, rng = Draft202012Validator(schema), random.Random(1)
    for _ in range(20):
        text = decode(SYMBOLS, random_tokens(constraint, rng, 100))
        validator.validate(json.loads(text))


def test_every_text_of_a_random_schema_is_valid_or_the_schema_is_refused() -> None:
    check_schema()
    assert min(COUNTS.values()) > 3
