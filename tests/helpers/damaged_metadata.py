"""Metadata that is damaged or newer, with the error code of the C core and the entry that it names."""

import json
from typing import cast

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


def entries(*texts: str, start: str = '""') -> str:
    """A vocabulary of 12 entries: the first is empty, the next are given as they stand in JSON."""
    return "[" + ", ".join([start, *texts, *(f'"{each}"' for each in "abcdefghijk")][:12]) + "]"


def change(changes: dict[str, str | None]) -> dict[str, str]:
    """Return the metadata with other values. A key of None is missing."""
    changed = {**METADATA, **{f"textgen.{key}": value for key, value in changes.items()}}
    return {key: value for key, value in changed.items() if value is not None}


Changes = dict[str, str | None]

# Each with the code and the key.
DAMAGED_METADATA: list[tuple[Changes, int, str]] = [
    ({"format": "3"}, NEWER_FORMAT, "format"),
    ({"format": "9" * 300}, NEWER_FORMAT, "format"),
    ({"level": '"pair"'}, NEWER_FORMAT, "level"),
    ({"level": json.dumps("x" * 10**6)}, NEWER_FORMAT, "level"),
    ({"special": "[]"}, NEWER_FORMAT, "special"),
    ({"special": '{"start": 0}'}, NEWER_FORMAT, "special"),
    ({"records": '"tabs"'}, NEWER_FORMAT, "records"),
    ({"quantization": '{"bits": 4}'}, NEWER_FORMAT, "quantization"),
    *(
        (values, DAMAGED_MODEL, key)
        for key, changes in {
            "format": ({"format": "0"}, {"format": "true"}, {"format": "{"}, {"format": None}),
            "level": ({"level": None}, {"level": "word"}),
            "vocabulary": (
                {"vocabulary": None},
                {"vocabulary": "[]"},
                {"vocabulary": "{"},
                {"vocabulary": '["", "b"]'},
                {"vocabulary": entries('"a"', '"a"')},
                {"vocabulary": entries('"bc"')},
                {"vocabulary": entries('""')},
                {"vocabulary": entries(r'"\ud800"')},
                {"vocabulary": entries("7")},
                {"vocabulary": entries("[[]]")},
                {"vocabulary": entries('"a"', start='"b"')},
                {"vocabulary": entries(json.dumps("x" * 10**6))},
                {"vocabulary": "[" + ",".join(['"a"'] * 14) + "]"},
                {"format": "1"},
                {"special": "{}"},
                {"special": None},
                {"special": '{"begin": 0, "end": 2}'},
                {"level": '"byte"'},
                {"level": '"word"', "vocabulary": entries('"a b"')},
                {"level": '"word"', "vocabulary": entries('"ab"', '"ab"')},
            ),
            "special": (
                {"special": '{"unknown": 12}'},
                {"special": '{"unknown": -1}'},
                {"special": '{"unknown": true}'},
                {"special": '{"begin": 0}'},
                {"special": '{"begin": 0, "end": 0}'},
            ),
            "records": ({"records": '"lines"'},),
            "normalization": (
                {"normalization": None},
                {"normalization": '{"lowercase": true, "unicode": "NFX"}'},
                {"normalization": '{"lowercase": true, "unicode": null, "stemmed": true}'},
                {"normalization": json.dumps({"x" * 10**6: 1})},
                {"normalization": "[" * 100_000},
                {"normalization": "[" + "{}," * 400_000 + "{}]"},
            ),
            "prompts": (
                {"prompts": None},
                {"prompts": '["a", "z"]'},
                {"prompts": '[""]'},
                {"prompts": "[[]]"},
                {"prompts": '"a"'},
            ),
            "training": (
                {"training": "<not json>"},
                {"training": "[]"},
                {"training": '{"held_out_nats": NaN}'},
                {"training": '{"x": ' + "[" * 64 + "]" * 64 + "}"},
                {"training": '{"x": ' + "9" * 301 + "}"},
            ),
            "quantization": (
                {"quantization": "8"},
                {"quantization": '{"bits": true}'},
                {"quantization": '{"bits": 8, "loss": "low"}'},
            ),
        }.items()
        for values in cast("tuple[Changes, ...]", changes)
    ),
]
