"""Random schemas: each is refused in one line, or each text that it allows is valid."""

import json
import random
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from textgen_runtime.constraints import compile_constraint
from textgen_runtime.errors import ConstraintError

from tests.helpers.constraint_texts import decode, random_tokens

SYMBOLS = tuple(map(chr, (0, 9, *range(32, 128), 0xE9, 0x1F600)))
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
        constraint = compile_constraint("json_schema", json.dumps(schema), SYMBOLS, frozenset())
    except ConstraintError as error:
        event("refused")
        COUNTS["refused"] += 1
        assert "\n" not in str(error)  # noqa: PT017 (either is right)
        return
    event("compiled")
    COUNTS["compiled"] += 1
    validator, rng = Draft202012Validator(schema), random.Random(1)
    for _ in range(TEXTS):
        text = decode(SYMBOLS, random_tokens(constraint, rng, LENGTH))
        validator.validate(json.loads(text))


def test_every_text_of_a_random_schema_is_valid_or_the_schema_is_refused() -> None:
    check_schema()
    assert min(COUNTS.values()) > 3
