"""The C core's reader describes and rejects the same model files as the Python runtime."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from textgen_runtime.model_file.source import find_model_file
from textgen_runtime.text.normalization import Normalization
from textgen_runtime.text.vocabulary import CharacterTokenizer

from tests.helpers.core_reader import (
    DAMAGED_MODEL,
    INVALID_UTF8,
    TOO_LARGE,
    UNKNOWN_GRAPH,
    field,
    read_text,
    refusal,
    run_all,
)
from tests.helpers.damaged_models import DAMAGED, OTHER_GRAPHS, Damage, node, set_values, tensor
from tests.helpers.make_tiny_model import make_model


def weighted(array: np.ndarray) -> float:
    """A sum that depends on the order."""
    values = array.astype(np.float64).ravel()
    return float((values * (np.arange(values.size) % 7 + 1)).sum())


def described(model: onnx.ModelProto) -> list[list[float]]:
    """Sums of the weights of each layer, by way of the onnx package."""
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    layers = [[each.input[0]] for each in model.graph.node if each.op_type == "Gather"]
    layers += [list(each.input[1:4]) for each in model.graph.node if each.op_type == "LSTM"]
    layers.append([node(model, "MatMul").input[1], node(model, "Add").input[1]])
    return [[weighted(stored[name]) for name in names] for names in layers]


@pytest.mark.parametrize("content", ["tiny", "bundled", "deep"])
def test_a_model_is_described(core_reader: Path, tiny_path: Path, content: str) -> None:
    data = {
        "tiny": tiny_path.read_bytes,
        "bundled": Path(find_model_file("nietzsche-float32")).read_bytes,
        "deep": make_model(layers=5, units=3).SerializeToString,
    }[content]()
    model = onnx.ModelProto.FromString(data)
    metadata = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    ((parameters, symbols, form, levels, *rest),) = run_all(core_reader, [data])
    count = sum(numpy_helper.to_array(each).size for each in model.graph.initializer if each.data_type == 1)
    assert parameters == f"parameters {count}"
    assert symbols.split(" ")[1:] == [each.encode().hex() for each in metadata["textgen.vocabulary"]]
    longest = max(len(each.encode()) for each in metadata["textgen.vocabulary"])
    assert form == f"unknown -1 bytes {longest} lowercase 1 unicode NFC"
    assert levels == "level character begin -1 end -1 records none"
    layers, state = rest[:-2], rest[-2:]
    names = [each.name for each in model.graph.node if each.op_type in ("Gather", "LSTM", "MatMul")]
    assert [line.split()[2] for line in layers] == [f"'{name}'" for name in names]
    found = [[float(each) for each in line.split()[5:]] for line in layers]
    for sums, expected in zip(found, described(model), strict=True):
        assert sums == pytest.approx(expected)
    units = node(model, "LSTM").attribute[-1].i or node(model, "LSTM").attribute[0].i
    assert state == [f"state {name} {len(layers) - 2} {units}" for name in ("hidden", "cell")]


@pytest.mark.parametrize(("damage", "message"), DAMAGED)
def test_damage_is_refused(
    core_reader: Path, damage: Damage, message: str, tiny_proto: onnx.ModelProto
) -> None:
    damage(tiny_proto)
    content = tiny_proto.SerializeToString()
    code, line = refusal(core_reader, content)
    assert code == DAMAGED_MODEL
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(line)


@pytest.mark.parametrize(("change", "message"), OTHER_GRAPHS)
def test_other_graphs_are_unknown(
    core_reader: Path, change: Damage, message: str, tiny_proto: onnx.ModelProto
) -> None:
    change(tiny_proto)
    code, line = refusal(core_reader, tiny_proto.SerializeToString())
    assert (code, message in line) == (UNKNOWN_GRAPH, True), line


# An input of many dimensions, each of which is empty.
DIMENSIONS = field(2, field(1, field(2, field(1, b"") * 600_000)))


def with_fields(number: int, content: bytes, count: int) -> bytes:
    """The tiny model with many equal fields at the end of its graph."""
    model = make_model()
    graph = model.graph.SerializeToString() + field(number, content) * count
    model.ClearField("graph")
    return model.SerializeToString() + field(7, graph)


TINY = make_model().SerializeToString()


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (
            b"damaged",
            DAMAGED_MODEL,
            r"the file is not an ONNX model \(at byte 0, a field has an unsupported wire type\)",
        ),
        (b"", DAMAGED_MODEL, "the file is empty"),
        (b"\x08\x07", DAMAGED_MODEL, "not a text generator: the ONNX file has no 'textgen.format' metadata"),
        (
            b"\x08" + b"\xff" * 10 + b"\x00",
            DAMAGED_MODEL,
            r"the file is cut short or damaged \(at byte 0, an integer is damaged\)",
        ),
        (b"\x08" + b"\xff" * 9 + b"\x02", DAMAGED_MODEL, "an integer is damaged"),
        (b"\x08\x80", DAMAGED_MODEL, "an integer is damaged"),
        (b"\x80", DAMAGED_MODEL, "a field number is damaged"),
        (b"\x00\x00", DAMAGED_MODEL, "a field number is out of range"),
        (b"\x0a\x01x", DAMAGED_MODEL, r"not an ONNX model \(at byte 0, a field has the wrong wire type\)"),
        (b"\x3a\x03ab", DAMAGED_MODEL, "longer than its message"),
        (TINY[:-1], DAMAGED_MODEL, r"the file is cut short or damaged \(at byte"),
        (b"\x3a" + b"\xff" * 9 + b"\x01", DAMAGED_MODEL, "longer than its message"),
        (b"\x08\x07\x13\x14", DAMAGED_MODEL, "at byte 2, a field has an unsupported wire type"),
        (TINY + field(7, b""), DAMAGED_MODEL, "a field that may occur only once is repeated"),
        (TINY + field(14, field(1, b"\xff")), DAMAGED_MODEL, "not valid UTF-8"),
        (TINY + field(14, field(1, b"1234567\xff")), DAMAGED_MODEL, "valid UTF-8"),
        (TINY + field(14, field(2, b"\xed\xa0\x80")), DAMAGED_MODEL, "not valid UTF-8"),
        (TINY + field(14, b"") * 4089, 0, ""),
        (field(14, b"") * 4090 + TINY, 0, ""),
        (TINY + field(14, b"") * 4091, TOO_LARGE, "more than 4,096 metadata"),
        (field(14, b"") * 4097, TOO_LARGE, "more than 4,096 metadata entries"),
        (TINY + field(8, b""), UNKNOWN_GRAPH, "imports 2 operator sets"),
        (TINY + field(14, b"") * 600_000, TOO_LARGE, "more than 4,096 metadata"),
        (TINY + field(16, b"") * 600_000, TOO_LARGE, "more than 524,288 fields"),
        (with_fields(1, b"", 5000), TOO_LARGE, "more than 4,096 nodes"),
        (with_fields(1, b"\x0a\x00" * 33000, 1), TOO_LARGE, "more than 32,768 inputs and outputs"),
        (with_fields(1, field(3, b"x" * 257), 1), TOO_LARGE, "more than 256 bytes in one of its names"),
        (with_fields(1, field(5, b"") * 20, 1), UNKNOWN_GRAPH, "unexpected nodes"),
        (with_fields(5, b"", 5000), TOO_LARGE, "more than 4,096 weights"),
        (with_fields(5, b"\x08\x01" * 600_000, 1), TOO_LARGE, "more than 524,288 fields"),
        (with_fields(11, DIMENSIONS, 1), TOO_LARGE, "more than 524,288 fields"),
        (with_fields(11, b"", 65), TOO_LARGE, "more than 64 inputs"),
        # The tiny model has three.
        (with_fields(12, b"", 62), TOO_LARGE, "more than 64 outputs"),
        (with_fields(12, b"", 61), UNKNOWN_GRAPH, "none"),
        (with_fields(15, b"", 1), UNKNOWN_GRAPH, "sparse"),
        (with_fields(5, field(8, b"cell"), 1), UNKNOWN_GRAPH, "none"),
        (make_model(layers=1024, units=1).SerializeToString(), 0, ""),
        (
            make_model(layers=1025, units=1).SerializeToString(),
            TOO_LARGE,
            "has 1,025 LSTM layers; at most 1,024",
        ),
    ],
)
def test_the_bounds_of_a_file(core_reader: Path, content: bytes, code: int, line: str) -> None:
    ((*_, last),) = run_all(core_reader, [content])
    if line in ("", "none"):
        assert last.startswith("state cell")
    else:
        found = refusal(core_reader, content)
        assert found[0] == code
        with pytest.raises(AssertionError, match=line):
            raise AssertionError(found[1])


def test_a_file_cut_short_anywhere_is_refused(core_reader: Path, tiny_path: Path) -> None:
    whole = tiny_path.read_bytes()
    for size, lines in enumerate(run_all(core_reader, [whole[:size] for size in range(len(whole))])):
        assert lines[-1].startswith(("-4 ", "-5 ")), size


def typed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same weights in float_data and int64_data."""
    for each in model.graph.initializer:
        values = numpy_helper.to_array(each)
        each.ClearField("raw_data")
        getattr(each, "int64_data" if values.dtype == np.int64 else "float_data").extend(values.ravel())
    return model


def test_typed_fields_are_read_too(core_reader: Path) -> None:
    raw = make_model(layers=2)
    first, second = run_all(core_reader, [raw.SerializeToString(), typed(raw).SerializeToString()])
    assert first == second


def with_part(model: onnx.ModelProto, part: bytes) -> bytes:
    """A model file with another part of the graph, in the encoding of protobuf."""
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    return model.SerializeToString() + field(7, graph + part)


@pytest.mark.parametrize("fixed", [False, True])
def test_the_last_part_of_a_dimension_counts(core_reader: Path, fixed: bool) -> None:
    """A dimension is a number or a name."""
    model = make_model()
    del model.graph.input[0]
    number, name = b"\x08\x04", field(2, b"batch")
    dimension = field(1, name + number if fixed else number + name)
    shape = field(1, b"\x08\x07" + field(2, dimension * 2))
    content = with_part(model, field(11, field(1, b"token") + field(2, shape)))
    ((*_, last),) = run_all(core_reader, [content])
    assert last.startswith(f"{UNKNOWN_GRAPH} the declared types or shapes" if fixed else "state cell")


def test_a_damaged_integer_is_refused(core_reader: Path) -> None:
    model = make_model()
    model.graph.initializer.remove(tensor(model, "direction_axis"))
    axis = b"\x08\x01\x10\x07" + field(8, b"direction_axis")
    refused = "the value of 'direction_axis' is damaged: export the model again"
    for stored, message in ((b"\x01", None), (b"\x01\x80", refused)):
        copied = onnx.ModelProto()
        copied.CopyFrom(model)
        ((*_, last),) = run_all(core_reader, [with_part(copied, field(5, axis + field(7, stored)))])
        assert last.startswith("state cell") if message is None else last == f"{DAMAGED_MODEL} {message}"


def test_values_in_several_pieces_are_refused(core_reader: Path) -> None:
    model = make_model()
    bias = tensor(model, "output_bias")
    values = bias.raw_data
    model.graph.initializer.remove(bias)
    start = b"\x08\x0c\x10\x01" + field(8, b"output_bias")
    pieces = field(4, values[:20]) + field(4, values[20:])
    single = b"".join(b"\x25" + values[i : i + 4] for i in range(0, len(values), 4))
    for stored in (pieces, single):
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        assert refusal(core_reader, with_part(changed, field(5, start + stored))) == (
            UNKNOWN_GRAPH,
            "the weights 'output_bias' are stored in several parts: export the model again",
        )


@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize(
    ("name", "place"), [("recurrent_0", place) for place in (0, 15, 16, 31, 32, 63)] + [("output_bias", 11)]
)
def test_a_number_that_is_not_finite_is_found(
    core_reader: Path, tiny_proto: onnx.ModelProto, name: str, place: int, value: float
) -> None:
    """The core looks at 16 numbers at once."""
    values = numpy_helper.to_array(tensor(tiny_proto, name)).copy()
    values.flat[place] = np.finfo(np.float32).max
    set_values(name, values)(tiny_proto)
    ((*_, last),) = run_all(core_reader, [tiny_proto.SerializeToString()])
    assert last.startswith("state cell")
    values.flat[place] = value
    set_values(name, values)(tiny_proto)
    assert f"'{name}' contain NaN or infinity" in refusal(core_reader, tiny_proto.SerializeToString())[1]


def test_a_name_is_quoted_on_one_line(core_reader: Path) -> None:
    model = make_model()
    for name, shown in (
        ("a\nb'\x1b[2J", '"a\\nb\'\\x1b[2J"'),
        ("x" * 200, f"'{'x' * 79}...'"),
        ("é\u202e\U000e0001'\"", "'é\\u202e\\U000e0001\\'\"'"),
    ):
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        node(changed, "Add").input[1] = name
        assert (
            refusal(core_reader, changed.SerializeToString())[1]
            == f"the weights {shown} are missing: export the model again"
        )


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("\ufeffa\r\nb\rc\n", "tokens 2:61 0:0a 3:62 0:0a 4:63 0:0a"),
        ("é€ж𝄞", "tokens 8:c3a9 9:e282ac 10:d0b6 11:f09d849e"),
        ("", "tokens"),
        ("\ufeff", "tokens"),
        ("ab\ufeff", "-6 has '\\ufeff' (U+FEFF), which is not in the vocabulary"),
        ("aA", "-6 has 'A' (U+0041), which is not in the vocabulary"),
    ],
)
def test_a_text_is_encoded(core_reader: Path, tiny_path: Path, tmp_path: Path, text: str, last: str) -> None:
    """As Python does: a byte-order mark at the start is dropped, line ends are folded."""
    done = read_text(core_reader, tiny_path, text.encode(), tmp_path)
    lines = done.stdout.decode().splitlines()
    assert (lines[-1] if done.returncode else lines[4]) == last
    if not done.returncode:
        normal = Normalization(lowercase=False, unicode=None).apply(text)
        symbols = CharacterTokenizer(json.loads(json.dumps([*"\n abcdehé€ж𝄞"])))
        assert [int(each.split(":")[0]) for each in last.split()[1:]] == symbols.encode(normal).tolist()


@pytest.mark.parametrize(
    "text", [b"a\xff", b"a\xc3", b"a\xed\xa0\x80", b"a\xc0\x80", b"a\xf4\x90\x80\x80", b"a\x80"]
)
def test_a_text_that_is_not_utf8(core_reader: Path, tiny_path: Path, tmp_path: Path, text: bytes) -> None:
    done = read_text(core_reader, tiny_path, text, tmp_path)
    assert done.stdout.decode().splitlines()[-1] == f"{INVALID_UTF8} is not valid UTF-8"
