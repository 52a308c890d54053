"""Metadata that is damaged or newer, with what the C core says about it."""

import json

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


def change(changes: dict[str, str | None]) -> dict[str, str]:
    """Return the metadata with other values. A key of None is missing."""
    changed = {**METADATA, **{f"textgen.{key}": value for key, value in changes.items()}}
    return {key: value for key, value in changed.items() if value is not None}


# Changes, each with a part of the message.
DAMAGED_METADATA: list[tuple[dict[str, str | None], str]] = [
    (
        {"format": "3"},
        "the file has format 3, but this version supports formats up to 2: upgrade textgen-onnx",
    ),
    ({"format": "0"}, "the metadata 'textgen.format' is 0; expected a format number: export the model again"),
    ({"format": "true"}, "expected a format number"),
    ({"format": "9" * 4000}, "but this version supports formats up to 2: upgrade"),
    (
        {"level": '"pair"'},
        "'textgen.level' is 'pair', but this version supports only 'character', 'byte', 'word': upgrade",
    ),
    ({"vocabulary": "[]"}, "the metadata 'textgen.vocabulary' is not a list of characters"),
    ({"vocabulary": "[[],[],[]]"}, "is not a list of characters"),
    ({"vocabulary": "{"}, "the metadata 'textgen.vocabulary' is not valid JSON: export the model again"),
    ({"vocabulary": '["", "a", "a"]'}, "contains a character twice: export the model again"),
    (
        {"vocabulary": '["", "bc"]'},
        "the metadata 'textgen.vocabulary' has 'bc' at index 1; expected a character",
    ),
    ({"vocabulary": '["", ""]'}, "has '' at index 1; expected a character"),
    ({"vocabulary": r'["", "\ud800"]'}, "at index 1; expected a character"),
    ({"vocabulary": '["", 7]'}, "has 7 at index 1; expected a character"),
    ({"vocabulary": '["a", "b"]'}, "has 'a' at index 0, the index of "),
    (
        {"vocabulary": "[" + ",".join(['"a"'] * 14) + "]"},
        "has more entries than the graph has logits (12)",
    ),
    (
        {"vocabulary": '["", "b"]'},
        "the vocabulary has 2 characters, but the graph has 12 logits: export the model again",
    ),
    ({"format": "1"}, "has '' at index 0; expected a character"),
    (
        {"special": '{"unknown": 12}'},
        "has the token 12 for 'unknown', but the vocabulary has 12 entries",
    ),
    ({"special": '{"unknown": -1}'}, "has the token -1 for 'unknown', but the vocabulary has 12 entries"),
    ({"special": '{"unknown": true}'}, " for 'unknown', but the vocabulary has 12 entries"),
    ({"special": "[]"}, "but this version supports only 'unknown', 'begin', 'end': upgrade"),
    ({"special": "{}"}, "has '' at index 0; expected a character"),
    ({"special": '{"start": 0}'}, "but this version supports only 'unknown', 'begin', 'end': upgrade"),
    ({"special": '{"begin": 0}'}, "'textgen.special': begin and end must be given together: export"),
    ({"special": '{"begin": 0, "end": 0}'}, "the metadata 'textgen.special': the special tokens must differ"),
    ({"special": '{"begin": 0, "end": 2}'}, "has 'b' at index 2, the index of "),
    ({"special": None}, "has '' at index 0; expected a character"),
    (
        {"vocabulary": '["", ""]', "special": '{"begin": 0, "end": 1}'},
        "the vocabulary has only special tokens, which make no text: export the model again",
    ),
    (
        {"records": '"lines"'},
        "'textgen.records' is 'lines', but 'textgen.special' has no 'begin' and 'end'",
    ),
    (
        {"records": '"tabs"'},
        "'textgen.records' is 'tabs', but this version supports only 'lines', 'blank': upgrade",
    ),
    ({"level": '"byte"'}, "has '𝄞' at index 4; expected a byte: export the model again"),
    ({"level": '"word"', "vocabulary": '["", "a b"]'}, "has 'a b' at index 1; expected a word: export"),
    ({"level": '"word"', "vocabulary": '["", "ab", "ab"]'}, "contains a word twice"),
    (
        {"normalization": '{"lowercase": true, "unicode": "NFX"}'},
        "expected a lowercase flag and a Unicode normal form: export the model again",
    ),
    ({"normalization": '{"lowercase": true, "unicode": null, "stemmed": true}'}, "expected a lowercase flag"),
    ({"normalization": json.dumps({"x" * 10**6: 1})}, "expected a lowercase flag"),
    ({"normalization": "[" * 100_000}, "the metadata 'textgen.normalization' is not valid JSON"),
    ({"level": json.dumps("x" * 10**6)}, ", but this version supports only 'character'"),
    ({"vocabulary": json.dumps(["", "x" * 10**6])}, "at index 1; expected a character"),
    (
        {"normalization": "[" + "{}," * 400_000 + "{}]"},
        "has 1,200,004 characters; at most 1,048,576 are",
    ),
    (
        {"prompts": '["a", "z"]'},
        "'textgen.prompts' is not a list of texts whose characters are in the vocabulary: export the model",
    ),
    ({"prompts": '[""]'}, "the metadata 'textgen.prompts' is not a list of texts"),
    ({"prompts": "[[]]"}, "is not a list of texts"),
    ({"prompts": None}, "the metadata 'textgen.prompts' is missing: export the model again"),
    (
        {"training": "<not json>"},
        "the metadata 'textgen.training' is not valid JSON: export the model again",
    ),
    ({"training": "[]"}, "the metadata 'textgen.training' is not a JSON object"),
    ({"training": '{"held_out_nats": NaN}'}, "the metadata 'textgen.training' is not valid JSON"),
    ({"training": '{"held_out_nats": 1e999}'}, "the metadata 'textgen.training' is not valid JSON"),
    ({"level": None}, "the metadata 'textgen.level' is missing"),
    ({"vocabulary": None}, "the metadata 'textgen.vocabulary' is missing"),
    ({"normalization": None}, "the metadata 'textgen.normalization' is missing"),
    ({"quantization": "8"}, "is 8; expected an object with a number of bits: quantize the model again"),
    ({"quantization": '{"bits": true}'}, 'is {"bits": true}; expected an object with a number of bits'),
    (
        {"quantization": '{"bits": 4}'},
        "the metadata 'textgen.quantization' has 4 bits, but this version supports only 8: upgrade",
    ),
    ({"quantization": '{"bits": 8, "loss": "low"}'}, "expected two losses and a text, or null: quantize"),
]
