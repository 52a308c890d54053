"""Bundled models are found by name, and stored models stay readable."""

import os
from pathlib import Path

import onnx
import pytest
import textgen_runtime as textgen
from textgen_runtime.cli.run import main
from textgen_runtime.engines.core import kernel_names
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.engines.opening import EngineName
from textgen_runtime.model_file.network import GRU, LSTM, Conv, Layer
from textgen_runtime.model_file.source import BUNDLED_FOLDER, find_model_file, unambiguous_path
from textgen_runtime.scoring.prediction import total_score

from tests.helpers.paths import FORMAT_2, TINY

Captured = pytest.CaptureFixture[str]


NAMES = ["nietzsche", "nietzsche-int8"]

# The 8-bit model generates it with every instruction set.
GOLDEN_TEXT = (
    "the france of this whole of the actions and reason that the problem of the superficial for the same "
    "time in the comprehensive and the unterrigious extent to the transfigured and sense of a general exp"
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_a_bundled_model_is_loaded_by_name_and_generates_words(engine: str, name: str) -> None:
    model = textgen.load(name, engine=engine)  # type: ignore[arg-type]
    text = model.generate("the will to ", length=200, temperature=0.2, seed=1)
    assert sum(word in text.split() for word in ("the", "of", "and", "to", "is")) >= 3


def test_the_bundled_model_is_small_and_has_provenance() -> None:
    assert textgen.bundled_models() == NAMES
    assert Path(find_model_file("nietzsche")).stat().st_size < 450_000
    training = textgen.load("nietzsche").training
    assert training["corpus"] == "nietzsche"
    assert training["sha256"] == "23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647"
    assert training["split"]["held_out"] == "the last 10% of the corpus"
    assert training["parameters"] <= 103_867
    # Better than the 7-gram on the same text.
    assert training["held_out_nats"] < 1.344


def test_the_8_bit_model_is_smaller_and_states_its_loss() -> None:
    sizes = [Path(find_model_file(name)).stat().st_size for name in NAMES]
    assert sizes[1] <= 0.28 * sizes[0]
    float32, model = map(textgen.load, NAMES)
    quantization = model.metadata.quantization
    assert quantization is not None
    assert model.metadata == float32.metadata._replace(quantization=quantization)
    assert quantization.text == {"name": "nietzsche", "last": 0.1, "characters": 60_089}
    assert quantization.float32_loss == pytest.approx(float32.training["held_out_nats"], abs=1e-6)
    assert quantization.loss == pytest.approx(quantization.float32_loss, abs=0.0005)


@pytest.mark.parametrize("kernels", kernel_names())
def test_the_8_bit_model_generates_the_golden_text_with_each_instruction_set(kernels: str) -> None:
    model = textgen.load("nietzsche-int8")
    content = Path(find_model_file("nietzsche-int8")).read_bytes()
    model = textgen.Model(NativeEngine(content, kernels=kernels), model.metadata, content)
    assert model.generate("the will to ", length=200, temperature=0.5, seed=7) == GOLDEN_TEXT


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_model_predicts_its_corpus(name: str) -> None:
    """The loss on excerpts of the corpus is near the loss in the metadata."""
    model = textgen.load(name)
    score = total_score([textgen.predict(model, prompt).score for prompt in model.prompts])
    assert score.nats < 1.8


@pytest.mark.parametrize("place", ["nietzsche", "nietzsche/model.onnx"])
def test_a_path_selects_a_file_or_folder_with_the_name_of_a_bundled_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).write_bytes(TINY.read_bytes())
    assert textgen.load("nietzsche").sha256 == textgen.load(Path(BUNDLED_FOLDER, "nietzsche.onnx")).sha256
    assert textgen.load("./nietzsche").sha256 == textgen.load(TINY).sha256
    assert textgen.load(unambiguous_path(Path("nietzsche"))).sha256 == textgen.load(TINY).sha256


def test_a_path_is_written_so_that_it_is_no_name_and_no_option() -> None:
    assert unambiguous_path(Path("-poems")) == f".{os.sep}-poems"
    assert (unambiguous_path(Path("poems")), unambiguous_path(Path("./poems/"))) == ("poems", "poems")


def test_an_unknown_name_is_a_path() -> None:
    assert find_model_file("model.onnx") == "model.onnx"
    with pytest.raises(
        textgen.ModelFileError, match=r"file zarathustra: .*; bundled models: nietzsche, nietzsche-int8$"
    ):
        textgen.load("zarathustra")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("nietsche", "nietzsche"),
        ("Nietzsche", "nietzsche"),
        ("models/nietzsche-in8", "nietzsche-int8"),
    ],
)
def test_a_mistyped_name_of_a_bundled_model_is_corrected(typed: str, meant: str) -> None:
    with pytest.raises(textgen.ModelFileError, match=rf"file {typed}: .*; did you mean {meant}\?$"):
        textgen.load(typed)


def test_list_prints_the_bundled_models(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--list"])
    captured = capsys.readouterr()
    assert (stopped.value.code, captured.err) == (0, "")
    first, second = captured.out.splitlines()
    assert first.startswith(
        "nietzsche  413 kB, 1 x 144 units; trained on nietzsche; 1.3074 nats per character"
    )
    assert second.startswith(
        "nietzsche-int8  115 kB, 1 x 144 units, 8-bit weights; trained on nietzsche; 1.3076 "
    )
    assert all(line.endswith(" nats per character on the last 10% of the corpus") for line in (first, second))


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
