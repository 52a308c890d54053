"""The rules for metadata, written in Python. Tests compare what the C core refuses with them."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.text import RECORD_KINDS, UNICODE_FORMS
from textgen_runtime.tokenizer import BYTE_SYMBOLS, LEVELS, SpecialTokens, Tokenizer, WordTokenizer

# The length of a number.
MAX_DIGITS = 300


def from_json(text: str) -> Any:
    """Parse JSON text as the core does."""

    def read(kind: type) -> Callable[[str], Any]:
        def number(text: str) -> Any:
            assert len(text) <= MAX_DIGITS
            return kind(text)

        return number

    return json.loads(text, parse_constant=_refuse, parse_int=read(int), parse_float=read(float))


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def expected(props: Mapping[str, str], symbols: int) -> list[str] | None:
    """What the test program prints of metadata, by way of Python; None if it is refused."""
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


def is_valid(props: Mapping[str, str], symbols: int) -> bool:
    """Whether metadata is that of a model with so many logits.

    Numbers, brackets and texts are as Python's ``json`` reads them.
    """
    try:
        _check(props, symbols)
    except (AssertionError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return False
    return True


def _check(props: Mapping[str, str], symbols: int) -> None:
    def read(key: str) -> Any:
        return from_json(props[f"textgen.{key}"])

    version, level, vocabulary = read("format"), read("level"), read("vocabulary")
    assert type(version) is int
    assert version in {1, 2}
    assert isinstance(vocabulary, list)
    assert len(vocabulary) == symbols
    special = read("special") if version > 1 and "textgen.special" in props else {}
    tokenizer = _tokenizer(level, vocabulary, special)
    normalization = read("normalization")
    assert set(normalization) == {"lowercase", "unicode"}
    assert isinstance(normalization["lowercase"], bool)
    assert normalization["unicode"] in {None, *UNICODE_FORMS}
    prompts = read("prompts")
    assert isinstance(prompts, list)
    assert all(_is_text(prompt) and tokenizer.can_encode(prompt) for prompt in prompts)
    assert isinstance(read("training"), dict)
    has_records = tokenizer.special.begin is not None
    assert has_records == ("textgen.records" in props)
    assert not has_records or read("records") in RECORD_KINDS
    if "textgen.quantization" in props:
        quantization = read("quantization")
        assert type(quantization["bits"]) is int
        assert quantization["bits"] == 8
        losses = [quantization.get(name) for name in ("loss", "float32_loss")]
        assert all(loss is None or type(loss) in {int, float} for loss in losses)
        assert isinstance(quantization.get("text"), dict | None)


def _tokenizer(level: str, symbols: Sequence[str], special: Mapping[str, Any]) -> Tokenizer:
    assert level in LEVELS
    assert all(token is None or type(token) is int for token in special.values())
    tokens = SpecialTokens(**special)
    # This checks the special tokens against each other, and all bytes.
    tokenizer = make_tokenizer(level, symbols, tokens)
    texts = [symbol for token, symbol in enumerate(symbols) if token not in tokens.by_name.values()]
    assert all(map(_is_text, texts))
    assert 0 < len(texts) == len(set(texts))
    if level == "character":
        assert all(len(text) == 1 for text in texts)
    elif level == "byte":
        assert set(texts) == set(BYTE_SYMBOLS)
    else:
        assert all(map(WordTokenizer.is_symbol, texts))
    return tokenizer


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.encode())
