"""Stored model files of format 2 stay readable, and generate the same texts as when they were made."""

import onnx
import pytest
import textgen_runtime as textgen
from textgen_runtime.engines.opening import EngineName
from textgen_runtime.model_file.network import GRU, LSTM, Conv, Layer

from tests.helpers.paths import FORMAT_2

# The level, the records and the second layer of each file, and the text with seed 7 at temperature 1.
MODELS: dict[str, tuple[str, str | None, type[Layer], str]] = {
    "byte": (
        "byte",
        None,
        LSTM,
        "\ufffd\ufffd\ufffd+>\ufffd\0\ufffd\ufffdtA:/lw\ufffd\ufffd\u04ab\ufffd*\x1f\ufffd\x0e\x0b~i\ufffdyq.",
    ),
    "word": ("word", None, LSTM, "\n cabcabdd cab cabcabdddddddabcab\naba d  dd cab\nddb"),
    "records": ("character", "blank", LSTM, "d\nébbé éédcbaddd"),
    "gru": ("character", None, GRU, "bébaad\nbbaaaaaad𝄞db𝄞aaa \naaédaaa"),
    "conv": ("character", None, Conv, "h𝄞hhb𝄞\nж𝄞hhhhhhh𝄞éh𝄞 hh  hh€dhha"),
}


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
@pytest.mark.parametrize("name", MODELS)
def test_a_stored_model_generates_its_text(name: str, engine: EngineName) -> None:
    path = FORMAT_2 / f"{name}.onnx"
    props = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert props["textgen.format"] == "2"
    model = textgen.load(path, engine=engine)
    level, records, layer, text = MODELS[name]
    assert (model.tokenizer.level, model.metadata.records) == (level, records)
    assert isinstance(textgen.load(path).engine.network.layers[1], layer)
    assert model.generate(length=32, seed=7, temperature=1.0) == text
