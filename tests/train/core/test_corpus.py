"""Corpora in C: their tokens, their vocabulary, and the part that is held out."""

import json
import random
from ctypes import POINTER, Structure, byref, c_char_p, c_double, c_int32, c_size_t, c_void_p, cast, string_at
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from textgen_runtime.text import Normalization, RecordKind, held_out_start, is_held_out, split_records
from textgen_runtime.tokenizer import BYTES_TO_TEXT

from .trainer import Error, Info, Tokens, library


class CorpusOptions(Structure):
    """``textgen_corpus_options``."""

    _fields_: ClassVar = [
        ("name", c_char_p),
        ("level", c_char_p),
        ("records", c_char_p),
        ("held_out", c_double),
        ("unicode", c_char_p),
        ("lowercase", c_int32),
        ("held_out_text", c_char_p),
        ("held_out_size", c_size_t),
        ("vocabulary", c_char_p),
        ("special", c_char_p),
        ("extend", c_int32),
    ]


class CCorpus(Structure):
    """``textgen_corpus``: the fields before the metadata."""

    _anonymous_: ClassVar = ["info"]
    _fields_: ClassVar = [
        ("arena", c_void_p * 5),
        ("info", Info),
        ("training", Tokens),
        ("held_out", Tokens),
        ("before", c_int32),
    ]


def create(  # noqa: PLR0913 (the options of a corpus)
    text: bytes,
    level: str,
    records: str | None = None,
    held_out: float = 0.0,
    unicode: str | None = None,
    *,
    held_out_text: bytes | None = None,
    vocabulary: str | None = None,
    special: str | None = None,
    extend: bool = False,
) -> "c_void_p | tuple[int, str]":
    """Return a corpus; or the code and the parameter of the error."""
    texts = [text and text.encode() for text in (level, records, unicode, vocabulary, special)]
    options = CorpusOptions(
        b"book",
        *texts[:2],
        held_out,
        texts[2],
        0,
        held_out_text,
        len(held_out_text or b""),
        *texts[3:],
        extend,
    )
    corpus, error = c_void_p(), Error()
    code = library().textgen_corpus_create(
        text, c_size_t(len(text)), byref(options), byref(corpus), byref(error)
    )
    return (code, error.parameter.decode()) if code else corpus


def array(tokens: Tokens) -> NDArray[np.integer]:
    """Return a copy of tokens."""
    data = string_at(tokens.data, tokens.bytes * tokens.count)
    return np.frombuffer(data, f"u{tokens.bytes}")


def random_text(seed: int) -> str:
    """Return lines of random lengths, with all kinds of white space, line ends and scripts."""
    rng = random.Random(seed)
    alphabet = "abcdefgh ,.éß€漢字𝄞\t\u2003\x1c\x00"
    lines = [
        "".join(rng.choices(alphabet, k=rng.choice((0, 0, 1, 2, 9, 30, 130, 260))))
        + rng.choice(("\n", "\n", "\r\n", "\r", "\n\n", "\n \u3000\n"))
        for _ in range(200)
    ]
    return rng.choice(("", "\ufeff")) + "".join(lines) + rng.choice(("", "the end"))


def expected_parts(
    content: bytes, level: str, records: RecordKind | None, share: float
) -> tuple[list[int], list[int], int, list[int]]:
    """Return the tokens of both parts, the size of the vocabulary, and the characters of both parts."""
    text = content.decode("utf-8", BYTES_TO_TEXT)
    text = text if level == "byte" else Normalization(unicode=None).apply(text)
    parts: list[list[str]] = [[], []]
    if records is None:
        start = held_out_start(len(text), share)
        parts = [[text[:start]], [text[start:]]]
    else:
        for record in split_records(text, records):
            parts[is_held_out(record, share)].append(record)
    everything = "".join(record for part in parts for record in part)
    symbols = {symbol: token for token, symbol in enumerate(sorted(set(everything)))}
    size = 256 if level == "byte" else len(symbols)

    def encode(record: str) -> list[int]:
        found = record.encode("utf-8", BYTES_TO_TEXT) if level == "byte" else map(symbols.__getitem__, record)
        return [*found, *([] if records is None else [size + 1])]

    training, held_out = ([token for record in part for token in encode(record)] for part in parts)
    return training, held_out, size + 2 * (records is not None), [sum(map(len, part)) for part in parts]


@pytest.mark.parametrize("records", [None, "lines", "blank"])
@pytest.mark.parametrize("level", ["character", "byte"])
@pytest.mark.parametrize("held_out", [0.0, 0.2537])
def test_a_corpus_is_divided_as_the_runtime_divides_it(
    records: RecordKind | None, level: str, held_out: float
) -> None:
    for seed in range(5):
        text = random_text(seed).encode()
        content = text.replace("é".encode(), b"\xe9") if level == "byte" else text
        training, held, size, characters = expected_parts(content, level, records, held_out or 0.1)
        created = create(content, level, records, held_out)
        assert isinstance(created, c_void_p), created
        found = cast(created, POINTER(CCorpus)).contents
        assert array(found.training).tolist() == training
        assert array(found.held_out).tolist() == held
        assert found.before == (training[-1] if records is None else size - 2)
        assert found.vocabulary == size
        counts = np.sort(np.bincount(training))[::-1]
        common = int(np.searchsorted(counts.cumsum(), 0.99 * len(training))) + 1
        assert (found.common, found.training_tokens) == (common, len(training))
        ends = [(records is not None) * part.count(size - 1) for part in (training, held)]
        assert [found.training_records, found.held_out_records] == ends
        assert [found.training_characters, found.held_out_characters] == [
            count + end for count, end in zip(characters, ends, strict=True)
        ]
        library().textgen_corpus_destroy(created)


def test_bytes_that_are_not_text_are_tokens_at_their_level() -> None:
    content = np.random.default_rng(1).bytes(3000)
    created = create(content, "byte", None, 0.1)
    assert isinstance(created, c_void_p)
    found = cast(created, POINTER(CCorpus)).contents
    assert b"".join(map(bytes, (array(found.training), array(found.held_out)))) == content
    library().textgen_corpus_destroy(created)


@pytest.mark.parametrize(
    ("arguments", "code", "parameter"),
    [
        ((b"", "character", None, 0.0), -1, "text"),
        ((b"a" * 9999, "character", None, 0.0), -1, "text"),
        ((b"ab" * 60, "character", None, 0.0), -1, "text"),
        ((b"ab\n" * 999, "character", "lines", 0.1), -1, "text"),
        ((b"ab" * 999 + b"\xff" + b"ab" * 999, "character", None, 0.0), -7, "text"),
        ((b"ab" * 999, "word", None, 0.0), -1, "vocabulary"),
        ((b"ab" * 999, "words", None, 0.0), -1, "level"),
        ((b"ab" * 999, "character", "paragraphs", 0.0), -1, "records"),
        ((b"ab" * 999, "character", None, 1.0), -1, "held_out"),
        ((b"ab" * 999, "character", None, float("nan")), -1, "held_out"),
        ((b"ab" * 999, "character", None, 0.0, "NFX"), -1, "unicode"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    arguments: tuple[bytes, str, str | None, float], code: int, parameter: str
) -> None:
    assert create(*arguments) == (code, parameter)


WORDS = ["", "a", "b", " ", "\n", "é", "", " aé", "abba", "ab", ""]
SPECIAL = {"begin": 10, "end": 6}


def encoded(text: str) -> list[int]:
    """Return the tokens of a text: the longest symbols, and token 0 for what is unknown."""
    tokens = []
    while text:
        token = max(range(len(WORDS)), key=lambda token: len(WORDS[token]) * text.startswith(WORDS[token]))
        tokens.append(token)
        text = text[len(WORDS[token]) or 1 :]
    return tokens


@pytest.mark.parametrize("records", [None, "lines"])
@pytest.mark.parametrize("is_separate", [False, True])
def test_a_vocabulary_can_be_given(records: str | None, is_separate: bool) -> None:
    rng = random.Random(5)
    texts = ["".join(rng.choices("ab \né?", (9, 9, 9, 2, 9, 1), k=900)).strip() for _ in range(2)]
    special = {"unknown": 0, **(SPECIAL if records else {})}
    symbols = WORDS if records else [word or "x" * i for i, word in enumerate(WORDS)]
    vocabulary = json.dumps(symbols)
    created = create(
        ("\ufeff" + texts[0]).encode(),
        "word",
        records,
        0.25,
        held_out_text=texts[1].encode() if is_separate else None,
        vocabulary=vocabulary,
        special=json.dumps(special),
    )
    assert isinstance(created, c_void_p), created
    found = cast(created, POINTER(CCorpus)).contents
    training, held_out = (array(tokens).tolist() for tokens in (found.training, found.held_out))
    if records and not is_separate:
        # Which records are held out is that of another test.
        lines = [line for line in texts[0].split("\n") if line.strip()]
        assert len(training) + len(held_out) == sum(len(encoded(line)) + 1 for line in lines)
        assert found.training_characters + found.held_out_characters == sum(len(line) + 1 for line in lines)
    elif records:
        expected = [
            [token for line in text.split("\n") if line.strip() for token in (*encoded(line), 6)]
            for text in texts
        ]
        assert ([training, held_out], found.before) == (expected, 10)
    elif is_separate:
        first, *rest = encoded(texts[1])
        assert (training, found.before, held_out) == (encoded(texts[0]), first, rest)
        assert found.held_out_characters == len(texts[1]) - len(WORDS[first] or "?")
    else:
        size = len(texts[0]) - round(len(texts[0]) * 0.25)
        assert training == encoded(texts[0][:size])
        assert (held_out, found.before) == (encoded(texts[0][size:]), training[-1])
        assert (found.training_characters, found.held_out_characters) == (size, len(texts[0]) - size)
    assert found.share == (0 if is_separate else 0.25)
    content = library().textgen_corpus_get_content(created)
    assert (content.vocabulary.decode(), json.loads(content.special)) == (vocabulary, special)
    assert (content.training, content.held_out) == (found.training.data, found.held_out.data)
    # The runtime refuses a prompt that has an unknown character.
    assert "?" not in content.prompts.decode()
    assert bool(json.loads(content.prompts)) != bool(records)
    library().textgen_corpus_destroy(created)


@pytest.mark.parametrize(
    ("level", "symbols", "special", "records", "new"),
    [
        ("character", ["c", "a"], {}, None, ["\n", '"', "b", "é", "漢"]),
        ("character", ["", "é", "a"], {"unknown": 0}, None, ["\n", '"', "b", "c", "漢"]),
        ("word", ["a", "b", "c", "ca", "", ""], {"begin": 4, "end": 5}, "lines", ['"', "é", "漢"]),
        ("word", ["é", "漢", "a", "b", "c", "\n", '"', "]"], {}, None, []),
        ("byte", [chr(i) for i in range(256)], {}, None, []),
    ],
)
def test_a_vocabulary_is_extended_by_the_characters_of_both_texts(
    level: str, symbols: list[str], special: dict[str, int], records: str | None, new: list[str]
) -> None:
    created = create(
        b'ab"ca\n' * 99,
        level,
        records,
        held_out_text="aé漢\n".encode() * 9,
        vocabulary=json.dumps(symbols) + " ",
        special=json.dumps(special) if special else None,
        extend=True,
    )
    assert isinstance(created, c_void_p), created
    content = library().textgen_corpus_get_content(created)
    assert json.loads(content.vocabulary) == [*symbols, *new]
    assert json.loads(content.special or "{}") == special
    training = array(cast(created, POINTER(CCorpus)).contents.training)
    assert training[0] == [*symbols, *new].index("a")
    library().textgen_corpus_destroy(created)


@pytest.mark.parametrize(
    ("options", "code", "parameter"),
    [
        ({"vocabulary": '["a", "b"]'}, -6, "text"),
        ({"vocabulary": '["a", "b", " "]', "held_out_text": b"a b?" * 9}, -6, "held_out_text"),
        ({"vocabulary": '["a", "b", " "]', "held_out_text": b"a b"}, -1, "held_out_text"),
        ({"held_out_text": b"a b\xff" * 9}, -7, "held_out_text"),
        ({"vocabulary": '["a", "b", " ", "", ""]', "records": "lines"}, -1, "vocabulary"),
        ({"vocabulary": '["a", "b", " ", "", ""]', "special": '{"begin": 3, "end": 4}'}, -1, "vocabulary"),
        ({"vocabulary": '["a", "b", " ", "a"]'}, -1, "vocabulary"),
        ({"vocabulary": '["a", "b", " ", ""]', "special": '{"unknown": 4}'}, -1, "vocabulary"),
        ({"vocabulary": "[1, 2", "special": "{"}, -1, "vocabulary"),
    ],
)
def test_a_vocabulary_that_does_not_fit_is_refused(
    options: dict[str, Any], code: int, parameter: str
) -> None:
    assert create(b"a b" * 99, "character", **options) == (code, parameter)


def test_a_long_text_holds_out_a_million_characters_at_most() -> None:
    created = create(b"abcdefg " * 2_000_000, "character", None, 0.0)
    assert isinstance(created, c_void_p)
    found = cast(created, POINTER(CCorpus)).contents
    assert found.held_out.count == 1_000_000
    library().textgen_corpus_destroy(created)
