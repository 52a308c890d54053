"""The C core's reading of metadata, against rules that are written in Python."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.helpers.core_reader import DAMAGED_MODEL, field, refusal, run_all
from tests.helpers.damaged_metadata import DAMAGED_METADATA, METADATA, change, entries
from tests.helpers.make_tiny_model import make_model
from tests.helpers.metadata_rules import expected

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


def repeated(value: str) -> str:
    """Special tokens with a value that does not count, because its key is there again."""
    return f'{{"unknown": {value}, "unknown": 0}}'


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
        "1", "9.9e307", "1e308", "0.0e308", "-1.0e+307", f"{'9' * 308}.9", f"{'9' * 309}.0", f"{'9' * 307}e1",
        f"{'9' * 307}E2", f"{'9' * 309}e-9", "1e-999", "1e0001", "1e-0001", "1e-", "1.e1", ".1", "0e0",
        '[[1e307, {"a": [{}]}]]', "9" * 4300, "9" * 4301,
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


@pytest.mark.parametrize(("changes", "code", "key"), DAMAGED_METADATA)
def test_the_wrong_entry_is_named(
    core_reader: Path, changes: dict[str, str | None], code: int, key: str
) -> None:
    found, line = refusal(core_reader, Models(12).content(change(changes)))
    assert (found, f"'textgen.{key}'" in line) == (code, True), line
    assert len(line) < 250


def test_special_tokens_alone_are_no_vocabulary(core_reader: Path) -> None:
    special = '{"begin": 0, "end": 1}'
    changes: dict[str, str | None] = {
        "vocabulary": '["", ""]',
        "special": special,
        "records": '"lines"',
        "prompts": "[]",
    }
    assert refusal(core_reader, Models(2).content(change(changes)))[0] == DAMAGED_MODEL
