"""Reduce a model file to the fields that the C core has checked, before onnxruntime reads it.

The core skips the ONNX fields that it does not need, but onnxruntime may interpret them. A model-local
function named Add, for example, replaces the operator of that name. Without the skipped fields, onnxruntime
sees only content that the core has checked.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from textgen_runtime.errors import ModelFileError

# Wire types of protobuf.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# A varint has at most ten bytes with seven bits each.
MAX_VARINT_BITS = 70

# The kept fields of a message: field number -> allowed wire types, or the type of a nested message.
Message: TypeAlias = "Mapping[int, tuple[int, ...] | Message]"

TEXT, INTEGER = (BYTES,), (VARINT,)
# Repeated numbers may be packed.
INTEGERS, FLOATS = (VARINT, BYTES), (FIXED32, BYTES)

# Field numbers of onnx.proto. The comments give the field names.
DIMENSION: Message = {1: INTEGER, 2: TEXT}  # dim_value, dim_param
TYPE: Message = {1: {1: INTEGER, 2: {1: DIMENSION}}}  # tensor_type: elem_type, shape: dim
VALUE: Message = {1: TEXT, 2: TYPE}  # name, type
ATTRIBUTE: Message = {1: TEXT, 3: INTEGER, 4: TEXT, 20: INTEGER}  # name, i, s, type
NODE: Message = {1: TEXT, 2: TEXT, 3: TEXT, 4: TEXT, 5: ATTRIBUTE, 7: TEXT}  # input ... op_type, domain
# In order: dims, data_type, float_data, int64_data, name, raw_data and data_location.
TENSOR: Message = {1: INTEGERS, 2: INTEGER, 4: FLOATS, 7: INTEGERS, 8: TEXT, 9: TEXT, 14: INTEGER}
GRAPH: Message = {1: NODE, 2: TEXT, 5: TENSOR, 11: VALUE, 12: VALUE}  # node, name, initializer, input, output
OPERATOR_SET: Message = {1: TEXT, 2: INTEGER}  # domain, version
PROPERTY: Message = {1: TEXT, 2: TEXT}  # key, value
# In order: ir_version, graph, opset_import and metadata_props.
MODEL: Message = {1: INTEGER, 7: GRAPH, 8: OPERATOR_SET, 14: PROPERTY}


def checked_fields(content: bytes) -> bytes:
    """Remove the fields that the core skips from a model file that the core has read.

    Raises:
        ModelFileError: If a field that the core skips is damaged.
    """
    try:
        return b"".join(_kept_fields(memoryview(content), MODEL))
    except (IndexError, ValueError):
        raise ModelFileError(
            "the file is damaged in a field that only onnxruntime reads: use --engine native"
        ) from None


def _kept_fields(content: memoryview, message: Message) -> Iterator[bytes | memoryview]:
    """Yield the encoded kept fields of a message, in order."""
    offset = 0
    while offset < len(content):
        start = offset
        tag, offset = _decode_varint(content, offset)
        number, wire = tag >> 3, tag & 7
        value = offset
        if wire == BYTES:
            size, value = _decode_varint(content, offset)
            offset = value + size
        elif wire == VARINT:
            _, offset = _decode_varint(content, offset)
        elif wire in (FIXED32, FIXED64):
            offset += 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"unsupported wire type {wire}")
        if offset > len(content):
            raise ValueError("truncated")
        field = message.get(number, ())
        if isinstance(field, Mapping):
            if wire == BYTES:
                inner = b"".join(_kept_fields(content[value:offset], field))
                yield _encode_varint(tag) + _encode_varint(len(inner)) + inner
        elif wire in field:
            yield content[start:offset]


def _decode_varint(content: memoryview, offset: int) -> tuple[int, int]:
    """Decode a varint, and return its value and the offset after it."""
    value = shift = 0
    while True:
        byte = content[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 (the last byte has no continuation bit)
            return value, offset
        shift += 7
        if shift >= MAX_VARINT_BITS:
            raise ValueError("varint too long")


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:  # noqa: PLR2004
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
