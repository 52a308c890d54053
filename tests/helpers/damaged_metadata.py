"""Metadata that is damaged or newer, with the error code of the C core and the entry that it names."""

import json

from tests.helpers.core_reader import DAMAGED_MODEL, NEWER_FORMAT

# Of a model with 12 logits.
METADATA = {
    "textgen.format": "2",
    "textgen.level": '"character"',
    "textgen.vocabulary": r'["", "a", "b", "\u00e9", "\ud834\udd1e", "[", ",", "{", "\"", "\\", "\n", "]"]',
    "textgen.special": '{"unknown": 0}',
    "textgen.normalization": '{"lowercase": true, "unicode": null}',
    "textgen.prompts": r'["a", "b\u00e9\ud834\udd1e[,{\"\\\n]"]',
    "textgen.training": '{"corpus": "none", "loss": [1.5, {"bits": null}]}',
}


def entries(*texts: str) -> str:
    """A vocabulary of 12 entries: the first is empty, the next are given as they stand in JSON."""
    return "[" + ", ".join(['""', *texts, *(f'"{each}"' for each in "abcdefghijk")][:12]) + "]"


def change(changes: dict[str, str | None]) -> dict[str, str]:
    """Return the metadata with other values. A key of None is missing."""
    changed = {**METADATA, **{f"textgen.{key}": value for key, value in changes.items()}}
    return {key: value for key, value in changed.items() if value is not None}


Changes = dict[str, str | None]

# The entry that is named for a kind of damage. What is damage at all, is in metadata_rules.
NEWER: list[Changes] = [
    {"format": "3"},
    {"format": "9" * 300},
    {"level": '"pair"'},
    {"level": json.dumps("x" * 10**6)},
    {"special": "[]"},
    {"special": '{"start": 0}'},
    {"records": '"tabs"'},
    {"quantization": '{"bits": 4}'},
]
DAMAGED: dict[str, list[Changes]] = {
    "format": [{"format": "{"}, {"format": None}],
    "level": [{"level": None}],
    "vocabulary": [
        {"vocabulary": None},
        {"vocabulary": "{"},
        {"vocabulary": '["", "b"]'},
        {"vocabulary": entries(json.dumps("x" * 10**6))},
        {"format": "1"},
        {"special": None},
        {"level": '"byte"'},
        {"level": '"word"', "vocabulary": entries('"a b"')},
    ],
    "special": [{"special": '{"unknown": 12}'}, {"special": '{"begin": 0}'}],
    "records": [{"records": '"lines"'}],
    "normalization": [
        {"normalization": None},
        {"normalization": json.dumps({"x" * 10**6: 1})},
        {"normalization": "[" * 100_000},
        {"normalization": "[" + "{}," * 400_000 + "{}]"},
    ],
    "prompts": [{"prompts": None}, {"prompts": '["a", "z"]'}, {"prompts": "[[]]"}],
    "training": [{"training": "<not json>"}, {"training": "[]"}],
    "quantization": [{"quantization": "8"}, {"quantization": '{"bits": true}'}],
}
# Each with the code and the key.
DAMAGED_METADATA = [
    *((changes, NEWER_FORMAT, next(iter(changes))) for changes in NEWER),
    *((changes, DAMAGED_MODEL, key) for key, each in DAMAGED.items() for changes in each),
]
