"""The rules for metadata, written in Python. Tests compare what the C core refuses with them."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from textgen_runtime.text import RECORD_KINDS, UNICODE_FORMS
from textgen_train.dataset import MAX_SYMBOL_LENGTH, WORD_SYMBOL

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
    """What the test program prints of metadata; None if it is refused."""
    if not is_valid(props, symbols):
        return None
    read = {key.removeprefix("textgen."): from_json(text) for key, text in props.items()}
    encoded = [each.encode("latin-1" if read["level"] == "byte" else "utf-8") for each in read["vocabulary"]]
    special = read.get("special", {}) if read["format"] > 1 else {}
    unknown, begin, end = (
        -1 if special.get(name) is None else special[name] for name in ("unknown", "begin", "end")
    )
    lowercase, unicode = (read["normalization"][name] for name in ("lowercase", "unicode"))
    return [
        "symbols " + " ".join(each.hex() for each in encoded),
        (
            f"unknown {unknown} bytes {max(map(len, encoded))} lowercase {int(lowercase)} "
            f"unicode {unicode or 'none'}"
        ),
        f"level {read['level']} begin {begin} end {end} records {read.get('records') or 'none'}",
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
    tokens = _check_vocabulary(level, vocabulary, special)
    normalization = read("normalization")
    assert set(normalization) == {"lowercase", "unicode"}
    assert isinstance(normalization["lowercase"], bool)
    assert normalization["unicode"] in {None, *UNICODE_FORMS}
    prompts = read("prompts")
    assert isinstance(prompts, list)
    assert all(_is_text(prompt) and _can_encode(level, vocabulary, prompt) for prompt in prompts)
    assert isinstance(read("training"), dict)
    has_records = "begin" in tokens
    assert has_records == ("textgen.records" in props)
    assert not has_records or read("records") in RECORD_KINDS
    if "textgen.quantization" in props:
        quantization = read("quantization")
        assert type(quantization["bits"]) is int
        assert quantization["bits"] == 8
        losses = [quantization.get(name) for name in ("loss", "float32_loss")]
        assert all(loss is None or type(loss) in {int, float} for loss in losses)
        assert isinstance(quantization.get("text"), dict | None)


def _check_vocabulary(level: str, symbols: Sequence[str], special: Mapping[str, Any]) -> dict[str, int]:
    """Check a vocabulary, and return its special tokens."""
    assert level in {"character", "byte", "word"}
    assert set(special) <= {"unknown", "begin", "end"}
    assert all(token is None or type(token) is int for token in special.values())
    tokens = {name: token for name, token in special.items() if token is not None}
    assert all(0 <= token < len(symbols) and symbols[token] == "" for token in tokens.values())
    assert len(set(tokens.values())) == len(tokens)
    assert ("begin" in tokens) == ("end" in tokens)
    texts = [symbol for token, symbol in enumerate(symbols) if token not in tokens.values()]
    assert all(map(_is_text, texts))
    assert 0 < len(texts) == len(set(texts))
    if level == "character":
        assert all(len(text) == 1 for text in texts)
    elif level == "byte":
        assert "unknown" not in tokens
        assert texts == list(symbols[:256]) == [chr(byte) for byte in range(256)]
    else:
        assert all(
            len(text) == 1 or (len(text) <= MAX_SYMBOL_LENGTH and WORD_SYMBOL.fullmatch(text))
            for text in texts
        )
    return tokens


def _can_encode(level: str, symbols: Sequence[str], text: str) -> bool:
    position, length = 0, 1
    while level != "byte" and position < len(text) and length:
        length = max((len(symbol) for symbol in symbols if text.startswith(symbol, position)), default=0)
        position += length
    return length > 0


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.encode())
