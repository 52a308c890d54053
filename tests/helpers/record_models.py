"""Models of records with random weights, for each level."""

from functools import cache

import textgen_runtime as textgen
from textgen_runtime import Model
from textgen_runtime.model import EngineName, open_model
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.text import Normalization, RecordKind
from textgen_runtime.tokenizer import BYTE_SYMBOLS, SpecialTokens

from tests.helpers.make_tiny_model import build_model, random_weights

LEVELS = ("character", "byte", "word")
ENGINES: tuple[EngineName, ...] = ("native", "onnxruntime")

SYMBOLS = " abcdé\n"
WORDS = (*SYMBOLS, "cab", " cab", "ab")


def tokenizer_of(level: str, symbols: str = SYMBOLS) -> textgen.Tokenizer:
    """Return a tokenizer with begin and end, and with the unknown symbol if the level permits it."""
    if level == "byte":
        return make_tokenizer("byte", (*BYTE_SYMBOLS, "", ""), SpecialTokens(begin=256, end=257))
    if level == "word":
        return make_tokenizer("word", ("", *WORDS, "", ""), SpecialTokens(0, len(WORDS) + 1, len(WORDS) + 2))
    special = SpecialTokens(unknown=0, begin=len(symbols) + 1, end=len(symbols) + 2)
    return make_tokenizer("character", ("", *symbols, "", ""), special)


@cache
def record_content(
    level: str = "character", kind: RecordKind = "lines", end_bias: float = 0.0, symbols: str = SYMBOLS
) -> bytes:
    """Return the content of a model file. A greater bias makes shorter records.

    Only a model of characters has the ``symbols``.
    """
    tokenizer = tokenizer_of(level, symbols)
    weights = random_weights(len(tokenizer))
    # The special tokens that are never drawn would otherwise be drawn often.
    for token in tokenizer.special.never_drawn:
        weights[-1][token] = 20.0
    weights[-1][tokenizer.special.end] += end_bias
    metadata = Metadata(tokenizer, Normalization(lowercase=True), records=kind)
    return build_model(weights, metadata).SerializeToString()


@cache
def record_model(
    level: str = "character",
    engine: EngineName = "native",
    kind: RecordKind = "lines",
    end_bias: float = 0.0,
    symbols: str = SYMBOLS,
) -> Model:
    return open_model(record_content(level, kind, end_bias, symbols), engine)
