"""A model of bytes that likes to write characters of several bytes."""

from functools import cache

from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.text import Normalization
from textgen_runtime.tokenizer import BYTE_SYMBOLS

from tests.helpers.make_tiny_model import build_model, random_weights

# Letters of one to four bytes.
TEXT = "abcé è€ж𝄞"

# The first bytes of characters of several bytes begin here.
FIRST_BYTES = 0xC2


@cache
def accented_content() -> bytes:
    """Return the content of a model file with random weights.

    The bytes of ``TEXT`` are likely, above all those that begin characters of several bytes.
    """
    weights = random_weights(len(BYTE_SYMBOLS))
    for byte in set(TEXT.encode()):
        weights[-1][byte] += 9.0 if byte >= FIRST_BYTES else 5.0
    metadata = Metadata(make_tokenizer("byte", BYTE_SYMBOLS), Normalization(), prompts=(TEXT,))
    return build_model(weights, metadata).SerializeToString()
