"""Random schemas: each is refused in one line, or each text that it allows is valid."""

import json
import random
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from textgen_runtime.constraints.schema import compile_schema
from textgen_runtime.errors import ConstraintError

from tests.helpers.constraint_texts import decode, random_tokens

SYMBOLS = [chr(code) for code in (0, 9, *range(32, 128), 0xE9, 0x1F600)]
TEXTS, LENGTH = 20, 100

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
PLAIN = st.one_of(
    st.sampled_from([True, {}, {"$ref": "#"}, {"$ref": "#/$defs/a"}, {"title": "t", "type": "null"}]),
    st.sampled_from(TYPES).map(lambda name: {"type": name}),
    st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True).map(lambda names: {"type": names}),
    VALUES.map(lambda value: {"const": value}),
    st.lists(VALUES, max_size=3).map(lambda values: {"enum": values}),
    st.fixed_dictionaries({"minLength": BOUNDS}, optional={"maxLength": BOUNDS}),
    st.sampled_from([r"^\d+$", "a|é", "[^a]{2}", "^(?!b)", "(", r"\s*"]).map(lambda each: {"pattern": each}),
    st.sampled_from(["date", "time", "email", "uuid", "uri", "x"]).map(lambda each: {"format": each}),
)
# What is no schema, or not a supported one.
OTHERS: st.SearchStrategy[Any] = st.sampled_from(
    [None, 1, [], "a", False, {"type": "text"}, {"minimum": 1}, {"required": 1}, {"$ref": "#/$defs/none"}]
)


def bounded(least: str, most: str) -> st.SearchStrategy[dict[str, int]]:
    """Return bounds of which none contradicts the other."""
    return st.tuples(st.integers(0, 2), st.integers(0, 2)).map(lambda pair: {least: pair[0], most: sum(pair)})


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return schemas that contain others."""
    some = st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    objects = st.fixed_dictionaries({"properties": some}) | some.map(
        lambda members: {"properties": members, "required": list(members)[:2]}
    )
    names = st.fixed_dictionaries({"additionalProperties": inner}, optional={"maxProperties": BOUNDS})
    items = st.fixed_dictionaries({"items": inner})
    arrays = st.tuples(items, bounded("minItems", "maxItems"))
    merged = st.tuples(objects, bounded("minProperties", "maxProperties"))
    options = st.lists(inner, min_size=1, max_size=3)
    # The kinds are equally likely: `|` would choose among the branches of each.
    kinds = [
        arrays.map(lambda parts: parts[0] | parts[1]),
        merged.map(lambda parts: parts[0] | parts[1]),
        objects,
        names,
        st.lists(inner, max_size=3).map(lambda schemas: {"prefixItems": schemas}),
        st.tuples(st.sampled_from(["anyOf", "oneOf"]), options).map(lambda pair: {pair[0]: pair[1]}),
        inner.map(lambda schema: {"allOf": [schema]}),
    ]
    return st.integers(0, len(kinds) - 1).flatmap(kinds.__getitem__)


def read_as_any_of(schema: Any) -> Any:
    """Return a schema with ``anyOf`` in place of ``oneOf``, as documented. Values and names stay."""
    if isinstance(schema, list):
        return [read_as_any_of(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {"anyOf" if keyword == "oneOf" else keyword: value for keyword, value in schema.items()}
    kept = {keyword: renamed[keyword] for keyword in ("const", "enum") if keyword in renamed}
    return {keyword: read_as_any_of(value) for keyword, value in renamed.items()} | kept


@given(nested(st.recursive(PLAIN | OTHERS, nested, max_leaves=4)) | OTHERS, PLAIN)
def test_every_text_of_a_random_schema_is_valid_or_the_schema_is_refused(
    schema: Any, referenced: Any
) -> None:
    if isinstance(schema, dict):
        schema = schema | {"$defs": {"a": referenced}}
    try:
        constraint = compile_schema(json.dumps(schema), SYMBOLS)
    except ConstraintError as error:
        event("refused")
        assert "\n" not in str(error)  # noqa: PT017 (either is right)
        return
    event("compiled")
    validator, rng = Draft202012Validator(read_as_any_of(schema)), random.Random(1)
    for _ in range(TEXTS):
        text = decode(SYMBOLS, random_tokens(constraint, rng, LENGTH))
        validator.validate(json.loads(text))
