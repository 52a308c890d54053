"""The vocabulary of a model file: checked symbols and special tokens."""

import sys
from collections.abc import Mapping, Sequence

from textgen_runtime.errors import ModelFileError, quote
from textgen_runtime.text.levels import LEVELS
from textgen_runtime.text.special_tokens import NO_SPECIAL_TOKENS, SpecialTokens
from textgen_runtime.text.tokenizer import Tokenizer
from textgen_runtime.text.tokenizers import TOKENIZERS

from .metadata_values import FORMAT_KEY, LEVEL_KEY, MAX_TEXT, SPECIAL_KEY, VOCABULARY_KEY, is_text, read_value

# The first format that has special tokens.
SPECIAL_TOKENS_FORMAT = 2

# The maximum number of entries if the number of logits is not known: one for each character.
CODE_POINTS = sys.maxunicode + 1


def read_tokenizer(props: Mapping[str, str], vocabulary_size: int | None) -> Tokenizer:
    """Return the tokenizer of a model file.

    Args:
        props: Keys and JSON texts.
        vocabulary_size: The number of logits of the graph, or None if it is not known.

    Raises:
        ModelFileError: If the level is not supported, or if the vocabulary or its special tokens are invalid.
    """
    level = read_value(props, LEVEL_KEY)
    if not isinstance(level, str) or level not in TOKENIZERS:
        raise ModelFileError(
            f"the metadata {LEVEL_KEY!r} is {quote(level)}, but this version supports only "
            f"{', '.join(map(repr, TOKENIZERS))}: upgrade textgen-onnx"
        )
    tokenizer_class = TOKENIZERS[level]()
    # The symbols of these levels are short, so the number of entries bounds the length of a vocabulary.
    max_length = MAX_TEXT
    if level in LEVELS:
        max_length = sys.maxsize
        max_entries = CODE_POINTS if vocabulary_size is None else vocabulary_size
        _check_entry_count(props.get(VOCABULARY_KEY, ""), level, max_entries)
    symbols = read_value(props, VOCABULARY_KEY, max_length)
    if not isinstance(symbols, list) or not symbols:
        raise ModelFileError(
            f"the metadata {VOCABULARY_KEY!r} is not a list of {level}s: export the model again"
        )
    special = _read_special(props, symbols)
    special_tokens = special.by_name.values()
    for token, symbol in enumerate(symbols):
        if token not in special_tokens and not (is_text(symbol) and tokenizer_class.is_symbol(symbol)):
            raise ModelFileError(
                f"the metadata {VOCABULARY_KEY!r} has {quote(symbol)} at index {token}; expected a {level}: "
                "export the model again"
            )
    # All special tokens share the entry "".
    if len(set(symbols)) != len(symbols) - max(0, len(special_tokens) - 1):
        raise ModelFileError(
            f"the metadata {VOCABULARY_KEY!r} contains a {level} twice: export the model again"
        )
    if vocabulary_size is not None and len(symbols) != vocabulary_size:
        raise ModelFileError(
            f"the vocabulary has {len(symbols)} {level}s, but the graph has {vocabulary_size} logits: export "
            "the model again"
        )
    try:
        tokenizer: Tokenizer = tokenizer_class(symbols, special)
    except ValueError as error:
        raise ModelFileError(f"the metadata {VOCABULARY_KEY!r}: {error}: export the model again") from None
    return tokenizer


def _read_special(props: Mapping[str, str], symbols: Sequence[object]) -> SpecialTokens:
    """Return the special tokens. A file without them, or of an earlier format, has none."""
    if SPECIAL_KEY not in props or read_value(props, FORMAT_KEY) < SPECIAL_TOKENS_FORMAT:
        return NO_SPECIAL_TOKENS
    tokens = read_value(props, SPECIAL_KEY)
    names = SpecialTokens._fields
    if not isinstance(tokens, dict) or not set(tokens) <= set(names):
        raise ModelFileError(
            f"the metadata {SPECIAL_KEY!r} is {quote(tokens)}, but this version supports only "
            f"{', '.join(map(repr, names))}: upgrade textgen-onnx"
        )
    for name, token in tokens.items():
        if token is not None and (type(token) is not int or not 0 <= token < len(symbols)):
            raise ModelFileError(
                f"the metadata {SPECIAL_KEY!r} has the token {quote(token)} for {name!r}, but the "
                f"vocabulary has {len(symbols)} entries: export the model again"
            )
        if token is not None and symbols[token] != "":
            raise ModelFileError(
                f"the metadata {VOCABULARY_KEY!r} has {quote(symbols[token])} at index {token}, the index "
                f'of the special token {name!r}; expected "": export the model again'
            )
    special = SpecialTokens(**tokens)
    try:
        special.check(symbols)
    except ValueError as error:
        raise ModelFileError(f"the metadata {SPECIAL_KEY!r}: {error}: export the model again") from None
    if len(symbols) == len(special.by_name):
        raise ModelFileError("the vocabulary has only special tokens: no text can be generated")
    return special


def _check_entry_count(text: str, level: str, max_entries: int) -> None:
    """Check the number of entries of a vocabulary before it is parsed.

    A parsed entry takes many times the memory of its JSON text. The count allows for commas, brackets and
    braces among the characters of the vocabulary. They are never part of longer symbols.
    """
    if text.count("[") > 2 or text.count("{") > 1:  # noqa: PLR2004
        raise ModelFileError(
            f"the metadata {VOCABULARY_KEY!r} is not a list of {level}s: export the model again"
        )
    if text.count(",") > max_entries:
        raise ModelFileError(
            f"the metadata {VOCABULARY_KEY!r} has more entries than the graph has logits ({max_entries:,}): "
            "export the model again"
        )
