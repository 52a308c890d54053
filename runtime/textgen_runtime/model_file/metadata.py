"""The metadata of a model file: vocabulary, normalization, default prompts and provenance.

Each value is JSON text, so that a program in any language can read it. ``docs/model-file.md`` lists the keys
and values.
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

# Format 2 adds special tokens and other levels. A file without them has format 1, which older versions can
# read.
FORMAT = 2
PLAIN_FORMAT, SPECIAL_TOKENS_FORMAT = 1, 2

# The maximum number of characters in a vocabulary.
CODE_POINTS = sys.maxunicode + 1

# The maximum length of any other value. A parsed value can take 25 times the memory of its JSON text.
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
    """The metadata of a model file.

    Attributes:
        tokenizer: The vocabulary, and the conversion between text and tokens.
        normalization: The normalization of texts before they are encoded.
        prompts: Excerpts from the corpus, for generation without a prompt.
        training: The provenance of the model: corpus, split, loss, recipe, versions and date.
    """

    tokenizer: Tokenizer
    normalization: Normalization = Normalization()
    prompts: tuple[str, ...] = ()
    training: Mapping[str, Any] = MappingProxyType({})

    def to_props(self) -> dict[str, str]:
        """Return the keys and JSON texts for the ``metadata_props`` of a model file.

        Raises:
            ValueError: If a number in ``training`` is NaN or infinite, which JSON cannot represent.
        """
        plain = self.tokenizer.level == CHARACTER and self.tokenizer.unknown is None
        values = {
            FORMAT_KEY: PLAIN_FORMAT if plain else SPECIAL_TOKENS_FORMAT,
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
    def from_props(cls, props: Mapping[str, str], vocabulary_size: int | None = None) -> "Metadata":
        """Read and check the metadata of a model file.

        Args:
            props: Keys and JSON texts.
            vocabulary_size: The number of logits of the graph, or None if it is not known. A longer
                vocabulary is rejected before it is parsed.

        Raises:
            ModelFileError: If a key is missing, if a value is invalid or of a newer format, or if the
                vocabulary does not have ``vocabulary_size`` entries.
        """
        check_format(props)
        tokenizer = _read_tokenizer(props, vocabulary_size)
        return cls(
            tokenizer=tokenizer,
            normalization=_read_normalization(props),
            prompts=_read_prompts(props, tokenizer),
            training=_read_training(props),
        )


def check_format(props: Mapping[str, str]) -> None:
    """Check that the metadata is that of a text generator, in a format that this version can read.

    Raises:
        ModelFileError: If it is not.
    """
    if FORMAT_KEY not in props:
        raise ModelFileError(f"not a text generator: the ONNX file has no {FORMAT_KEY!r} metadata")
    value = _read_value(props, FORMAT_KEY)
    if type(value) is not int or value < 1:
        raise ModelFileError(
            f"the metadata {FORMAT_KEY!r} is {quote(value)}; expected a format number: export the model again"
        )
    if value > FORMAT:
        raise ModelFileError(
            f"the file has format {quote(value)}, but this version supports formats up to {FORMAT}: "
            "upgrade textgen-onnx"
        )


def _read_value(props: Mapping[str, str], key: str, max_length: int = MAX_TEXT) -> Any:
    if key not in props:
        raise ModelFileError(f"the metadata {key!r} is missing: export the model again")
    text = props[key]
    if len(text) > max_length:
        raise ModelFileError(
            f"the metadata {key!r} has {len(text):,} characters; at most {max_length:,} are supported"
        )
    try:
        return from_json(text)
    except (ValueError, RecursionError):
        raise ModelFileError(f"the metadata {key!r} is not valid JSON: export the model again") from None


def _is_text(value: object) -> bool:
    """Return whether a value is a non-empty string that UTF-8 can encode."""
    if not isinstance(value, str) or not value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_tokenizer(props: Mapping[str, str], vocabulary_size: int | None) -> Tokenizer:
    level = _read_value(props, LEVEL_KEY)
    tokenizer_class = TOKENIZERS.get(level) if isinstance(level, str) else None
    if tokenizer_class is None:
        raise ModelFileError(
            f"the metadata {LEVEL_KEY!r} is {quote(level)}, but this version supports only "
            f"{', '.join(map(repr, TOKENIZERS))}: upgrade textgen-onnx"
        )
    # A character has a few bytes at most, so the number of entries bounds the length of a character
    # vocabulary.
    max_length = MAX_TEXT
    if tokenizer_class is CharacterTokenizer:
        max_length = sys.maxsize
        max_entries = CODE_POINTS if vocabulary_size is None else vocabulary_size
        _check_entry_count(props.get(VOCABULARY_KEY, ""), max_entries)
    symbols = _read_value(props, VOCABULARY_KEY, max_length)
    if not isinstance(symbols, list) or not symbols:
        raise ModelFileError(
            f"the metadata {VOCABULARY_KEY!r} is not a list of {level}s: export the model again"
        )
    unknown = _read_unknown(props, len(symbols))
    for token, symbol in enumerate(symbols):
        if token == unknown:
            if symbol != "":
                raise ModelFileError(
                    f"the metadata {VOCABULARY_KEY!r} has {quote(symbol)} at index {token}, the index "
                    'of the unknown symbol; expected "": export the model again'
                )
        elif not _is_text(symbol) or not tokenizer_class.is_symbol(symbol):
            raise ModelFileError(
                f"the metadata {VOCABULARY_KEY!r} has {quote(symbol)} at index {token}; expected a {level}: "
                "export the model again"
            )
    if len(set(symbols)) != len(symbols):
        raise ModelFileError(
            f"the metadata {VOCABULARY_KEY!r} contains a {level} twice: export the model again"
        )
    if vocabulary_size is not None and len(symbols) != vocabulary_size:
        raise ModelFileError(
            f"the vocabulary has {len(symbols)} {level}s, but the graph has {vocabulary_size} logits: export "
            "the model again"
        )
    tokenizer: Tokenizer = tokenizer_class(symbols, unknown)
    return tokenizer


def _read_unknown(props: Mapping[str, str], symbol_count: int) -> int | None:
    """Return the token of the unknown symbol, or None if the file has none."""
    if SPECIAL_KEY not in props or _read_value(props, FORMAT_KEY) < SPECIAL_TOKENS_FORMAT:
        return None
    special = _read_value(props, SPECIAL_KEY)
    if not isinstance(special, dict) or not set(special) <= {UNKNOWN}:
        raise ModelFileError(
            f"the metadata {SPECIAL_KEY!r} is {quote(special)}, but this version supports only {UNKNOWN!r}: "
            "upgrade textgen-onnx"
        )
    unknown = special.get(UNKNOWN)
    if unknown is not None and (type(unknown) is not int or not 0 <= unknown < symbol_count):
        raise ModelFileError(
            f"the metadata {SPECIAL_KEY!r} has the token {quote(unknown)} for the unknown symbol, but the "
            f"vocabulary has {symbol_count} entries: export the model again"
        )
    if unknown is not None and symbol_count == 1:
        raise ModelFileError("the vocabulary has only the unknown symbol: no text can be generated")
    return unknown


def _check_entry_count(text: str, max_entries: int) -> None:
    """Check the number of entries of a vocabulary before it is parsed.

    A parsed entry takes many times the memory of its JSON text. The count allows for commas, brackets and
    braces among the characters of the vocabulary.
    """
    if text.count("[") > 2 or text.count("{") > 1:  # noqa: PLR2004
        raise ModelFileError(
            f"the metadata {VOCABULARY_KEY!r} is not a list of characters: export the model again"
        )
    if text.count(",") > max_entries:
        raise ModelFileError(
            f"the metadata {VOCABULARY_KEY!r} has more entries than the graph has logits ({max_entries:,}): "
            "export the model again"
        )


def _read_normalization(props: Mapping[str, str]) -> Normalization:
    value = _read_value(props, NORMALIZATION_KEY)
    try:
        if set(value) != {"lowercase", "unicode"} or not isinstance(value["lowercase"], bool):
            raise ValueError  # noqa: TRY301 (one message for all errors)
        return Normalization(value["lowercase"], as_unicode_form(value["unicode"]))
    except (TypeError, ValueError):
        raise ModelFileError(
            f"the metadata {NORMALIZATION_KEY!r} is {quote(value)}; expected a lowercase flag and a Unicode "
            "normal form: export the model again"
        ) from None


def _read_prompts(props: Mapping[str, str], tokenizer: Tokenizer) -> tuple[str, ...]:
    prompts = _read_value(props, PROMPTS_KEY)
    if not isinstance(prompts, list) or not all(
        _is_text(prompt) and tokenizer.can_encode(prompt) for prompt in prompts
    ):
        raise ModelFileError(
            f"the metadata {PROMPTS_KEY!r} is not a list of texts whose characters are in the vocabulary: "
            "export the model again"
        )
    return tuple(prompts)


def _read_training(props: Mapping[str, str]) -> Mapping[str, Any]:
    training = _read_value(props, TRAINING_KEY)
    if not isinstance(training, dict):
        raise ModelFileError(f"the metadata {TRAINING_KEY!r} is not a JSON object: export the model again")
    # Read-only, because models are immutable.
    return MappingProxyType(training)
