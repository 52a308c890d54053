"""The first inputs of the fuzz targets, of which the fuzzer makes others.

    python -m tests.core.fuzz.seeds FOLDER

Each input becomes a file in the folder. ``fuzz.h`` lists the targets, ``fuzz.c`` the models.
"""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import textgen_runtime as textgen
from onnx import numpy_helper
from textgen_runtime.cli.info import constraint_table
from textgen_train._core import Corpus, Trainer

from tests.helpers.int8_models import make_int8_model, quantize_model
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import FORMAT_2, TINY, TINY_INT8

MODEL, METADATA, TABLE, STREAM, SAVED, TEXT, RUN, START = range(8)
PATHS = (TINY, TINY_INT8, *(FORMAT_2 / f"{name}.onnx" for name in ("byte", "word", "records")))
# The units, layers and embedding of each.
SIZES = ((4, 1, 3), (20, 2, 12), (2, 1, 2), (4, 1, 3), (4, 1, 3))
CORPUS = TINY_INT8.with_suffix(".txt").read_bytes()
TRAINING, HELD_OUT = slice(0, 301), slice(301, 349)
LEVELS, RECORDS = ("character", "byte", "word"), (None, "lines", "blank")
# Texts whose vocabulary is found: what selects the level and the records, and a separate held-out text.
FOUND = ((0, 0), (1, 0), (4, 0), (8, 4), (9, 4))

# No text of the last one fits in MAX_LENGTH of fuzz_table.c.
EXPRESSIONS = ("", "a+", "(ab|b)*c?", "[^a]{2,3}", "a{17,}")
# Each constraint, each filter, and a stop text that is held back at the end.
SAMPLINGS: tuple[dict[str, Any], ...] = (
    {},
    {"temperature": 2.0, "stop": "ab", "top_k": 3, "min_p": 0.1},
    {"repetition_penalty": 1.5, "presence_penalty": -0.5, "penalty_window": 3, "top_p": 0.9},
    {"mirostat_tau": 2.0, "temperature": 1.0},
)
CALLS = 100


def typed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store the weights in ``float_data``."""
    for each in model.graph.initializer:
        if each.data_type == onnx.TensorProto.FLOAT:
            values = numpy_helper.to_array(each).ravel()
            each.ClearField("raw_data")
            each.float_data.extend(values)
    return model


def without_layers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Leave out the only LSTM: the embedding is the input of the output layer."""
    graph = model.graph
    nodes = [node for node in graph.node if node.op_type not in ("LSTM", "Squeeze")]
    tensors = [each for each in graph.initializer if not each.name.endswith("_0")]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensors)
    (product,) = (node for node in nodes if node.op_type == "MatMul")
    product.input[0] = "embedded"
    for value in (*graph.input[1:], *graph.output[1:]):
        dimensions = value.type.tensor_type.shape.dim
        dimensions[0].dim_value = dimensions[2].dim_value = 0
    return model


def model_files() -> Iterator[bytes]:
    """Yield model files: those of the tests, and others of both kinds of weights."""
    yield from (path.read_bytes() for path in PATHS)
    yield make_model(layers=2, residual=True, units=3).SerializeToString()
    yield make_int8_model(layers=2, units=17, embedding=5).SerializeToString()
    yield quantize_model(make_model(units=2), ["embedding"]).SerializeToString()
    yield typed(make_model("ab", units=1, embedding=1)).SerializeToString()
    yield make_model(scale=1e30).SerializeToString()
    yield without_layers(make_model()).SerializeToString()


def metadata_of(content: bytes) -> bytes:
    """Return the keys and values of a model file, each before a zero byte."""
    entries = onnx.ModelProto.FromString(content).metadata_props
    return b"".join(text.encode() + b"\0" for entry in entries for text in (entry.key, entry.value))


def tables(model: textgen.Model) -> Iterator[bytes]:
    """Yield constraint tables, each after a byte for the length of the text."""
    for length, expression in enumerate(EXPRESSIONS, 4):
        table = constraint_table({"match": expression}, model.metadata)
        yield bytes([length]) + json.dumps(table, ensure_ascii=length % 2 == 0).encode()


def saved_texts(model: textgen.Model) -> Iterator[bytes]:
    """Yield saved generations, each after a byte for the tables with which it is resumed."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "saved"
        for kinds, sampling in enumerate(SAMPLINGS):
            generation = model.start("a", seed=1, **sampling)
            generation.take(3 + 4 * kinds)
            textgen.save(generation, path)
            yield bytes([kinds]) + path.read_bytes()


def texts(metadata: dict[str, str]) -> Iterator[bytes]:
    """Yield texts to learn, after bytes for the options, a name and a vocabulary."""
    special = metadata.get("textgen.special", "")
    level = LEVELS.index(json.loads(metadata["textgen.level"]))
    records = RECORDS.index(json.loads(metadata.get("textgen.records", "null")))
    names = f"name\0{metadata['textgen.vocabulary']}\0{special}\0".encode()
    for head, more in ((level + 4 * records, 19 if special else 17), *FOUND):
        yield bytes([head, more, 64, 96, 35]) + names + CORPUS[: None if head >= 4 else 349]


def saved_runs(metadata: dict[str, str], sizes: tuple[int, int, int]) -> Iterator[bytes]:
    """Yield the run of a trainer: the fields before its arrays, and all of it."""
    known = metadata["textgen.vocabulary"]
    level = json.loads(metadata["textgen.level"])
    corpus = Corpus(
        CORPUS[TRAINING],
        "text",
        level=level,
        records=json.loads(metadata.get("textgen.records", "null")),
        held_out_text=CORPUS[HELD_OUT],
        vocabulary=known if level == "byte" else f'{known[:-1]}, "x"]',
        special=metadata.get("textgen.special"),
    )
    options = dict(zip(("units", "layers", "embedding"), sizes, strict=True), batch=2, sequence_length=4)
    options["residual"] = sizes[1] - 1
    trainer = Trainer(corpus, options, 1, 1)
    trainer.update(0.5)
    yield bytes([0]) + trainer.save()[:300]
    yield bytes([1]) + trainer.save()


def inputs() -> Iterator[bytes]:
    """Yield the inputs. They are always the same."""
    rng = random.Random(1)
    for content in model_files():
        yield bytes([MODEL, 0]) + content
    for number, path in enumerate(PATHS):
        model = textgen.load(path)
        content = path.read_bytes()
        metadata = {each.key: each.value for each in onnx.load_from_string(content).metadata_props}
        yield bytes([METADATA, number]) + metadata_of(content)
        yield from (bytes([TABLE, number]) + table for table in tables(model))
        yield from (bytes([STREAM, number]) + rng.randbytes(CALLS) for _ in range(8))
        yield from (bytes([SAVED, number]) + saved for saved in saved_texts(model))
        yield from (bytes([TEXT, number]) + text for text in texts(metadata))
        yield from (bytes([RUN, number]) + saved for saved in saved_runs(metadata, SIZES[number]))
        yield from (bytes([START, number]) + other.read_bytes() for other in (path, TINY))


def main() -> None:
    """Write the inputs to the folder that the command line names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(inputs()):
        (folder / f"seed-{number:03}").write_bytes(content)


if __name__ == "__main__":
    main()
