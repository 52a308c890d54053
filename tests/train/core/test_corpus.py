"""Corpora in C, which have the tokens, the vocabulary and the held-out part of those in Python."""

import random
from ctypes import POINTER, Structure, byref, c_char_p, c_double, c_int32, c_size_t, c_void_p, cast, string_at
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from textgen_runtime.corpus import Corpus
from textgen_runtime.text import Normalization, RecordKind
from textgen_runtime.tokenizer import BYTES_TO_TEXT
from textgen_train.data.dataset_from_corpus import make_dataset

from .trainer import Error, Tokens, library

INFO = (
    "vocabulary",
    "common",
    "training_tokens",
    "held_out_tokens",
    "training_characters",
    "held_out_characters",
    "training_records",
    "held_out_records",
)


class CorpusOptions(Structure):
    """``textgen_corpus_options``."""

    _fields_: ClassVar = [
        ("name", c_char_p),
        ("level", c_char_p),
        ("records", c_char_p),
        ("held_out", c_double),
        ("unicode", c_char_p),
        ("lowercase", c_int32),
    ]


class CCorpus(Structure):
    """``textgen_corpus``: the fields before the metadata."""

    _fields_: ClassVar = [
        ("arena", c_void_p * 5),
        *[(name, c_size_t) for name in INFO],
        ("training", Tokens),
        ("held_out", Tokens),
        ("before", c_int32),
    ]


def create(
    text: bytes, level: str, records: str | None, held_out: float, unicode: str | None = None
) -> "c_void_p | tuple[int, str]":
    """Return a corpus; or the code and the parameter of the error."""
    options = CorpusOptions(
        b"book", level.encode(), records and records.encode(), held_out, unicode and unicode.encode()
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


@pytest.mark.parametrize("records", [None, "lines", "blank"])
@pytest.mark.parametrize("level", ["character", "byte"])
@pytest.mark.parametrize("held_out", [0.0, 0.2537])
def test_a_corpus_is_that_of_python(records: RecordKind | None, level: str, held_out: float) -> None:
    for seed in range(5):
        content = random_text(seed).encode()
        text = content.decode("utf-8", BYTES_TO_TEXT)
        expected = make_dataset(
            Corpus.from_text("book", text),
            Normalization(unicode=None),
            held_out or None,
            level=level,
            records=records,
        )
        created = create(content, level, records, held_out)
        assert isinstance(created, c_void_p), created
        found = cast(created, POINTER(CCorpus)).contents
        assert np.array_equal(array(found.training), expected.training)
        assert np.array_equal(array(found.held_out), expected.held_out)
        assert found.before == expected.before_held_out
        assert found.vocabulary == len(expected.tokenizer)
        assert (found.common, found.training_tokens) == (expected.common_symbols, len(expected.training))
        assert (found.training_characters, found.held_out_characters) == (
            expected.training_characters,
            expected.held_out_characters,
        )
        assert (found.training_records, found.held_out_records) == expected.record_counts
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
        ((b"ab" * 999, "word", None, 0.0), -1, "level"),
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


def test_a_long_text_holds_out_a_million_characters_at_most() -> None:
    created = create(b"abcdefg " * 2_000_000, "character", None, 0.0)
    assert isinstance(created, c_void_p)
    found = cast(created, POINTER(CCorpus)).contents
    assert found.held_out.count == 1_000_000
    library().textgen_corpus_destroy(created)
