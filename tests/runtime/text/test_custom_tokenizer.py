"""A tokenizer whose tokens are pairs of characters, and whose decoder holds text back."""

import copy
import io
import pickle
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Batch, Generation, Metadata, Model, PromptError
from textgen_runtime.cli.eval import main as eval_main
from textgen_runtime.cli.info import main as info_main
from textgen_runtime.cli.run import main as run_main
from textgen_runtime.engines.base import Generated, Measurements
from textgen_runtime.generation.loading import open_model
from textgen_runtime.text.levels import TOKENIZERS
from textgen_runtime.text.tokenizer import UnknownPolicy
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

    def decoder(self) -> "PairDecoder":
        return PairDecoder(self.symbols)


class PairDecoder:
    """A decoder that holds back the second character of the last token."""

    def __init__(self, symbols: tuple[str, ...], tail: tuple[int, ...] = ()) -> None:
        self._symbols, self.tail = symbols, tail

    def decode(self, tokens: Iterable[int]) -> str:
        text = ""
        for token in tokens:
            text += self.finish() + self._symbols[token][0]
            self.tail = (token,)
        return text

    def finish(self) -> str:
        held = "".join(self._symbols[token][1] for token in self.tail)
        self.tail = ()
        return held

    def copy(self) -> Self:
        return type(self)(self._symbols, self.tail)


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
    text = "".join(generation.take(length) for length in (1, 0, 17, 22))
    assert len(text) == 79
    assert text + generation.finish() == token_by_token(model, "abca", 40, 5)
    assert generation.finish() == ""
    generation = model.start("abca", temperature=1.0, seed=5)
    generation.take(3)
    # Text that was held back comes before the fed text.
    held = generation.copy().finish()
    assert len(held) == 1
    assert generation.feed("bbcc") == held + "bbcc"


def test_batch_counts_tokens_and_characters_separately(model: Model) -> None:
    batch = Batch(model, Measurements())
    short, long = (model.start("abca", temperature=1.0, seed=5, substream=i) for i in range(2))
    batch.add(short, 6)
    batch.add(long, 9, finish=False)
    first = batch.advance(4)
    assert [(chunk.tokens, len(chunk.text), chunk.ending) for chunk in first] == [(4, 7, None)] * 2
    second = batch.advance(4)
    assert [(chunk.tokens, len(chunk.text), chunk.ending) for chunk in second] == [
        (2, 5, "length"),
        (4, 8, None),
    ]
    (third,) = batch.advance(4)
    assert (third.tokens, len(third.text), third.ending) == (1, 2, "length")
    assert batch.measurements is not None
    assert batch.measurements.draws == 15
    assert len(long.finish()) == 1


def pickled(generation: Generation) -> Generation:
    copied: Generation = pickle.loads(pickle.dumps(generation))  # noqa: S301 (created in this test)
    return copied


def saved(generation: Generation) -> Generation:
    file = io.BytesIO()
    textgen.save(generation, file)
    file.seek(0)
    return textgen.resume(generation.model, file)


def restored_twice(generation: Generation) -> Generation:
    clone, mark = generation.copy(), generation.snapshot()
    for _ in range(2):
        clone.take(5)
        clone.restore(mark)
    return clone


@pytest.mark.parametrize("copy_of", [Generation.copy, copy.deepcopy, pickled, saved, restored_twice])
def test_copy_keeps_text_that_is_held_back(model: Model, copy_of: Callable[[Generation], Generation]) -> None:
    generation = model.start("abca", temperature=1.0, seed=5)
    generation.take(10)
    clone = copy_of(generation)
    assert (clone.take(5), clone.finish()) == (generation.take(5), generation.finish())


def test_interrupt_restores_the_decoder(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    generation = model.start("abca", temperature=1.0, seed=5)
    text = generation.take(10)
    accept = Generation.accept

    def interrupted(generation: Generation, generated: Generated, ending: Any) -> str:
        accept(generation, generated, ending)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Generation, "accept", interrupted)
        with pytest.raises(KeyboardInterrupt):
            generation.take(10)
    assert text + generation.take(30) + generation.finish() == token_by_token(model, "abca", 40, 5)


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
