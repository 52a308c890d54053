"""Bundled models are found by name, and stored models stay readable."""

import os
from pathlib import Path

import onnx
import pytest
import textgen_runtime as textgen
from textgen_runtime.model import EngineName
from textgen_runtime.model_file import BUNDLED_FOLDER, find_model_file, unambiguous_path
from textgen_runtime.score import total_score

from tests.helpers.paths import FORMAT_2, TINY

NAMES = ["names", "nietzsche", "nietzsche-float32", "onegin", "shakespeare", "tunes"]
INT8 = [name for name in NAMES if name != "nietzsche-float32"]

# Frequent words of each corpus.
WORDS = {
    "nietzsche": "the of and to is in that",
    "nietzsche-float32": "the of and to is in that",
    "onegin": "и в не на он как но",
    "shakespeare": "the and to of I my you",
}

# With the models of Nietzsche, an installation has this much more than without the others, in bytes.
MAX_ADDED = 600_000


def size_of(name: str) -> int:
    return Path(find_model_file(name)).stat().st_size


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_a_bundled_model_is_loaded_by_name_and_generates_words(engine: EngineName, name: str) -> None:
    text = textgen.load(name, engine=engine).generate(length=300, temperature=0.2, seed=1)
    assert len(set(text.split()) & set(WORDS[name].split())) >= 2


def test_the_bundled_models_are_small() -> None:
    assert textgen.bundled_models() == NAMES
    assert size_of("nietzsche") <= 0.29 * size_of("nietzsche-float32")
    assert all(size_of(name) < 150_000 for name in INT8)
    assert sum(size_of(name) for name in INT8 if name != "nietzsche") < MAX_ADDED


def test_the_bundled_model_predicts_its_held_out_text_better_than_a_7_gram() -> None:
    assert textgen.load("nietzsche").training["held_out_nats"] < 1.344


@pytest.mark.parametrize("name", INT8)
def test_8_bit_weights_hardly_change_the_loss_of_a_bundled_model(name: str) -> None:
    model = textgen.load(name)
    quantization = model.metadata.quantization
    assert quantization is not None
    assert quantization.text is not None
    assert quantization.text["last"] == 0.1
    # The trainer has evaluated with products in bfloat16.
    assert quantization.float32_loss == pytest.approx(model.training["held_out_nats"], abs=0.0005)
    assert quantization.loss == pytest.approx(quantization.float32_loss, abs=0.002)


def test_both_models_of_nietzsche_have_the_same_metadata() -> None:
    model, twin = (textgen.load(name).metadata for name in ("nietzsche", "nietzsche-float32"))
    assert model == twin._replace(quantization=model.quantization)


@pytest.mark.parametrize("name", WORDS)
def test_a_bundled_model_predicts_its_corpus(name: str) -> None:
    """The loss on excerpts of the corpus is near that in the file. Their first characters have no context."""
    model = textgen.load(name)
    score = total_score([textgen.predict(model, prompt).score for prompt in model.prompts])
    assert score.nats < model.training["held_out_nats"] + 0.5


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
        textgen.ModelFileError,
        match=r"file zarathustra: .*; bundled models: names, nietzsche, .*, tunes$",
    ):
        textgen.load("zarathustra")


# The level and the records of each file, and the text with seed 7 at temperature 1.
MODELS: dict[str, tuple[str, str | None, str]] = {
    "tiny": ("character", None, "hhhedh\nhhhhhhhhh𝄞hh𝄞cch  hhhhhhh"),
    "byte": (
        "byte",
        None,
        "\ufffd\ufffd\ufffd+>\ufffd\0\ufffd\ufffdtA:/lw\ufffd\ufffd\u04ab\ufffd*\x1f\ufffd\x0e\x0b~i\ufffdyq.",
    ),
    "word": ("word", None, "\n cabcabdd cab cabcabdddddddabcab\naba d  dd cab\nddb"),
    "records": ("character", "blank", "d\nébbé éédcbaddd"),
    "gru": ("character", None, "bébaad\nbbaaaaaad𝄞db𝄞aaa \naaédaaa"),
    "conv": ("character", None, "h𝄞hhb𝄞\nж𝄞hhhhhhh𝄞éh𝄞 hh  hh€dhha"),
}


# Of the cells that only onnxruntime runs.
OTHER_CELLS = ("gru", "conv")


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
@pytest.mark.parametrize("name", MODELS)
def test_a_stored_model_generates_its_text(name: str, engine: EngineName) -> None:
    path = TINY if name == "tiny" else FORMAT_2 / f"{name}.onnx"
    props = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert props["textgen.format"] == ("1" if name == "tiny" else "2")
    if engine == "native" and name in OTHER_CELLS:
        with pytest.raises(textgen.ModelFileError, match="onnxruntime") as caught:
            textgen.load(path)
        assert "\n" not in str(caught.value)
        return
    model = textgen.load(path, engine=engine)
    level, records, text = MODELS[name]
    assert (model.tokenizer.level, model.metadata.records) == (level, records)
    assert model.generate(length=32, seed=7, temperature=1.0) == text
