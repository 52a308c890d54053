"""What the core checks of a model file, for onnxruntime.

The core reads some fields of ONNX and skips all others, which could mean something to onnxruntime: a
function that is called Add, for instance, takes the operator's place. Without them, a file that the core has
checked is no more than what was checked.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from textgen_runtime.errors import ModelFileError

# protobuf's wire types: how a field's value is stored.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# Bits of a number's ten bytes.
MAX_VARINT = 70

# The fields of a message that are kept, by number: the wire types that they may have, or another message.
Message: TypeAlias = "Mapping[int, tuple[int, ...] | Message]"

TEXT, WHOLE = (BYTES,), (VARINT,)
# Repeated numbers may be packed.
WHOLES, FLOATS = (VARINT, BYTES), (FIXED32, BYTES)

# Field numbers are those of onnx.proto; the comments give the names there.
DIMENSION: Message = {1: WHOLE, 2: TEXT}  # dim_value, dim_param
TYPE: Message = {1: {1: WHOLE, 2: {1: DIMENSION}}}  # tensor_type: elem_type, shape: dim
VALUE: Message = {1: TEXT, 2: TYPE}  # name, type
ATTRIBUTE: Message = {1: TEXT, 3: WHOLE, 4: TEXT, 20: WHOLE}  # name, i, s, type
NODE: Message = {1: TEXT, 2: TEXT, 3: TEXT, 4: TEXT, 5: ATTRIBUTE, 7: TEXT}  # input ... op_type, domain
# In order: dims, data_type, float_data, int64_data, name, raw_data and data_location.
TENSOR: Message = {1: WHOLES, 2: WHOLE, 4: FLOATS, 7: WHOLES, 8: TEXT, 9: TEXT, 14: WHOLE}
GRAPH: Message = {1: NODE, 2: TEXT, 5: TENSOR, 11: VALUE, 12: VALUE}  # node, name, initializer, input, output
OPERATOR_SET: Message = {1: TEXT, 2: WHOLE}  # domain, version
PROPERTY: Message = {1: TEXT, 2: TEXT}  # key, value
# In order: ir_version, graph, opset_import and metadata_props.
MODEL: Message = {1: WHOLE, 7: GRAPH, 8: OPERATOR_SET, 14: PROPERTY}


def checked_fields(content: bytes) -> bytes:
    """The content of a model file that the core has read, without what the core skips.

    Raises:
        ModelFileError: If a part that the core has no need of is damaged.
    """
    try:
        return b"".join(_kept(memoryview(content), MODEL))
    except (IndexError, ValueError):
        raise ModelFileError("a part of it that onnxruntime needs is damaged: use --engine native") from None


def _kept(content: memoryview, message: Message) -> Iterator[bytes | memoryview]:
    """The fields of a message that are kept, in order."""
    place = 0
    while place < len(content):
        start = place
        tag, place = _varint(content, place)
        number, wire = tag >> 3, tag & 7
        value = place
        if wire == BYTES:
            size, value = _varint(content, place)
            place = value + size
        elif wire == VARINT:
            _, place = _varint(content, place)
        elif wire in (FIXED32, FIXED64):
            place += 4 if wire == FIXED32 else 8
        else:
            # The core reads no file with groups.
            raise ValueError(f"wire type {wire}")
        if place > len(content):
            raise ValueError("cut short")
        kept = message.get(number, ())
        if isinstance(kept, Mapping):
            if wire == BYTES:
                inner = b"".join(_kept(content[value:place], kept))
                yield _as_varint(tag) + _as_varint(len(inner)) + inner
        elif wire in kept:
            yield content[start:place]


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    """A number in protobuf's variable length, and the place after it."""
    value = shift = 0
    while True:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 (the last byte has no continuation bit)
            return value, place
        shift += 7
        if shift >= MAX_VARINT:
            raise ValueError("too long a number")


def _as_varint(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:  # noqa: PLR2004
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
