"""The model file's metadata: names in the graph, and what the metadata says.

The metadata is JSON text under the keys below, so that a program in any language can read it. The table
in the README states the whole contract.
"""

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from textgen_runtime.errors import ModelFileError, quote
from textgen_runtime.system.json_text import from_json, to_json
from textgen_runtime.text.character_tokenizer import CHARACTER, CharacterTokenizer
from textgen_runtime.text.levels import TOKENIZERS
from textgen_runtime.text.normalization import Normalization, as_unicode_form
from textgen_runtime.text.tokenizer import Tokenizer

# Format 2 has special tokens and other levels; a file without them is of format 1, which older versions read.
FORMAT, PLAIN_FORMAT = 2, 1

# No vocabulary has more characters, and no other metadata is read that is longer: what JSON makes of a text
# takes up to 25 times its memory.
CODE_POINTS = sys.maxunicode + 1
MAX_TEXT = 2**20


FORMAT_KEY = "textgen.format"
VOCABULARY_KEY = "textgen.vocabulary"
LEVEL_KEY = "textgen.level"
NORMALIZATION_KEY = "textgen.normalization"
PROMPTS_KEY = "textgen.prompts"
TRAINING_KEY = "textgen.training"
SPECIAL_KEY = "textgen.special"

UNKNOWN = "unknown"


class Metadata(NamedTuple):
    """What a model file says of itself beside its graph.

    Attributes:
        tokenizer: Text to tokens and back.
        normalization: The form that texts are brought into before they are encoded.
        prompts: Snippets of the corpus, for generation without a prompt.
        training: Where the model comes from: corpus, split, loss, recipe, versions, date.
    """

    tokenizer: Tokenizer
    normalization: Normalization = Normalization()
    prompts: tuple[str, ...] = ()
    training: Mapping[str, Any] = MappingProxyType({})

    def to_props(self) -> dict[str, str]:
        """Keys and JSON texts to store in a model file's ``metadata_props``.

        Raises:
            ValueError: If a number in ``training`` is NaN or infinite, which JSON does not have.
        """
        plain = self.tokenizer.level == CHARACTER and self.tokenizer.unknown is None
        values = {
            FORMAT_KEY: PLAIN_FORMAT if plain else FORMAT,
            VOCABULARY_KEY: self.tokenizer.symbols,
            LEVEL_KEY: self.tokenizer.level,
            NORMALIZATION_KEY: self.normalization._asdict(),
            PROMPTS_KEY: self.prompts,
            TRAINING_KEY: dict(self.training),
        }
        if self.tokenizer.unknown is not None:
            values[SPECIAL_KEY] = {UNKNOWN: self.tokenizer.unknown}
        return {key: to_json(value, ascii_only=False) for key, value in values.items()}

    @classmethod
    def from_props(cls, metadata: Mapping[str, str], logits: int | None = None) -> "Metadata":
        """Read and check a model file's metadata.

        Args:
            metadata: Keys and JSON texts.
            logits: How many tokens the graph has logits for, or None if that is not known. A vocabulary of
                more characters is refused before it is parsed.

        Raises:
            ModelFileError: If a key is missing, holds what it should not, or is of a newer format, or if the
                vocabulary is not of the stated number.
        """
        check_format(metadata)
        tokenizer = _read_tokenizer(metadata, logits)
        return cls(
            tokenizer=tokenizer,
            normalization=_read_normalization(metadata),
            prompts=_read_prompts(metadata, tokenizer),
            training=_read_training(metadata),
        )


def check_format(metadata: Mapping[str, str]) -> None:
    """See that the metadata is a text generator's, of a format that this version reads.

    Raises:
        ModelFileError: If it is not.
    """
    if FORMAT_KEY not in metadata:
        raise ModelFileError(f"it is an ONNX file but no text generator: it has no {FORMAT_KEY!r} metadata")
    value = _read(metadata, FORMAT_KEY)
    if type(value) is not int or value < 1:
        raise ModelFileError(f"its metadata {FORMAT_KEY!r} is {quote(value)}, not a format number")
    if value > FORMAT:
        raise ModelFileError(
            f"it is of format {quote(value)}, and this version reads format {FORMAT}: upgrade textgen-onnx"
        )


def _read(metadata: Mapping[str, str], key: str, longest: int = MAX_TEXT) -> Any:
    if key not in metadata:
        raise ModelFileError(f"its metadata lacks {key!r}: export it again")
    text = metadata[key]
    if len(text) > longest:
        raise ModelFileError(
            f"its metadata {key!r} has {len(text):,} characters, and at most {longest:,} are read"
        )
    try:
        return from_json(text)
    except (ValueError, RecursionError):
        raise ModelFileError(f"its metadata {key!r} is not JSON: export it again") from None


def _is_text(value: object) -> bool:
    """Whether a value is a non-empty string that can be written out: lone surrogates cannot."""
    if not isinstance(value, str) or not value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_tokenizer(metadata: Mapping[str, str], logits: int | None) -> Tokenizer:
    level = _read(metadata, LEVEL_KEY)
    kind = TOKENIZERS.get(level) if isinstance(level, str) else None
    if kind is None:
        raise ModelFileError(
            f"{LEVEL_KEY} is {quote(level)}, and this version reads {', '.join(map(repr, TOKENIZERS))}: "
            "upgrade textgen-onnx"
        )
    # A character takes a few bytes at most, so that their number bounds what a vocabulary of them takes.
    longest = MAX_TEXT
    if kind is CharacterTokenizer:
        longest = sys.maxsize
        _check_entries(metadata.get(VOCABULARY_KEY, ""), CODE_POINTS if logits is None else logits)
    symbols = _read(metadata, VOCABULARY_KEY, longest)
    if not isinstance(symbols, list) or not symbols:
        raise ModelFileError(f"its metadata {VOCABULARY_KEY!r} is not a list of {level}s")
    unknown = _read_unknown(metadata, len(symbols))
    for token, symbol in enumerate(symbols):
        if token == unknown:
            if symbol != "":
                raise ModelFileError(
                    f"its metadata {VOCABULARY_KEY!r} holds {quote(symbol)} at {token}, where the unknown "
                    "symbol has an empty entry"
                )
        elif not _is_text(symbol) or not kind.is_symbol(symbol):
            raise ModelFileError(
                f"its metadata {VOCABULARY_KEY!r} holds {quote(symbol)} at {token}, not a {level}"
            )
    if len(set(symbols)) != len(symbols):
        raise ModelFileError(f"its metadata {VOCABULARY_KEY!r} holds a {level} twice")
    if logits is not None and len(symbols) != logits:
        raise ModelFileError(
            f"its vocabulary has {len(symbols)} {level}s but its logits {logits} values: export it again"
        )
    tokenizer: Tokenizer = kind(symbols, unknown)
    return tokenizer


def _read_unknown(metadata: Mapping[str, str], symbols: int) -> int | None:
    """The token of the unknown symbol, if the file has one."""
    if SPECIAL_KEY not in metadata or _read(metadata, FORMAT_KEY) < FORMAT:
        return None
    special = _read(metadata, SPECIAL_KEY)
    if not isinstance(special, dict) or not set(special) <= {UNKNOWN}:
        raise ModelFileError(
            f"its metadata {SPECIAL_KEY!r} is {quote(special)}, and this version reads {UNKNOWN!r} alone: "
            "upgrade textgen-onnx"
        )
    unknown = special.get(UNKNOWN)
    # A model that knows nothing else could draw nothing.
    if unknown is not None and (type(unknown) is not int or not 0 <= unknown < symbols or symbols == 1):
        raise ModelFileError(
            f"its metadata {SPECIAL_KEY!r} has the unknown symbol at {quote(unknown)}, and its vocabulary "
            f"has {symbols} entries"
        )
    return unknown


def _check_entries(text: str, characters: int) -> None:
    """See that a vocabulary has no more entries than it may, before they are parsed.

    A parsed entry takes many times the memory of its text. A comma, bracket or brace may itself be one of
    the characters.
    """
    if text.count("[") > 2 or text.count("{") > 1:  # noqa: PLR2004
        raise ModelFileError(f"its metadata {VOCABULARY_KEY!r} is not a list of characters")
    if text.count(",") > characters:
        raise ModelFileError(
            f"its metadata {VOCABULARY_KEY!r} has more than the {characters:,} entries that its graph has "
            "logits for: export it again"
        )


def _read_normalization(metadata: Mapping[str, str]) -> Normalization:
    value = _read(metadata, NORMALIZATION_KEY)
    try:
        if set(value) != {"lowercase", "unicode"} or not isinstance(value["lowercase"], bool):
            raise ValueError  # noqa: TRY301 (one message for all that can be wrong)
        return Normalization(value["lowercase"], as_unicode_form(value["unicode"]))
    except (TypeError, ValueError):
        raise ModelFileError(
            f"its metadata {NORMALIZATION_KEY!r} is {quote(value)}, which this version does not read"
        ) from None


def _read_prompts(metadata: Mapping[str, str], tokenizer: Tokenizer) -> tuple[str, ...]:
    prompts = _read(metadata, PROMPTS_KEY)
    if not isinstance(prompts, list) or not all(
        _is_text(prompt) and tokenizer.can_encode(prompt) for prompt in prompts
    ):
        raise ModelFileError(f"its metadata {PROMPTS_KEY!r} is not a list of texts in its own vocabulary")
    return tuple(prompts)


def _read_training(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    training = _read(metadata, TRAINING_KEY)
    if not isinstance(training, dict):
        raise ModelFileError(f"its metadata {TRAINING_KEY!r} is not an object")
    # Read-only, as the model is.
    return MappingProxyType(training)
