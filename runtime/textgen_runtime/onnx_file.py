"""Reads ONNX files with protobuf alone, as far as the native engine needs them.

Only the fields below are described; protobuf skips all others. The onnx package would bring the whole
standard, and take longer to import than a short text takes to make.
"""

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from .errors import ModelFileError, shorten

PACKAGE = "textgen"

# Message: field, its number in the ONNX standard (onnx.proto), and its type; [] marks a repeated one. What
# the native engine itself does not need is for ``described_fields``.
MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Model": (
        ("ir_version", 1, "int64"),
        ("graph", 7, "Graph"),
        ("opset_import", 8, "[]OperatorSet"),
        ("metadata_props", 14, "[]Entry"),
    ),
    "OperatorSet": (("domain", 1, "string"), ("version", 2, "int64")),
    "Entry": (("key", 1, "string"), ("value", 2, "string")),
    "Graph": (
        ("node", 1, "[]Node"),
        ("name", 2, "string"),
        ("initializer", 5, "[]Tensor"),
        ("input", 11, "[]ValueInfo"),
        ("output", 12, "[]ValueInfo"),
        ("sparse_initializer", 15, "[]bytes"),
    ),
    "Node": (
        ("input", 1, "[]string"),
        ("output", 2, "[]string"),
        ("op_type", 4, "string"),
        ("attribute", 5, "[]Attribute"),
        ("domain", 7, "string"),
    ),
    "Attribute": (("name", 1, "string"), ("i", 3, "int64"), ("s", 4, "bytes"), ("type", 20, "int32")),
    "Tensor": (
        ("dims", 1, "[]int64"),
        ("data_type", 2, "int32"),
        ("float_data", 4, "[]float"),
        ("int64_data", 7, "[]int64"),
        ("name", 8, "string"),
        ("raw_data", 9, "bytes"),
        ("data_location", 14, "int32"),
    ),
    "ValueInfo": (("name", 1, "string"), ("type", 2, "Type")),
    "Type": (("tensor_type", 1, "TensorType"),),
    "TensorType": (("elem_type", 1, "int32"), ("shape", 2, "Shape")),
    "Shape": (("dim", 1, "[]Dimension"),),
    "Dimension": (("dim_value", 1, "int64"), ("dim_param", 2, "string")),
}


def parse(content: bytes) -> Any:
    """Parse a model file.

    Returns:
        A protobuf message with the fields of ``MESSAGES["Model"]``.

    Raises:
        ModelFileError: If it is not a protobuf message with such fields.
    """
    try:
        return _model_class().FromString(content)
    # The second is what protobuf written in Python raises for a name that is not UTF-8.
    except (DecodeError, UnicodeDecodeError) as error:
        raise ModelFileError(f"cannot read it as an ONNX model ({shorten(str(error))})") from None


def described_fields(model: Any) -> bytes:
    """A parsed model file's content without the fields that are not described above.

    A checked model is then no more than what was checked, for whoever reads it next.
    """
    model.DiscardUnknownFields()
    return bytes(model.SerializeToString())


@cache
def _model_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="textgen.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            described = message.field.add(name=field, number=number)
            described.label = described.LABEL_REPEATED if kind.startswith("[]") else described.LABEL_OPTIONAL
            single = kind.removeprefix("[]")
            if single in MESSAGES:
                described.type, described.type_name = described.TYPE_MESSAGE, f".{PACKAGE}.{single}"
            else:
                described.type = getattr(described, f"TYPE_{single.upper()}")
    # A pool of its own, so that a program may import onnx as well.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Model"))
