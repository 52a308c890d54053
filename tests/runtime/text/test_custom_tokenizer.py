"""A tokenizer whose tokens are pairs of characters."""

import re
from array import array
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Batch, Metadata, Model, PromptError
from textgen_runtime.cli.eval import main as eval_main
from textgen_runtime.cli.info import main as info_main
from textgen_runtime.cli.run import main as run_main
from textgen_runtime.engines.base import Measurements
from textgen_runtime.generation.loading import open_model
from textgen_runtime.text.tokenizer import UnknownPolicy
from textgen_runtime.text.tokenizers import TOKENIZERS
from textgen_runtime.text.vocabulary import Vocabulary
from textgen_train.export.onnx_graph import build_model

from tests.helpers.commands import Captured, run_here
from tests.helpers.make_tiny_model import random_network

PAIRS = [first + second for first in "abc\n" for second in "abc\n"]


class PairTokenizer(Vocabulary):
    """A tokenizer with two characters per token."""

    level = "pair"

    @classmethod
    def is_symbol(cls, text: str) -> bool:
        return len(text) == 2

    def pairs(self, text: str) -> list[str]:
        return [text[i : i + 2] for i in range(0, len(text), 2)]

    def can_encode(self, text: str) -> bool:
        return all(pair in self.symbols for pair in self.pairs(text))

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> "array[int]":
        if unknown == "error" and not self.can_encode(text):
            raise PromptError("not in the model's vocabulary")
        return array("q", [self.symbols.index(pair) for pair in self.pairs(text) if pair in self.symbols])

    def count_unknown(self, text: str) -> Counter[str]:
        return Counter(pair for pair in self.pairs(text) if pair not in self.symbols)


@pytest.fixture(autouse=True)
def _level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOKENIZERS, PairTokenizer.level, lambda: PairTokenizer)


@pytest.fixture(scope="module")
def content() -> bytes:
    metadata = Metadata(PairTokenizer(PAIRS), prompts=("abcc",))
    return build_model(*random_network(len(PAIRS)), metadata).SerializeToString()


@pytest.fixture
def model(content: bytes) -> Model:
    return open_model(content)


def token_by_token(model: Model, prompt: str, length: int, seed: int, substream: int = 0) -> str:
    """Return the text of ``length`` tokens, generated one at a time with the public sampler and engine."""
    sampler, state = textgen.Sampler(1.0, seed, substream), model.engine.initial_state()
    tokens = list(model.tokenizer.encode(prompt))
    prompt_length = len(tokens)
    for i in range(prompt_length + length - 1):
        logits, state = model.engine.forward(np.array([[tokens[i]]]), state)
        if i >= prompt_length - 1:
            tokens.append(sampler.draw(logits[0, 0]))
    return model.tokenizer.decode(tokens[prompt_length:])


def test_length_counts_tokens(model: Model) -> None:
    expected = token_by_token(model, "abca", 40, 5)
    assert len(expected) == 80
    options = {"length": 40, "temperature": 1.0, "seed": 5}
    assert model.generate("abca", **options) == expected  # type: ignore[call-overload]
    chunks = list(model.stream("abca", **options))  # type: ignore[arg-type]
    assert "".join(chunks) == expected
    texts = model.generate(["abca", "cc"], **options)  # type: ignore[call-overload]
    assert texts == [expected, token_by_token(model, "cc", 40, 5, 1)]


def test_text_does_not_depend_on_the_sizes_of_its_chunks(model: Model) -> None:
    generation = model.start("abca", temperature=1.0, seed=5)
    assert generation.prompt == "abca"
    assert "".join(generation.take(length) for length in (1, 0, 17, 22)) == token_by_token(
        model, "abca", 40, 5
    )
    assert generation.feed("bbcc") == "bbcc"


def test_batch_counts_tokens_and_characters_separately(model: Model) -> None:
    batch = Batch(model, Measurements())
    short, long = (model.start("abca", temperature=1.0, seed=5, substream=i) for i in range(2))
    batch.add(short, 6)
    batch.add(long, 9, finish=False)
    assert [
        [(chunk.tokens, len(chunk.text), chunk.ending) for chunk in batch.advance(4)] for _ in range(3)
    ] == [[(4, 8, None)] * 2, [(2, 4, "length"), (4, 8, None)], [(1, 2, "length")]]
    assert batch.measurements is not None
    assert batch.measurements.draws == 15


def test_text_that_may_become_a_stop_text_is_held_back_in_whole_tokens(model: Model) -> None:
    text = token_by_token(model, "abca", 40, 5)
    generation = model.start("abca", temperature=1.0, seed=5, stop=text[10:16])
    assert generation.take(7) == text[:10]
    assert generation.copy().finish() == text[10:14]
    assert generation.take(30) == ""
    assert generation.ending == "stop"


def test_commands_report_figures_per_token(content: bytes, tmp_path: Path, capsys: Captured) -> None:
    path, text, page = tmp_path / "pairs.onnx", tmp_path / "text.txt", tmp_path / "page.html"
    path.write_bytes(content)
    text.write_text("abcabb\ncab")
    options = ("--stats", "--length", "20", "--prompt", "abca", "--seed", "1")
    code, out, err = run_here(run_main, capsys, str(path), *options)
    assert code == 0
    assert len(out) == len("abca") + 40 + 1
    assert re.search(r"^first token         \d", err, re.MULTILINE)
    assert re.search(r"^throughput          [\d,]+ tokens/s$", err, re.MULTILINE)
    assert re.search(r"^time per token      \d", err, re.MULTILINE)
    assert re.search(r"^mean entropy        [\d.]+ bits per token$", err, re.MULTILINE)
    code, out, _ = run_here(eval_main, capsys, str(path), str(text), "--surprise", str(page))
    assert code == 0
    assert "text.txt: 8 characters scored in 4 tokens, " in out
    assert re.search(r"perplexity [\d.]+ per token, accuracy [\d.]+% per token", out)
    assert page.read_text().count("</i>") == 4
    code, out, _ = run_here(info_main, capsys, str(path))
    assert code == 0
    assert re.search(r"^level +pair$", out, re.MULTILINE)
    assert "vocabulary, 16 tokens" in out
    assert "'ab'" in out


def test_level_selects_the_tokenizer(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_model(content)
    assert isinstance(opened.tokenizer, PairTokenizer)
    assert opened.metadata.to_props()["textgen.format"] == "2"
    monkeypatch.delitem(TOKENIZERS, "pair")
    with pytest.raises(
        textgen.ModelFileError, match=r"textgen\.level' is 'pair', but this version supports only 'character'"
    ):
        open_model(content)
    wrong = Metadata(PairTokenizer(["abc", *PAIRS[1:]])).to_props()
    monkeypatch.setitem(TOKENIZERS, "pair", lambda: PairTokenizer)
    with pytest.raises(textgen.ModelFileError, match="has 'abc' at index 0; expected a pair"):
        Metadata.from_props(wrong)
