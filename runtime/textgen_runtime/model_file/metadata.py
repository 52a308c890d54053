"""The metadata of a model file: vocabulary, normalization, default prompts and provenance.

Each value is JSON text, so that a program in any language can read it. ``docs/model-file.md`` lists the keys
and values.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from textgen_runtime.errors import ModelFileError, quote
from textgen_runtime.model_file.graph_names import FORMAT_1_STATE
from textgen_runtime.system.json_text import to_json
from textgen_runtime.text.levels import BYTE, CHARACTER
from textgen_runtime.text.normalization import Normalization, as_unicode_form
from textgen_runtime.text.records import RECORD_KINDS, RecordKind
from textgen_runtime.text.tokenizer import Tokenizer

from .metadata_values import (
    FORMAT_KEY,
    LEVEL_KEY,
    NORMALIZATION_KEY,
    PROMPTS_KEY,
    QUANTIZATION_KEY,
    RECORDS_KEY,
    SPECIAL_KEY,
    TRAINING_KEY,
    VOCABULARY_KEY,
    is_text,
    read_value,
)
from .quantization import Quantization, read_quantization
from .vocabulary import read_tokenizer

# Format 2 adds special tokens, other levels, other states than that of an LSTM, and 8-bit weights. A file
# without them has format 1, which older versions can read.
FORMAT = 2
PLAIN_FORMAT = 1


class Metadata(NamedTuple):
    """The metadata of a model file.

    Attributes:
        tokenizer: The vocabulary, and the conversion between text and tokens.
        normalization: The normalization of texts before they are encoded.
        prompts: Excerpts from the corpus, for generation without a prompt.
        training: The provenance of the model: corpus, split, loss, recipe, versions and date.
        records: How records are separated in the corpus, or None for a model of continuous text. The
            tokenizer has begin and end tokens if and only if this is not None.
        quantization: What is known of the 8-bit weights, or None for float32 weights.
    """

    tokenizer: Tokenizer
    normalization: Normalization = Normalization()
    prompts: tuple[str, ...] = ()
    training: Mapping[str, Any] = MappingProxyType({})
    records: RecordKind | None = None
    quantization: Quantization | None = None

    def normalize(self, text: str) -> str:
        """Return a text as the model's corpus was normalized. Bytes are never normalized.

        Raises:
            TypeError: If ``text`` is not a string.
        """
        if self.tokenizer.level == BYTE and isinstance(text, str):
            return text
        return self.normalization.apply(text)

    def to_props(self, state: Collection[str] = FORMAT_1_STATE) -> dict[str, str]:
        """Return the keys and JSON texts for the ``metadata_props`` of a model file.

        Args:
            state: The names of the state arrays of the graph.

        Raises:
            ValueError: If a number in ``training`` is NaN or infinite, which JSON cannot represent; or if
                there are ``records`` without begin and end tokens, or these tokens without ``records``.
        """
        special = self.tokenizer.special
        if (self.records is None) != (special.begin is None):
            raise ValueError("records and begin and end tokens must be given together")
        plain = self.tokenizer.level == CHARACTER and not special.by_name
        plain = plain and set(state) == set(FORMAT_1_STATE) and self.quantization is None
        values = {
            FORMAT_KEY: PLAIN_FORMAT if plain else FORMAT,
            VOCABULARY_KEY: self.tokenizer.symbols,
            LEVEL_KEY: self.tokenizer.level,
            NORMALIZATION_KEY: self.normalization._asdict(),
            PROMPTS_KEY: self.prompts,
            TRAINING_KEY: dict(self.training),
        }
        if special.by_name:
            values[SPECIAL_KEY] = special.by_name
        if self.records is not None:
            values[RECORDS_KEY] = self.records
        if self.quantization is not None:
            values[QUANTIZATION_KEY] = self.quantization.as_json()
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
        tokenizer = read_tokenizer(props, vocabulary_size)
        return cls(
            tokenizer=tokenizer,
            normalization=_read_normalization(props),
            prompts=_read_prompts(props, tokenizer),
            training=_read_training(props),
            records=_read_records(props, tokenizer),
            quantization=read_quantization(props),
        )


def check_format(props: Mapping[str, str]) -> None:
    """Check that the metadata is that of a text generator, in a format that this version can read.

    Raises:
        ModelFileError: If it is not.
    """
    if FORMAT_KEY not in props:
        raise ModelFileError(f"not a text generator: the ONNX file has no {FORMAT_KEY!r} metadata")
    value = read_value(props, FORMAT_KEY)
    if type(value) is not int or value < 1:
        raise ModelFileError(
            f"the metadata {FORMAT_KEY!r} is {quote(value)}; expected a format number: export the model again"
        )
    if value > FORMAT:
        raise ModelFileError(
            f"the file has format {quote(value)}, but this version supports formats up to {FORMAT}: "
            "upgrade textgen-onnx"
        )


def _read_normalization(props: Mapping[str, str]) -> Normalization:
    value = read_value(props, NORMALIZATION_KEY)
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
    prompts = read_value(props, PROMPTS_KEY)
    if not isinstance(prompts, list) or not all(
        is_text(prompt) and tokenizer.can_encode(prompt) for prompt in prompts
    ):
        raise ModelFileError(
            f"the metadata {PROMPTS_KEY!r} is not a list of texts whose characters are in the vocabulary: "
            "export the model again"
        )
    return tuple(prompts)


def _read_training(props: Mapping[str, str]) -> Mapping[str, Any]:
    training = read_value(props, TRAINING_KEY)
    if not isinstance(training, dict):
        raise ModelFileError(f"the metadata {TRAINING_KEY!r} is not a JSON object: export the model again")
    # Read-only, because models are immutable.
    return MappingProxyType(training)


def _read_records(props: Mapping[str, str], tokenizer: Tokenizer) -> RecordKind | None:
    has_records = tokenizer.special.begin is not None
    if not has_records and RECORDS_KEY not in props:
        return None
    records = read_value(props, RECORDS_KEY)
    if records not in RECORD_KINDS:
        raise ModelFileError(
            f"the metadata {RECORDS_KEY!r} is {quote(records)}, but this version supports only "
            f"{', '.join(map(repr, RECORD_KINDS))}: upgrade textgen-onnx"
        )
    if not has_records:
        raise ModelFileError(
            f"the metadata {RECORDS_KEY!r} is {quote(records)}, but {SPECIAL_KEY!r} has no 'begin' and "
            "'end': export the model again"
        )
    kind: RecordKind = records
    return kind
