"""The unknown symbol replaces rare characters in encoding and scoring, and is never drawn."""

import random
from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
import torch
from textgen_runtime.cli import run
from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.engines.opening import EngineName
from textgen_runtime.errors import CorpusError, PromptError
from textgen_runtime.generation.loading import open_model
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.text.normalization import Normalization
from textgen_runtime.text.tokenizer import SpecialTokens
from textgen_runtime.text.vocabulary import CharacterTokenizer
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.export.exporter import build_checked
from textgen_train.models.cells import CharLSTM

from tests.helpers.commands import Captured, run_here

ENGINES: tuple[EngineName, ...] = ("native", "onnxruntime")
TOKENIZER = CharacterTokenizer(["", "a", "b", "c"], SpecialTokens(unknown=0))


@pytest.fixture(scope="module")
def content() -> bytes:
    """A model file in which the unknown symbol has the largest logit."""
    torch.manual_seed(0)
    network = CharLSTM(4, units=8, embedding=4)
    with torch.no_grad():
        network.output.bias[0] = 5.0
    return build_checked(network, Metadata(TOKENIZER, prompts=("abc",))).content


def metadata_of(content: bytes) -> dict[str, str]:
    model = onnx.ModelProto.FromString(content)
    return {entry.key: entry.value for entry in model.metadata_props}


def test_characters_outside_the_vocabulary_are_encoded_as_the_unknown_symbol() -> None:
    assert TOKENIZER.encode("axbyc").tolist() == [1, 0, 2, 0, 3]
    assert TOKENIZER.encode("axbyc", "skip").tolist() == [1, 2, 3]
    assert TOKENIZER.decode([1, 0, 2]) == "ab"
    assert TOKENIZER.decode_each([1, 0, 2]) == "a\ufffdb"
    assert CharacterTokenizer("abc") != TOKENIZER != CharacterTokenizer(["", "a", "b", "c"])
    with pytest.raises(PromptError):
        CharacterTokenizer("abc").encode("axb")


@pytest.mark.parametrize("engine", ENGINES)
def test_logits_of_a_generation_exclude_the_unknown_symbol(content: bytes, engine: EngineName) -> None:
    """The logit is minus infinity after the prompt, after generated text and after fed text."""
    generation = open_model(content, engine).start("axb", temperature=1.0, seed=0)
    for advance in (lambda: None, lambda: generation.take(3), lambda: generation.feed("cxa")):
        advance()
        assert generation.logits[0] == -np.inf
        assert np.isfinite(generation.logits[1:]).all()


def test_run_warns_about_unknown_characters_of_the_prompt(
    content: bytes, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    code, out, err = run_here(run.main, capsys, str(path), "--prompt", "axbyxc", "--length", "5")
    assert (code, out[:3], len(out)) == (0, "abc", 9)
    assert err == (
        "textgen-run: warning: 3 prompt characters are outside the vocabulary and were fed as the unknown "
        "symbol: 'x' (U+0078), 'y' (U+0079)\n"
    )
    assert run_here(run.main, capsys, str(path), "--prompt", "abc")[2] == ""


def test_unknown_symbol_is_scored_and_counted(content: bytes) -> None:
    model = open_model(content)
    prediction = textgen.predict(model, "axbyc")
    assert prediction.text == "xbyc"
    assert (prediction.unknown, prediction.skipped) == (2, 0)
    assert prediction.surprisals[0] < 0.5 < prediction.surprisals[1]
    skipped = textgen.predict(model, "axbyc", unknown="skip")
    assert (skipped.text, skipped.unknown, skipped.skipped) == ("bc", 0, 2)
    assert textgen.predict(model, "abc").unknown == 0
    # The first character is not scored, and not counted.
    assert textgen.predict(model, "xbc").unknown == 0


def test_unknown_symbol_differs_from_a_replacement_character_in_the_vocabulary() -> None:
    """The text of both choices is U+FFFD, but only equal tokens count as correct."""
    torch.manual_seed(0)
    network = CharLSTM(3, units=8, embedding=4)
    with torch.no_grad():
        network.output.bias[0] = 50.0
    metadata = Metadata(CharacterTokenizer(["", "a", "\ufffd"], SpecialTokens(unknown=0)))
    prediction = textgen.predict(open_model(build_checked(network, metadata).content), "a\ufffdxa")
    assert (prediction.text, prediction.choices) == ("\ufffdxa", "\ufffd" * 3)
    assert prediction.score.hits == prediction.hits == 1


def test_only_files_with_an_unknown_symbol_have_format_2(content: bytes) -> None:
    metadata = metadata_of(content)
    assert metadata["textgen.format"] == "2"
    assert metadata["textgen.special"] == '{"unknown": 0}'
    plain = Metadata(CharacterTokenizer("abc")).to_props()
    assert plain["textgen.format"] == "1"
    assert "textgen.special" not in plain
    assert open_model(content).metadata.tokenizer == TOKENIZER


def test_rare_symbols_of_the_training_text_become_the_unknown_symbol() -> None:
    text = "ab" * 90 + "xyz" + "ab" * 20 + "q" + "ab" * 3
    corpus = Corpus.from_text("rare", text)
    dataset = make_dataset(corpus, Normalization(), 0.05, min_count=2)
    assert dataset.tokenizer == CharacterTokenizer(["", "a", "b"], SpecialTokens(unknown=0))
    # x, y and z occur in the training text, q in the held-out text.
    assert dataset.rare_count == 4
    shares = (3 / len(dataset.training), 1 / len(dataset.held_out))
    assert dataset.unknown_shares == pytest.approx(shares)
    unlimited = make_dataset(corpus, Normalization(), 0.05)
    assert (len(unlimited.tokenizer), unlimited.tokenizer.unknown, unlimited.rare_count) == (6, None, 0)


def test_the_shares_of_the_unknown_symbol_are_those_of_characters() -> None:
    text = "the cat sat " * 90 + "xyz" + "the cat sat " * 20
    dataset = make_dataset(Corpus.from_text("rare", text), Normalization(), 0.05, min_count=2, level="word")
    assert len(dataset.training) < dataset.training_characters / 2
    assert dataset.unknown_shares == pytest.approx((3 / dataset.training_characters, 0.0))


def test_text_without_rare_symbols_has_no_unknown_symbol() -> None:
    dataset = make_dataset(Corpus.from_text("song", "do re mi " * 40), Normalization(), 0.1, min_count=5)
    assert dataset.tokenizer.unknown is None


def test_text_with_only_rare_symbols_is_rejected() -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    with pytest.raises(CorpusError, match="no symbol occurs at least 2 times in the training text"):
        make_dataset(Corpus.from_text("rare", text), Normalization(), 0.1, min_count=2)


@pytest.mark.parametrize("known", ["a", "ab" * 40])
def test_excerpt_is_a_contiguous_non_empty_part_of_the_text(known: str) -> None:
    """Most symbols of the text occur only once."""
    rare = "".join(map(chr, range(0x4E00, 0x4E00 + 900)))
    text = rare[:400] + known + rare[400:] + "a" + "ab" * 30
    dataset = make_dataset(Corpus.from_text("rare", text), Normalization(), 0.05, min_count=2)
    assert dataset.tokenizer.unknown == 0
    for seed in range(5):
        excerpt = dataset.draw_excerpt(random.Random(seed))
        assert excerpt
        assert excerpt in text
