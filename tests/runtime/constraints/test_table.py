"""``describe_table``: the table of a constraint as JSON values."""

import textgen_runtime as textgen
from textgen_runtime.constraints.table import describe_table
from textgen_runtime.generation.controls import compile_controls

from tests.helpers.paths import TINY


def test_a_table_has_the_states_and_the_allowed_symbols() -> None:
    metadata = textgen.load(TINY).metadata
    constraint = compile_controls(textgen.Sampling(match="a+é"), metadata).constraint
    assert constraint is not None
    assert describe_table(constraint, metadata.tokenizer.symbols) == {
        "states": [
            {"accepting": False, "next": {"a": 1}},
            {"accepting": False, "next": {"a": 1, "é": 2}},
            {"accepting": True, "next": {}},
        ]
    }
