"""A model of records whose texts do not end, so that every measurement generates all of its tokens."""

import struct

from textgen_runtime.generation.model import Model
from textgen_runtime.model_file.reader import ModelFile

# The output bias of the end token: it is never drawn. Sums with it stay finite.
NEVER = -1e30


def endless(content: bytes, model: Model) -> bytes:
    """Return a model file that never draws the end of a record; other files are returned unchanged.

    Args:
        content: The content of the model file.
        model: The model of this file.

    Raises:
        UnknownGraphError: If the model has records, and the C core cannot run its graph.
    """
    end = model.tokenizer.special.end
    if end is None:
        return content
    start = ModelFile(content).output_bias_offset + end * struct.calcsize("<f")
    bias = struct.pack("<f", NEVER)
    return content[:start] + bias + content[start + len(bias) :]
