"""Model files: find and read one, and the metadata that it has besides the graph.

Each value of the metadata is JSON text, so that a program in any language can read it. ``docs/model-file.md``
lists the keys and values. The C core checks all of them (``runtime/core/vocabulary.c``), so this module only
converts them.
"""

import codecs
import os
import stat
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from ._core import CoreModel
from .errors import ModelFileError, path_failure, shorten
from .files import BinaryReader, file_object_name, read_file_object
from .json_text import from_json, to_json
from .text import Normalization, RecordKind
from .tokenizer import BYTE, CHARACTER, NO_SPECIAL_TOKENS, SpecialTokens, Tokenizer

# The inputs and outputs of a graph. Each input besides TOKEN is an array of the state. The output with its
# next value is named NEXT + its name.
TOKEN, LOGITS, NEXT = "token", "logits", "next_"

BUNDLED_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bundled_models")
SUFFIX = ".onnx"

# The file name of a model in a folder that textgen-train writes.
MODEL_FILE = "model.onnx"

# A path or the name of a bundled model, the content of a model file, or an open binary file.
ModelSource: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryReader

# ONNX files are protobuf messages, which must be smaller than 2 GiB.
MAX_FILE_SIZE = 2**31

# Bytes at the beginning of a file that tell whether it is a text, and those that no text has.
TEXT_SIZE = 4096
CONTROL_CHARACTERS = bytes(set(range(0x20)) - set(b"\t\n\f\r"))


def bundled_models() -> list[str]:
    """Return the names of the bundled models. ``load`` accepts each of them instead of a path."""
    return sorted(name.removesuffix(SUFFIX) for name in os.listdir(BUNDLED_FOLDER) if name.endswith(SUFFIX))


def find_model_file(model: str | os.PathLike[str]) -> str:
    """Return the path of the file of a model. The file need not exist.

    Args:
        model: The path of a model file, the path of a folder that holds ``model.onnx``, or the name of a
            bundled model as a ``str``. A ``Path`` is never a name. Use ``./nietzsche`` for a file or folder
            with the name of a bundled model.
    """
    if model in bundled_models():
        return os.path.join(BUNDLED_FOLDER, f"{model}{SUFFIX}")
    path = os.fspath(model)
    return os.path.join(path, MODEL_FILE) if os.path.isdir(path) else path


def unambiguous_path(path: str | os.PathLike[str]) -> str:
    """Return a path that no command takes for the name of a bundled model, or for an option."""
    name = os.fspath(path)
    return os.path.join(os.curdir, name) if name.startswith("-") or name in bundled_models() else name


def read_model(source: ModelSource) -> bytes:
    """Return the content of a model file, which may be damaged.

    Raises:
        ModelFileError: If the file cannot be read, is empty, is a text, or has 2 GiB or more.
        TypeError: If ``source`` is of the wrong type.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
    elif isinstance(source, str | os.PathLike):
        content = _read_path(source)
    elif hasattr(source, "read"):
        try:
            content = read_file_object(source, check_size)
        except ModelFileError as error:
            raise ModelFileError(f"{name_source(source)}: ", *error.args) from None
        except OSError as error:
            raise ModelFileError(f"cannot read {name_source(source)}: {error.strerror or error}") from None
    else:
        raise TypeError(
            f"the model must be a path, bytes or a binary file object, not {type(source).__name__}"
        )
    if content and _is_text(content[:TEXT_SIZE]):
        raise ModelFileError(
            f"{name_source(source)}: this is a text, not a model: train on it first, with textgen-train"
        )
    return content


def _is_text(beginning: bytes) -> bool:
    """Return whether a file begins as a text in UTF-8. An ONNX file begins with a control character."""
    try:
        codecs.utf_8_decode(beginning, "strict", False)
    except UnicodeDecodeError:
        return False
    return beginning == beginning.translate(None, CONTROL_CHARACTERS)


def name_source(source: ModelSource) -> str:
    """Return the name of a source for messages."""
    if isinstance(source, bytes | bytearray | memoryview):
        return "the given bytes"
    return shorten(str(source) if isinstance(source, str | os.PathLike) else file_object_name(source))


def _read_path(path: str | os.PathLike[str]) -> bytes:
    file = find_model_file(path)
    try:
        with open(file, "rb") as opened_file:
            status = os.fstat(opened_file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return read_file_object(opened_file, check_size)
            # Before a large file is read.
            check_size(status.st_size)
            return opened_file.read()
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        name = os.path.basename(file)
        if missing and file != os.fspath(path):
            raise ModelFileError(f"the folder {shorten(str(path))} has no {name}") from None
        # Nobody types such a path for a name.
        is_path = os.path.isabs(file) or os.path.splitext(name)[1]
        hint = f"; bundled models: {', '.join(bundled_models())}" if missing and not is_path else ""
        raise ModelFileError(
            f"cannot read the model file {shorten(file)}: {path_failure(error)}{hint}"
        ) from None
    except ModelFileError as error:
        raise ModelFileError(f"{shorten(str(path))}: ", *error.args) from None


def check_size(size: int) -> None:
    """Raise ``ModelFileError`` if a file is too large for an ONNX file."""
    if size >= MAX_FILE_SIZE:
        raise ModelFileError("the file has 2 GiB or more; an ONNX file must be smaller")


FORMAT_KEY = "textgen.format"
VOCABULARY_KEY = "textgen.vocabulary"
LEVEL_KEY = "textgen.level"
NORMALIZATION_KEY = "textgen.normalization"
PROMPTS_KEY = "textgen.prompts"
TRAINING_KEY = "textgen.training"
SPECIAL_KEY = "textgen.special"
RECORDS_KEY = "textgen.records"
QUANTIZATION_KEY = "textgen.quantization"

# Format 2 adds special tokens, other levels, other states than that of an LSTM, and 8-bit weights. A file
# without them has format 1, which older versions can read.
FORMAT = 2
PLAIN_FORMAT = 1

# The state arrays of the graphs of format 1: those of an LSTM in ``network``, which takes time to import.
FORMAT_1_STATE = ("hidden", "cell")

# The number of bits of a quantized weight.
BITS = 8

# The names of hyperparameters in ``training`` that differ from those in recipes. They are part of the file
# format: programs read them, and old files have them.
STORED_NAMES = {
    "sequence_length": "slice_length",
    "muon_lr": "muon_rate",
    "muon_weight_decay": "muon_decay",
    "grad_clip": "clip",
}
_RECIPE_NAMES = {stored: name for name, stored in STORED_NAMES.items()}


def stored_option_name(name: str) -> str:
    """Return the command-line name of a hyperparameter of a model file, without the leading dashes."""
    return _RECIPE_NAMES.get(name, name).replace("_", "-")


class Quantization(NamedTuple):
    """The weights of a model with fewer than 32 bits.

    Attributes:
        bits: The number of bits of a weight, which is 8.
        loss: Loss of the model on a text, in nats per character; None if no text was scored.
        float32_loss: Loss of the model with float32 weights on the same text; None if no text was scored.
        text: The scored text: its ``name``, the share at its end that was scored as ``last``, and the number
            of scored ``characters``. None if no text was scored.
    """

    bits: int = BITS
    loss: float | None = None
    float32_loss: float | None = None
    text: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**self._asdict(), "text": None if self.text is None else dict(self.text)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Quantization":
        """Create the object from its fields as JSON values. Fields of newer versions are ignored."""
        known = {name: values[name] for name in cls._fields if values.get(name) is not None}
        # Read-only, because models are immutable.
        return cls(**known | ({"text": MappingProxyType(known["text"])} if "text" in known else {}))


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
    def read(cls, core: CoreModel) -> "Metadata":
        """Return the metadata of a model, which the C core has checked."""

        def read(key: str) -> Any:
            return from_json(core.metadata(key) or "null")

        quantization = read(QUANTIZATION_KEY)
        return cls(
            Tokenizer(core),
            Normalization(*core.normalization),
            tuple(read(PROMPTS_KEY)),
            # Read-only, because threads share models.
            MappingProxyType(read(TRAINING_KEY)),
            core.records,
            quantization and Quantization.from_json(quantization),
        )

    @classmethod
    def from_props(cls, props: Mapping[str, str]) -> "Metadata":
        """Return the metadata of keys and JSON texts as ``to_props`` returns them.

        Raises:
            ModelFileError: If they are not those of a text generator.
        """
        return cls.read(open_metadata(_without_graph(props)))


def open_metadata(content: bytes) -> CoreModel:
    """Open a model file only to read its metadata, whatever graph it has."""

    def never(*_arguments: object) -> None:
        raise AssertionError

    return CoreModel(content, forward=never)


def make_tokenizer(
    level: str, symbols: Iterable[str], special: SpecialTokens = NO_SPECIAL_TOKENS
) -> Tokenizer:
    """Return the tokenizer of a vocabulary that no model has yet.

    Args:
        level: One of ``LEVELS``.
        symbols: The symbols in the order of their tokens; ``""`` for a special token.
        special: The special tokens.

    Raises:
        ValueError: If the symbols or the special tokens are not those of the level.
    """
    props = {
        FORMAT_KEY: FORMAT,
        VOCABULARY_KEY: tuple(symbols),
        LEVEL_KEY: level,
        NORMALIZATION_KEY: Normalization(unicode=None)._asdict(),
        PROMPTS_KEY: (),
        TRAINING_KEY: {},
        SPECIAL_KEY: special.by_name,
    } | ({} if special.begin is None else {RECORDS_KEY: "lines"})
    texts = {key: to_json(value, ascii_only=False) for key, value in props.items()}
    try:
        return Tokenizer(open_metadata(_without_graph(texts)))
    except ModelFileError as error:
        raise ValueError(str(error)) from None


def _without_graph(props: Mapping[str, str]) -> bytes:
    """Return an ONNX file with this metadata and an empty graph."""

    def field(number: int, content: bytes) -> bytes:
        size, length = bytearray(), len(content)
        # Seven bits in each byte, the lowest first.
        while length >> 7:
            size.append(length & 0x7F | 0x80)
            length >>= 7
        return bytes([number << 3 | 2, *size, length]) + content

    # The version of the format, the graph with its name, and the version of the operators.
    start = b"\x08\x09" + field(7, field(2, b"metadata")) + field(8, b"\x10\x11")
    entries = [field(1, key.encode()) + field(2, value.encode()) for key, value in props.items()]
    return start + b"".join([field(14, entry) for entry in entries])
