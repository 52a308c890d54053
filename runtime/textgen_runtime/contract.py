"""The model file's contract: names in the graph, and what the metadata says.

The metadata is JSON text under the keys below, so that a program in any language can read it. The table
in the README states the whole contract.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from .errors import ModelFileError
from .json_text import from_json, to_json
from .vocabulary import Normalization, Vocabulary, as_unicode_form

FORMAT = 1
LEVEL = "character"

TOKEN, HIDDEN, CELL = "token", "hidden", "cell"
LOGITS, NEXT_HIDDEN, NEXT_CELL = "logits", "next_hidden", "next_cell"
INPUTS = (TOKEN, HIDDEN, CELL)
OUTPUTS = (LOGITS, NEXT_HIDDEN, NEXT_CELL)

FORMAT_KEY = "textgen.format"
VOCABULARY_KEY = "textgen.vocabulary"
LEVEL_KEY = "textgen.level"
NORMALIZATION_KEY = "textgen.normalization"
PROMPTS_KEY = "textgen.prompts"
TRAINING_KEY = "textgen.training"


@dataclass(frozen=True)
class Contract:
    """What a model file says of itself beside its graph.

    Attributes:
        vocabulary: The characters, by token id.
        normalization: The form that texts are brought into before they are encoded.
        prompts: Snippets of the corpus, for generation without a prompt.
        training: Where the model comes from: corpus, split, loss, recipe, versions, date.
    """

    vocabulary: Vocabulary
    normalization: Normalization = field(default_factory=Normalization)
    prompts: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)

    def to_metadata(self) -> dict[str, str]:
        """Keys and JSON texts to store in a model file's ``metadata_props``.

        Raises:
            ValueError: If a number in ``training`` is NaN or infinite, which JSON does not have.
        """
        values = {
            FORMAT_KEY: FORMAT,
            VOCABULARY_KEY: self.vocabulary.symbols,
            LEVEL_KEY: LEVEL,
            NORMALIZATION_KEY: asdict(self.normalization),
            PROMPTS_KEY: self.prompts,
            TRAINING_KEY: dict(self.training),
        }
        return {key: to_json(value, ascii_only=False) for key, value in values.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "Contract":
        """Read and check a model file's metadata.

        Raises:
            ModelFileError: If a key is missing, holds what it should not, or is of a newer format.
        """
        if FORMAT_KEY not in metadata:
            raise ModelFileError(
                f"it is an ONNX file but no text generator: it has no {FORMAT_KEY!r} metadata"
            )
        _check_format(_read(metadata, FORMAT_KEY))
        if (level := _read(metadata, LEVEL_KEY)) != LEVEL:
            raise ModelFileError(
                f"{LEVEL_KEY} is {level!r}, and this version reads {LEVEL!r}: upgrade textgen-onnx"
            )
        vocabulary = _read_vocabulary(metadata)
        return cls(
            vocabulary=vocabulary,
            normalization=_read_normalization(metadata),
            prompts=_read_prompts(metadata, vocabulary),
            training=_read_training(metadata),
        )


def _read(metadata: Mapping[str, str], key: str) -> Any:
    if key not in metadata:
        raise ModelFileError(f"its metadata lacks {key!r}: export it again")
    try:
        return from_json(metadata[key])
    except (ValueError, RecursionError):
        raise ModelFileError(f"its metadata {key!r} is not JSON: export it again") from None


def _check_format(value: object) -> None:
    if type(value) is not int or value < 1:
        raise ModelFileError(f"its metadata {FORMAT_KEY!r} is {value!r}, not a format number")
    if value > FORMAT:
        raise ModelFileError(
            f"it is of format {value}, and this version reads format {FORMAT}: upgrade textgen-onnx"
        )


def _is_text(value: object) -> bool:
    """Whether a value is a non-empty string that can be written out: lone surrogates cannot."""
    if not isinstance(value, str) or not value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_vocabulary(metadata: Mapping[str, str]) -> Vocabulary:
    symbols = _read(metadata, VOCABULARY_KEY)
    if not isinstance(symbols, list) or not symbols:
        raise ModelFileError(f"its metadata {VOCABULARY_KEY!r} is not a list of characters")
    for token, symbol in enumerate(symbols):
        if not _is_text(symbol) or len(symbol) != 1:
            raise ModelFileError(
                f"its metadata {VOCABULARY_KEY!r} holds {symbol!a} at {token}, not a character"
            )
    if len(set(symbols)) != len(symbols):
        raise ModelFileError(f"its metadata {VOCABULARY_KEY!r} holds a character twice")
    return Vocabulary(symbols)


def _read_normalization(metadata: Mapping[str, str]) -> Normalization:
    value = _read(metadata, NORMALIZATION_KEY)
    try:
        if set(value) != {"lowercase", "unicode"} or not isinstance(value["lowercase"], bool):
            raise ValueError  # noqa: TRY301 (one message for all that can be wrong)
        return Normalization(value["lowercase"], as_unicode_form(value["unicode"]))
    except (TypeError, ValueError):
        raise ModelFileError(
            f"its metadata {NORMALIZATION_KEY!r} is {value!r}, which this version does not read"
        ) from None


def _read_prompts(metadata: Mapping[str, str], vocabulary: Vocabulary) -> tuple[str, ...]:
    prompts = _read(metadata, PROMPTS_KEY)
    known = set(vocabulary.symbols)
    if not isinstance(prompts, list) or not all(
        _is_text(prompt) and known.issuperset(prompt) for prompt in prompts
    ):
        raise ModelFileError(f"its metadata {PROMPTS_KEY!r} is not a list of texts in its own vocabulary")
    return tuple(prompts)


def _read_training(metadata: Mapping[str, str]) -> Mapping[str, Any]:
    training = _read(metadata, TRAINING_KEY)
    if not isinstance(training, dict):
        raise ModelFileError(f"its metadata {TRAINING_KEY!r} is not an object")
    # Read-only, as the model is.
    return MappingProxyType(training)
