"""8-bit model files: their losses are compared with those of the float32 model, and stored."""

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
import textgen_train
from onnx import numpy_helper
from textgen_runtime.errors import ModelFileError, OutputError
from textgen_runtime.model import open_model
from textgen_runtime.model_file import Quantization, read_model
from textgen_train.errors import ExportError
from textgen_train.export import quantizer
from textgen_train.export.quantizer import (
    GENERATED_CHARACTERS,
    generate_text,
    quantize_model,
)

from tests.helpers.changed_models import with_metadata
from tests.helpers.damaged_models import set_values, tensor
from tests.helpers.make_tiny_model import SYMBOLS, make_model
from tests.helpers.record_models import record_content

TEXT = "abc dad had a bed\n" * 20


def content(scale: float = 0.3) -> bytes:
    return make_model(units=16, scale=scale).SerializeToString()


def test_the_file_states_the_losses_of_both_models(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    quantized = textgen_train.quantize_onnx(content(), path, TEXT, name="beds", last=0.5)
    assert path.read_bytes() == quantized.content
    onnx.checker.check_model(onnx.load(path), full_check=True)
    model, float32 = textgen.load(path), open_model(content())
    assert float32.metadata.quantization is None
    assert model.metadata == float32.metadata._replace(quantization=quantized.quantization)
    loss, float32_loss = (textgen.predict(each, TEXT, last=0.5).score.nats for each in (model, float32))
    assert quantized.quantization == Quantization(
        8, loss, float32_loss, {"name": "beds", "last": 0.5, "characters": len(TEXT) // 2}
    )
    assert quantized.increase == loss - float32_loss
    assert 0 < abs(quantized.increase) < 1e-3
    properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert properties["textgen.format"] == "2"


@pytest.mark.parametrize("level", ["character", "byte", "word"])
def test_text_of_records_is_generated_record_by_record(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textgen_train.export.quantizer.GENERATED_CHARACTERS", 2_000)
    model = open_model(record_content(level, end_bias=3.0))
    text = generate_text(model)
    assert len(text) >= 2_000
    assert textgen.predict(model, text, unknown="skip").ends > 64


def test_generating_ends_if_all_records_are_empty() -> None:
    assert generate_text(open_model(record_content(end_bias=50.0))).strip("\n") == ""


def test_text_is_generated_without_prompts_too() -> None:
    model = open_model(content())
    text = generate_text(with_metadata(model, model.metadata._replace(prompts=())))
    assert len(text) >= GENERATED_CHARACTERS
    assert len(set(text)) == len(SYMBOLS)


def test_a_much_larger_loss_is_an_error_and_no_file_is_written(tmp_path: Path) -> None:
    """The large weights add the same number to all logits, which has no effect, but determine the scales."""
    model = make_model(units=16)
    weights = numpy_helper.to_array(tensor(model, "output_weights")).copy()
    weights[0] = 1000.0
    set_values("output_weights", weights)(model)
    with pytest.raises(
        ExportError, match=r"not written: its loss is [\d.]+ nats per character above .* 0.01"
    ):
        textgen_train.quantize_onnx(model.SerializeToString(), tmp_path / "small.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("increase", [math.nan, math.inf, 0.0101])
def test_a_large_or_undefined_increase_is_refused(increase: float) -> None:
    with pytest.raises(ExportError, match="not written"):
        quantize_model(content()).compared(increase, 0.0, 1)


def test_an_increase_above_the_usual_one_gives_a_warning() -> None:
    models = quantize_model(content())
    for increase in (-1.0, 0.0, 0.0005, 0.00054):
        assert models.compared(increase, 0.0, 1).warning == ""
    assert "by 0.0006 nats" in models.compared(0.00056, 0.0, 1).warning
    assert "increase the loss by 0.0051 nats per character" in models.compared(0.0051, 0.0, 1).warning


def gru() -> bytes:
    return make_model(cell="gru").SerializeToString()


def not_finite() -> bytes:
    model = make_model()
    set_values("recurrent_0", np.full((1, 16, 4), np.nan))(model)
    return model.SerializeToString()


def another_graph() -> bytes:
    model = make_model()
    model.graph.node.append(onnx.helper.make_node("Identity", ["logits"], ["again"]))
    return model.SerializeToString()


def no_text_generator() -> bytes:
    model = make_model()
    del model.metadata_props[:]
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (gru, ExportError, "8 bits are for the LSTMs that textgen-train writes"),
        (not_finite, ModelFileError, "damaged.*recurrent_0"),
        (another_graph, ExportError, "not that of an LSTM network"),
        (no_text_generator, ModelFileError, "not a text generator"),
        (lambda: b"not a model", ModelFileError, "this is a text"),
    ],
)
def test_other_models_are_refused(make: object, error: type[Exception], message: str, tmp_path: Path) -> None:
    assert callable(make)
    with pytest.raises(error, match=f"^the given bytes: .*{message}") as caught:
        textgen_train.quantize_onnx(make(), tmp_path / "small.onnx", TEXT)
    # Only onnxruntime runs some of these models, but they cannot be quantized.
    assert "--engine" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_bundled_float32_model_is_the_one_that_was_converted() -> None:
    converted = onnx.ModelProto.FromString(quantize_model(read_model("nietzsche-float32")).content)
    bundled = onnx.ModelProto.FromString(read_model("nietzsche"))
    assert bundled.graph == converted.graph


def test_both_engines_compute_almost_the_same(tmp_path: Path) -> None:
    """Only the native engine rounds the outputs of the layers to 8 bits."""
    textgen_train.quantize_onnx(content(), tmp_path / "small.onnx", TEXT)
    native, onnxruntime = (
        textgen.predict(textgen.load(tmp_path / "small.onnx", engine=engine), TEXT)
        for engine in ("native", "onnxruntime")
    )
    np.testing.assert_allclose(native.surprisals, onnxruntime.surprisals, atol=0.02)
    assert native.score.nats == pytest.approx(onnxruntime.score.nats, abs=0.003)


def test_an_8_bit_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    textgen_train.quantize_onnx(content(), path, TEXT)
    with pytest.raises(ExportError, match=r"^.*small.onnx: the weights have 8 bits already"):
        textgen_train.quantize_onnx(path, tmp_path / "smaller.onnx", TEXT)


def test_the_float32_model_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content())
    for source in (path, str(tmp_path)):
        with pytest.raises(OutputError, match="is an input; refusing to overwrite it"):
            textgen_train.quantize_onnx(source, path, TEXT)
    assert path.read_bytes() == content()


def test_the_limits_are_those_of_the_documentation() -> None:
    assert (quantizer.MAX_INCREASE, quantizer.REFUSED_INCREASE) == (0.0005, 0.01)
