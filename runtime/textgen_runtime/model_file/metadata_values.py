"""The keys of the metadata of a model file, and the reading of their JSON texts."""

from collections.abc import Mapping
from typing import Any

from textgen_runtime.errors import ModelFileError
from textgen_runtime.system.json_text import from_json

FORMAT_KEY = "textgen.format"
VOCABULARY_KEY = "textgen.vocabulary"
LEVEL_KEY = "textgen.level"
NORMALIZATION_KEY = "textgen.normalization"
PROMPTS_KEY = "textgen.prompts"
TRAINING_KEY = "textgen.training"
SPECIAL_KEY = "textgen.special"
RECORDS_KEY = "textgen.records"
QUANTIZATION_KEY = "textgen.quantization"

# The maximum length of a value whose size the graph does not bound. A parsed value can take 25 times the
# memory of its JSON text.
MAX_TEXT = 2**20


def read_value(props: Mapping[str, str], key: str, max_length: int = MAX_TEXT) -> Any:
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


def is_text(value: object) -> bool:
    """Return whether a value is a non-empty string that UTF-8 can encode."""
    if not isinstance(value, str) or not value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
