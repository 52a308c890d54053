"""The C core's reading of metadata, against rules that are written in Python."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from textgen_runtime.model_file.metadata import Metadata

from tests.helpers.core_reader import DAMAGED_MODEL, NEWER_FORMAT, field, refusal, run_all
from tests.helpers.damaged_metadata import DAMAGED_METADATA, METADATA, change
from tests.helpers.make_tiny_model import make_model
from tests.helpers.metadata_rules import is_valid

WORDS = METADATA | {
    "textgen.level": '"word"',
    "textgen.vocabulary": r'["", "a", " a\u00e9", "b", "\ud834\udd1eb", " ", ",", "", "_9", "", "\n", "]"]',
    "textgen.special": '{"unknown": 0, "begin": 7, "end": 9}',
    "textgen.prompts": r'["a", "b a\u00e9,\ud834\udd1eb]"]',
    "textgen.records": '"lines"',
}
BYTES = METADATA | {
    "textgen.level": '"byte"',
    "textgen.vocabulary": json.dumps([*map(chr, range(256)), "", ""]),
    "textgen.special": '{"begin": 256, "end": 257}',
    "textgen.prompts": r'["a", "b\u00e9\ud834\udd1e"]',
    "textgen.records": '"blank"',
}
CHARACTERS_AS_WORDS = METADATA | {"textgen.level": '"word"'}
BASES = [(METADATA, 12), (CHARACTERS_AS_WORDS, 12), (WORDS, 12), (BYTES, 258)]
IDS = ["characters", "words", "records of words", "bytes"]


class Models:
    """Files of one graph with different metadata."""

    def __init__(self, symbols: int) -> None:
        model = make_model([chr(ord("a") + i) for i in range(symbols)])
        del model.metadata_props[:]
        self.graph = model.SerializeToString()

    def content(self, metadata: dict[str, str]) -> bytes:
        entries = ((key.encode(), value.encode()) for key, value in metadata.items())
        return self.graph + b"".join(field(14, field(1, key) + field(2, value)) for key, value in entries)


def expected(props: dict[str, str], symbols: int) -> list[str] | None:
    """What the program prints of metadata, by way of Python; None if it is refused."""
    if not is_valid(props, symbols):
        return None
    metadata = Metadata.from_props(props)
    listed, unknown = metadata.tokenizer.symbols, metadata.tokenizer.unknown
    is_bytes = metadata.tokenizer.level == "byte"
    encoded = [each.encode("latin-1" if is_bytes else "utf-8") for each in listed]
    longest = max(map(len, encoded))
    special = metadata.tokenizer.special
    begin, end = (-1, -1) if special.begin is None else (special.begin, special.end)
    token = -1 if unknown is None else unknown
    normalization = metadata.normalization
    lowercase = int(normalization.lowercase)
    return [
        "symbols " + " ".join(each.hex() for each in encoded),
        f"unknown {token} bytes {longest} lowercase {lowercase} unicode {normalization.unicode or 'none'}",
        f"level {metadata.tokenizer.level} begin {begin} end {end} records {metadata.records or 'none'}",
    ]


def disagreements(
    core_reader: Path, symbols: int, cases: Sequence[dict[str, str]]
) -> tuple[list[dict[str, str]], int]:
    """Metadata of which C and Python make different things, and how many are read."""
    models = Models(symbols)
    printed = run_all(core_reader, [models.content(case) for case in cases])
    wanted = [expected(case, symbols) for case in cases]
    wrong = [
        case
        for case, lines, want in zip(cases, printed, wanted, strict=True)
        if (lines[-1].startswith(("-4 ", "-13 ")) if want is None else lines[1:4] == want) is False
    ]
    return wrong, sum(want is not None for want in wanted)


def with_value(metadata: dict[str, str], key: str, value: str) -> dict[str, str]:
    """Metadata with another value. A vocabulary gets a prompt whose character most vocabularies have."""
    return metadata | ({"textgen.prompts": '["a"]'} if key == "textgen.vocabulary" else {}) | {key: value}


def entries(*texts: str) -> str:
    """A vocabulary of 12 entries: the first is empty, the next are given as they stand in JSON."""
    return "[" + ", ".join(['""', *texts, *(f'"{each}"' for each in "abcdefghijk")][:12]) + "]"


def repeated(value: str) -> str:
    """Special tokens with a value that does not count, because its key is there again."""
    return f'{{"unknown": {value}, "unknown": 0}}'


# From here on numbers are rounded to infinity.
LEAST_INFINITE = 2**1024 - 2**970

# fmt: off
VALUES = [
    "", " ", "{", "[", "nonsense", "null", "true", "1", "2", "3", "0", "-1", "1.0", "1e0", "01", "+1", "-",
    "2 ", "\t2\r\n", "2,", "\ufeff2", "NaN", "Infinity", '"text"', '"character"', '"char\\u0061cter"',
    '"\\u00"', '"\\x"', '"\\ud800"', "[]", "[ ]", "[,]", '["a",]', '["a" "b"]',
    "{}", "{,}", '{"a"}', '{"a":}',
    '{"a":1,}', "{1:2}", '["a"]x', "9" * 4301,
    '"wor"', '"word"', '"byte"', '"lines"', '"blank"', '"tabs"',
    '{"begin": 1}', '{"end": 9, "begin": 7}', '{"begin": 7, "end": null}', '{"begin": 7, "end": 7}',
    '{"begin": 0, "end": 7, "unknown": 9}',
    '{"unknown": 0, "begin": 0, "end": 7}', '{"begin": 257, "end": 256}',
    '{"unknown": 256, "begin": 256, "end": 257}', '{"unknown": 256}', '{"begin": 0, "end": 1}',
    '{"unknown": null}', '{"unknown": -0}', '{"unknown": 0.0}', '{"unknown": 12}', '{"unknown": true}',
    '{"unknown": 99999999999999999999}', f'{{"unknown": {2**64}}}',
    '{"unkn\\u006fwn": 0}', '{"unknown\\u0000": 0}', '["unknown"]',
    *map(repeated, (
        "1", "179769313486231580793e288", f"{LEAST_INFINITE - 1}.9e0", f"{LEAST_INFINITE}e0",
        f"{LEAST_INFINITE}.0", f"{LEAST_INFINITE}0e-1", f"{LEAST_INFINITE - 1}0e-1",
        f"0.{LEAST_INFINITE}e309", f"0.{LEAST_INFINITE - 1}9e309", f"-{LEAST_INFINITE - 1}.{'9' * 99}",
        f"-{LEAST_INFINITE}.{'0' * 99}1",
        '[[1e308, {"a": [{}]}]]', "1e309", "1.7976931348623157e308", "17976931348623159e292",
        "0.00001e313", "0.00002e313", "0e99999999999999999999", "1e-99999999999999999999", "9" * 4300,
        "9" * 4301,
        "[" * 63 + "]" * 63,
    )),
    '["lowercase", "unicode"]', '{"lowercase": 1, "unicode": null}',
    '{"lowercase": false, "unicode": "NFKC"}',
    '{"lowercase": false, "unicode": "nfc"}', '{"lowercase": false, "unicode": ["NFC"]}',
    '{"lowercase": false}',
    '{"unicode": "NFD", "lowercase": 1, "lowercase": true}', '{"lowercase": true, "unicode": null, "x": 1}',
    entries(), entries('"a"'),
    entries('"\x7f"', '"\\u0000"', '"\\/"', '"\\b"', '"\\f"', '"\\r"', '"\\t"'),
    entries('"\\ud834\\udd1e"', '"\\uFFFF"', '"\U0010ffff"'), entries('"\\ud834"', '"\\udd1e"'),
    entries('"\\ud834\\ud834"'),
    entries('"\\ud834\\ud834\\udd1e"'), entries('"\\udd1e\\ud834"'), entries('"\n"'), entries('"\x1f"'),
    entries('"ab"'),
    entries("7"), entries(f'"{"x" * 64}"', f'" {"x" * 63}"'), entries(f'"{"x" * 65}"'),
    entries(f'" {"x" * 64}"'),
    entries('"x y"'), entries('"xy "'), entries('"  "'), entries('"x,"'), entries('"xy"', '"x\\u0079"'),
    entries('" \\u00e9"', '"\\ufeffx"'), entries('"x\\ud834"'), entries('"x\\u007f"'), entries('"x\\u0080"'),
    json.dumps([*map(chr, range(258))]), json.dumps([*map(chr, range(256)), "", "x"]),
    json.dumps(["", *map(chr, range(256)), ""]), json.dumps([*map(chr, range(255)), "\u0100", "", ""]),
    json.dumps([*map(chr, range(254)), "\u00ff", "\u00fe", "", ""]), json.dumps([""] * 12),
    entries()[:-1], entries('""'),
    '{"bits": 8}', '{"bits": 8, "loss": null, "float32_loss": 1e3, "text": {}}', '{"bits": 8.0}',
    '{"bits": true}',
    '{"bits": 8, "loss": -1}', '{"bits": 8, "loss": true}', '{"bits": 8, "float32_loss": "1"}',
    '{"bits": 8, "text": []}', '{"bits": 8, "text": "novel"}', '{"bits": 9}', '{"loss": 1}', '{"bits": [8]}',
    '{"bits": 8, "bits": 4}', '{"bits": 4, "text": 1, "text": null, "bits": 8}',
    '{"b\\u0069ts": 8, "bit": 9}',
    f'{{"bits": 8, "loss": {2**63 - 2}}}', f'{{"bits": 8, "loss": {2**63 - 1}}}',
    f'{{"bits": 8, "float32_loss": -{"9" * 400}}}',
    '["a", ""]', '["ab", "z"]', '["a", 1]', '["\\ud834"]', '["a\\udd1e\\ud834"]', '["\\u0000"]', '{"a": "a"}',
    '["\\u0061", "é𝄞"]', '[["a"]]',
]
# fmt: on


@pytest.mark.parametrize(("metadata", "symbols"), BASES, ids=IDS)
def test_metadata_is_read_as_python_reads_it(
    core_reader: Path, metadata: dict[str, str], symbols: int
) -> None:
    keys = [*METADATA, "textgen.records", "textgen.quantization"]
    cases = [metadata]
    cases += [with_value(metadata, key, value) for key in keys for value in VALUES]
    cases += [{name: value for name, value in metadata.items() if name != key} for key in keys]
    wrong, read = disagreements(core_reader, symbols, cases)
    assert wrong == []
    assert read > 50


def test_of_a_repeated_key_the_last_value_counts(core_reader: Path) -> None:
    models = Models(12)
    normalization = {"textgen.normalization": '{"lowercase": false, "unicode": "NFD"}'}
    content = models.content(normalization) + models.content(METADATA)[len(models.graph) :]
    ((_, _, form, *_),) = run_all(core_reader, [content])
    assert form.endswith("lowercase 1 unicode none")


def mutate(text: str, rng: random.Random) -> str:
    """A JSON text with a few changes that often leave it one."""
    parts = [
        *'[]{},:"\\ \n\t0123456789.eE+-aunlfbrtéж𝄞',
        "\\u00e9",
        "\\ud834",
        "\\udd1e",
        "null",
        "true",
        '"a"',
        '"unknown"',
        '"begin"',
    ]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        place = rng.randrange(len(text) + 1)
        end = place + rng.choice((0, 0, 1, 1, 2, 5))
        text = text[:place] + rng.choice([*parts, "", "", text[place : place + 6]]) + text[end:]
    return text


@pytest.mark.parametrize(
    ("metadata", "symbols", "count"),
    [(*base, count) for base, count in zip(BASES, (1000, 500, 1000, 200), strict=True)],
    ids=IDS,
)
def test_damaged_metadata_is_read_as_python_reads_it(
    core_reader: Path, metadata: dict[str, str], symbols: int, count: int
) -> None:
    rng = random.Random(1)
    keys = list(metadata)
    cases = []
    for _ in range(count):
        key = rng.choice(keys)
        cases.append(with_value(metadata, key, mutate(metadata[key], rng)))
    wrong, read = disagreements(core_reader, symbols, cases)
    assert wrong == []
    assert count // 40 < read < count * 3 // 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *DAMAGED_METADATA,
        # The core quotes the text of a value; Python quotes the value.
        ({"format": "true"}, "the metadata 'textgen.format' is true; expected a format number"),
        (
            {"format": "9" * 4000},
            f"the file has format {'9' * 80}..., but this version supports formats up to 2: upgrade",
        ),
        ({"vocabulary": r'["", "\ud800"]'}, r"has '\xed\xa0\x80' at index 1; expected a character"),
        ({"special": '{"start": 0}'}, "is {\"start\": 0}, but this version supports only 'unknown'"),
        ({"normalization": '{"lowercase":\n1}'}, 'is {"lowercase":\\n1}; expected a lowercase flag'),
        (
            {"level": json.dumps("x" * 10**6)},
            f"'textgen.level' is '{'x' * 79}...', but this version supports only",
        ),
        ({"vocabulary": '["a", "b"]'}, "has 'a' at index 0, the index of a special token; expected \"\""),
        (
            {"level": '"byte"', "vocabulary": '["", "a"]'},
            "the metadata 'textgen.vocabulary' is not U+0000 to U+00FF, then the special tokens: export",
        ),
        ({"normalization": "[" * 65 + "]" * 65}, "the metadata 'textgen.normalization' is not valid JSON"),
    ],
)
def test_what_is_wrong_with_metadata_is_said(
    core_reader: Path, changes: dict[str, str | None], message: str
) -> None:
    code, line = refusal(core_reader, Models(12).content(change(changes)))
    assert code == (NEWER_FORMAT if "upgrade" in message or "supports only" in message else DAMAGED_MODEL)
    assert message in line
    assert len(line) < 250
