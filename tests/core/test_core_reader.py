"""The C core reads model files as the onnx package reads them, and refuses all others."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from textgen_runtime.model_file import find_model_file

from tests.helpers.core_reader import (
    DAMAGED_MODEL,
    NEWER_FORMAT,
    TOO_LARGE,
    UNKNOWN_GRAPH,
    field,
    refusal,
    run_all,
)
from tests.helpers.damaged_models import DAMAGED, Damage, changes, set_values, tensor
from tests.helpers.int8_models import make_int8_model
from tests.helpers.make_tiny_model import make_model
from tests.helpers.metadata_rules import expected
from tests.helpers.paths import FORMAT_2, TINY, TINY_INT8


def weighted(array: np.ndarray) -> float:
    """A sum that depends on the order."""
    values = array.astype(np.float64).ravel()
    return float((values * (np.arange(values.size) % 7 + 1)).sum())


def described(model: onnx.ModelProto) -> list[str | list[float]]:
    """What the program prints of a model, by way of the onnx package; the sums of the weights as numbers."""
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    is_int8 = "embedding_int8" in stored

    def layer(
        kind: str, inputs: int, outputs: int, names: list[str], residual: int = 0
    ) -> Iterator[str | list[float]]:
        sums = [weighted(stored[name + "_int8" * (is_int8 and "bias" not in name)]) for name in names]
        yield f"layer {kind} {inputs} {outputs} {residual}"
        yield sums

    types = [each.op_type for each in model.graph.node]
    layers, residual = types.count("LSTM"), types.count("Add") > 1
    vocabulary, embedding = stored["embedding" + "_int8" * is_int8].shape
    units = len(stored["output_weights" + "_int8" * is_int8])
    parameters = sum(
        array.size
        for name, array in stored.items()
        if array.dtype != np.int64 and not name.endswith("_scale")
    )
    props = {each.key: each.value for each in model.metadata_props}
    lines: list[str | list[float]] = [
        f"parameters {parameters}",
        *(expected(props, vocabulary) or ["no metadata"]),
    ]
    lines += layer("embedding", vocabulary, embedding, ["embedding"])
    for i in range(layers):
        names = [f"{name}_{i}" for name in ("input", "recurrent", "bias")]
        lines += layer("lstm", units if i else embedding, units, names, int(residual and i > 0))
    lines += layer("linear", units, vocabulary, ["output_weights", "output_bias"])
    return [*lines, f"layers {layers} bits {8 if is_int8 else 32}"]


def equals_description(lines: list[str], model: onnx.ModelProto) -> bool:
    found: list[object] = []
    for line in lines:
        if line.startswith("layer "):
            words = line.split()
            found += [" ".join(words[:5]), pytest.approx([float(word) for word in words[5:]], nan_ok=True)]
        else:
            found.append(line)
    return found == described(model)


MODELS = {
    "tiny": TINY.read_bytes(),
    "deep": make_model(layers=5, units=3, residual=True).SerializeToString(),
    "residual": make_model(layers=2, units=2, residual=True).SerializeToString(),
    "8 bits": TINY_INT8.read_bytes(),
    "1 layer of 8 bits": make_int8_model(units=3).SerializeToString(),
    "words": (FORMAT_2 / "word.onnx").read_bytes(),
    "records": (FORMAT_2 / "records.onnx").read_bytes(),
    "bytes": (FORMAT_2 / "byte.onnx").read_bytes(),
    "bundled": Path(find_model_file("nietzsche-float32")).read_bytes(),
    "bundled, 8 bits": Path(find_model_file("nietzsche")).read_bytes(),
}


@pytest.mark.parametrize("content", MODELS.values(), ids=MODELS)
def test_a_model_is_described(core_reader: Path, content: bytes) -> None:
    (lines,) = run_all(core_reader, [content])
    assert equals_description(lines, onnx.ModelProto.FromString(content))


@pytest.mark.parametrize(("damage", "code", "part"), DAMAGED)
def test_a_change_is_refused(core_reader: Path, damage: Damage, code: int, part: str) -> None:
    model = make_model(layers=3, residual=True)
    damage(model)
    found, line = refusal(core_reader, model.SerializeToString())
    assert (found, part in line) == (code, True), line


@pytest.mark.parametrize(
    "model",
    [make_model(layers=3, residual=True), make_int8_model(layers=2, residual=True)],
    ids=["float32", "8 bits"],
)
def test_any_change_of_the_graph_is_refused(core_reader: Path, model: onnx.ModelProto) -> None:
    contents = [model.SerializeToString() for _ in changes(model)]
    assert len(contents) > 300
    assert {lines[-1].split()[0] for lines in run_all(core_reader, contents)} == {str(UNKNOWN_GRAPH)}


# An input of many dimensions, each of which is empty.
DIMENSIONS = field(2, field(1, field(2, field(1, b"") * 600_000)))


def with_parts(part: bytes, model: onnx.ModelProto | None = None) -> bytes:
    """A model, by default the tiny one, with another part at the end of its graph."""
    model = model or make_model()
    graph = model.graph.SerializeToString() + part
    model.ClearField("graph")
    return model.SerializeToString() + field(7, graph)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", DAMAGED_MODEL),
        (b"damaged", DAMAGED_MODEL),
        (b"\x08\x07", DAMAGED_MODEL),
        (b"\x08" + b"\xff" * 10 + b"\x00", DAMAGED_MODEL),
        (b"\x08" + b"\xff" * 9 + b"\x02" + TINY.read_bytes(), DAMAGED_MODEL),
        (b"\x08" + b"\xff" * 9 + b"\x01" + TINY.read_bytes(), 0),
        (TINY.read_bytes() + b"\x80", DAMAGED_MODEL),
        (TINY.read_bytes() + b"\x00\x00", DAMAGED_MODEL),
        (TINY.read_bytes() + b"\x13\x14", DAMAGED_MODEL),
        (TINY.read_bytes() + b"\x13abcd", DAMAGED_MODEL),
        (TINY.read_bytes() + b"\x70\x01", DAMAGED_MODEL),
        (TINY.read_bytes() + b"\x82\x01\x01", DAMAGED_MODEL),
        (TINY.read_bytes() + b"\x82\x01" + b"\xff" * 9 + b"\x01", DAMAGED_MODEL),
        (TINY.read_bytes() + field(16, b"x") + b"\x8d\x01abcd\x91\x01abcdefgh", 0),
        (TINY.read_bytes() + field(7, b""), DAMAGED_MODEL),
        (TINY.read_bytes() + field(14, field(1, b"1234567\xff")), DAMAGED_MODEL),
        (TINY.read_bytes() + field(14, field(2, b"\xed\xa0\x80")), DAMAGED_MODEL),
        # The tiny model has six entries.
        (TINY.read_bytes() + field(14, b"") * 4090, 0),
        (TINY.read_bytes() + field(14, b"") * 4091, TOO_LARGE),
        (TINY.read_bytes() + field(16, b"") * 600_000, 0),
        (with_parts(field(1, b"") * 5000), UNKNOWN_GRAPH),
        (with_parts(field(1, b"\x0a\x00" * 33000)), UNKNOWN_GRAPH),
        (with_parts(field(5, b"") * 5200), TOO_LARGE),
        (with_parts(field(5, b"\x08\x01" * 600_000)), UNKNOWN_GRAPH),
        (with_parts(field(11, DIMENSIONS)), UNKNOWN_GRAPH),
        (with_parts(field(11, b"") * 65), UNKNOWN_GRAPH),
        (make_model(layers=1024, units=1).SerializeToString(), 0),
        (make_model(layers=1025, units=1).SerializeToString(), TOO_LARGE),
    ],
)
def test_the_bounds_of_a_file(core_reader: Path, content: bytes, code: int) -> None:
    ((*_, last),) = run_all(core_reader, [content])
    assert last.startswith(f"{code} " if code else "layers ")


def test_a_file_cut_short_anywhere_is_refused(core_reader: Path) -> None:
    for content in (MODELS["tiny"], MODELS["8 bits"]):
        cut = [content[:size] for size in range(0, len(content), 1 + len(content) // 3000)]
        for lines in run_all(core_reader, cut):
            assert lines[-1].startswith((f"{DAMAGED_MODEL} ", f"{UNKNOWN_GRAPH} "))


REFUSALS = tuple(f"{code} " for code in (DAMAGED_MODEL, UNKNOWN_GRAPH, TOO_LARGE, NEWER_FORMAT))


@pytest.mark.parametrize("name", ["tiny", "residual", "1 layer of 8 bits", "words", "records"])
def test_a_file_with_any_changed_byte_is_refused_or_read_as_onnx_reads_it(
    core_reader: Path, name: str
) -> None:
    """The program runs under sanitizers in another build."""
    content, rng = MODELS[name], random.Random(1)
    changed = []
    for place in range(len(content)):
        values = {content[place] ^ 1 << rng.randrange(8), rng.choice((0, 127, 128, 255))}
        changed += [content[:place] + bytes([value]) + content[place + 1 :] for value in values]
    read = refused = 0
    for lines, data in zip(run_all(core_reader, changed), changed, strict=True):
        if lines[-1].startswith(REFUSALS):
            refused += 1
            continue
        try:
            model = onnx.ModelProto.FromString(data)
        except DecodeError:
            # protobuf also reads the parts that the core skips.
            continue
        read += 1
        assert equals_description(lines, model)
    assert read > 300
    assert refused > 300


def test_a_number_that_is_not_finite_is_found(core_reader: Path) -> None:
    model = make_model()
    for name in ("recurrent_0", "output_bias"):
        values = numpy_helper.to_array(tensor(model, name)).copy()
        for place in (0, values.size - 1):
            last = values.flat[place]
            for value, starts in (
                (np.finfo(np.float32).max, "layers"),
                (np.nan, f"{DAMAGED_MODEL} damaged at byte"),
                (-np.inf, f"{DAMAGED_MODEL} damaged at byte"),
            ):
                values.flat[place] = value
                set_values(name, values)(model)
                ((*_, line),) = run_all(core_reader, [model.SerializeToString()])
                assert line.startswith(starts)
            values.flat[place] = last
            set_values(name, values)(model)


def test_the_place_of_a_damage_is_named(core_reader: Path) -> None:
    model = make_model()
    tensor(model, "recurrent_0").raw_data = b""
    content = model.SerializeToString()
    stored = field(5, tensor(model, "recurrent_0").SerializeToString())
    assert refusal(core_reader, content)[1].startswith(f"damaged at byte {content.index(stored)}:")
    content = make_model().SerializeToString().replace(b'"NFC"', b'"NFX"')
    place = content.index(b'{"lowercase"')
    assert refusal(core_reader, content)[1].startswith(f"damaged at byte {place}:")
    content = make_model().SerializeToString()
    for damage in (b"\x80", b"\x82\x01\x03ab"):
        assert refusal(core_reader, content + damage)[1].startswith(f"damaged at byte {len(content)}:")
