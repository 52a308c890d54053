"""Text generation from a prompt and a seed."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from numpy.typing import NDArray
from textgen_runtime import Model, PromptError, Sampler, SamplingError, predict
from textgen_runtime.model import PROMPT_CHUNK, STREAM_CHUNK, EngineName
from textgen_runtime.onnxruntime import OnnxEngine
from textgen_runtime.tokenizer import UnknownPolicy

from tests.helpers.changed_models import with_metadata
from tests.helpers.paths import TINY
from tests.helpers.record_models import ENGINES


def record_steps(monkeypatch: pytest.MonkeyPatch) -> tuple[Model, list[int]]:
    """Return the tiny model on onnxruntime, and a list that records the time dimension of each call."""
    model = textgen.load(TINY, engine="onnxruntime")
    assert isinstance(model.engine, OnnxEngine)
    run, lengths = model.engine._run, list[int]()

    def recorded(outputs: Sequence[str], feed: Mapping[str, NDArray[Any]], options: Any = None) -> Any:
        lengths.append(len(feed["token"]))
        return run(outputs, feed, options)

    monkeypatch.setattr(model.engine, "_run", recorded)
    return model, lengths


def step_by_step(model: Model, prompt: str, length: int, temperature: float, seed: int) -> str:
    """Generate with one forward call per character, as a reference."""
    state = model.engine.initial_state()
    sampler = Sampler(temperature, seed)
    symbols = model.tokenizer.symbols
    position = 0
    text = prompt
    while True:
        logits, state = model.engine.forward(np.array([[symbols.index(text[position])]]), state)
        position += 1
        if position == len(prompt) + length:
            return text[len(prompt) :]
        if position == len(text):
            text += symbols[sampler.draw(logits[0, 0])]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.3])
def test_the_text_equals_that_of_single_steps(engine: EngineName, temperature: float) -> None:
    tiny = textgen.load(TINY, engine=engine)
    expected = step_by_step(tiny, "dad had", 200, temperature, 7)
    assert tiny.generate("dad had", length=200, temperature=temperature, seed=7) == expected
    chunks = list(tiny.stream("dad had", length=200, temperature=temperature, seed=7))
    assert "".join(chunks) == expected
    assert len(chunks) > 1
    generation = tiny.start("dad had", temperature=temperature, seed=7)
    assert generation.take(50) + generation.take(0) + generation.take(150) == expected


def test_each_character_is_one_forward_step(monkeypatch: pytest.MonkeyPatch) -> None:
    model, lengths = record_steps(monkeypatch)
    model.generate("abc", length=50, seed=1)
    assert lengths == [2, 1] + [1] * 50


def test_a_long_prompt_is_fed_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model, lengths = record_steps(monkeypatch)
    prompt = "abcde hé" * PROMPT_CHUNK
    model.start(prompt, seed=0)
    chunk = min(PROMPT_CHUNK, model.engine.chunk_length(1))
    assert lengths == [chunk - 1, 1] * (len(prompt) // chunk)
    assert sum(lengths) == len(prompt)


def test_each_seed_and_substream_gives_a_different_text(tiny: Model) -> None:
    def text(seed: int | None = None, substream: int = 0) -> str:
        return tiny.start("abc", temperature=1.0, seed=seed, substream=substream).take(60)

    assert text(1) == text(1) == text(1, substream=0)
    assert len({text(1), text(2), text(1, substream=1), text(1, substream=2)}) == 4
    assert text() != text()


def test_the_default_prompt_depends_on_the_seed(tiny: Model) -> None:
    assert [tiny.start(seed=seed).prompt for seed in range(4)] == ["abc", "dad had", "é€ж𝄞", "abc"]
    assert tiny.start(seed=0, substream=1).prompt == "dad had"
    without = with_metadata(tiny, tiny.metadata._replace(prompts=()))
    with pytest.raises(PromptError, match="no default prompt: pass one as prompt"):
        without.generate()


def test_a_prompt_is_normalized(tiny: Model) -> None:
    assert tiny.start("\ufeffAB\r\nE\u0301", seed=0).prompt == "ab\né"
    assert tiny.generate("ABC", seed=3) == tiny.generate("abc", seed=3)


@pytest.mark.parametrize(
    ("prompt", "unknown", "message"),
    [
        ("", "error", "it is empty"),
        ("\ufeff", "error", "no text to continue"),
        ("xyz", "skip", "none of its characters is in the vocabulary"),
        ("axbyc", "error", r"'x' \(U\+0078\), 'y' \(U\+0079\)"),
    ],
)
def test_invalid_prompts_are_rejected(tiny: Model, prompt: str, unknown: UnknownPolicy, message: str) -> None:
    for call in (tiny.generate, tiny.stream, tiny.start):
        with pytest.raises(PromptError, match=message):
            call(prompt, unknown=unknown)


def test_unknown_characters_can_be_skipped(tiny: Model) -> None:
    generation = tiny.start("xaybzc", unknown="skip", seed=1)
    assert generation.prompt == "abc"
    assert generation.take(30) == tiny.generate("abc", seed=1, length=30)


def test_text_can_be_fed_to_a_generation(tiny: Model) -> None:
    fed = tiny.start("abc", temperature=0.0, seed=0)
    assert fed.feed("DAD") == "dad"
    assert fed.take(40) == tiny.generate("abcdad", temperature=0.0, length=40)


@pytest.mark.parametrize("call", ["generate", "stream"])
def test_numbers_out_of_range_are_rejected(tiny: Model, call: str) -> None:
    method = getattr(tiny, call)
    with pytest.raises(ValueError, match="length"):
        method("abc", length=-1)
    with pytest.raises(TypeError):
        method("abc", length=2.5)
    with pytest.raises(SamplingError, match="temperature"):
        method("abc", temperature=-0.5)
    with pytest.raises(SamplingError, match="seed"):
        method("abc", seed=-1)


@pytest.mark.parametrize("engine", ENGINES)
def test_threads_can_share_a_model(engine: EngineName) -> None:
    tiny, workers = textgen.load(TINY, engine=engine), 4
    expected = [tiny.generate(seed=seed, length=300, temperature=1.0) for seed in range(16)]
    barrier = threading.Barrier(workers)

    def work(seed: int) -> str:
        if seed < workers:
            barrier.wait()
        return tiny.generate(seed=seed, length=300, temperature=1.0)

    with ThreadPoolExecutor(workers) as pool:
        assert list(pool.map(work, range(16))) == expected


def test_stream_is_lazy(tiny: Model) -> None:
    chunks: Iterator[str] = tiny.stream("abc", length=10**12, seed=1)
    first = next(chunks) + next(chunks)
    assert first == tiny.generate("abc", length=len(first), seed=1)
    assert 2 <= len(first) <= 2 * STREAM_CHUNK


@pytest.mark.parametrize("text", [5, b"abc", (letter for letter in "ab"), [5], ("a", b"b")])
def test_texts_of_other_types_are_rejected(tiny: Model, text: Any) -> None:
    for call in (tiny.generate, tiny.start, tiny.stream, tiny.start("abc").feed, partial(predict, tiny)):
        with pytest.raises(TypeError):
            call(text)


def test_any_sequence_of_prompts_gives_a_list_of_texts(tiny: Model) -> None:
    texts = tiny.generate(["abc", "é"], length=9, seed=3)
    assert texts == [tiny.start(text, seed=3, substream=i).take(9) for i, text in enumerate(["abc", "é"])]
    assert (tiny.generate((), seed=1), tiny.generate(("abc",), length=9, seed=3)) == ([], texts[:1])
    assert tiny.generate(["a", "b"], length=0) == ["", ""]


def test_the_next_tokens_have_the_probabilities_of_the_model_and_of_the_draw(tiny: Model) -> None:
    generation = tiny.start("abc", temperature=0.5)
    tokens = generation.top(100)
    probabilities = textgen.softmax(generation.logits)
    assert sorted(each.token for each in tokens) == list(range(len(tiny.tokenizer)))
    for each in tokens:
        assert each.text == tiny.tokenizer.symbols[each.token]
        assert each.probability == probabilities[each.token]
        assert each.draw_probability == textgen.softmax(generation.logits, 0.5)[each.token]
    assert generation.top(3) == sorted(tokens, key=lambda each: -each.draw_probability)[:3]
    with pytest.raises(ValueError, match="count must be 1 or more, not 0"):
        generation.top(0)


def test_the_next_tokens_show_filters_and_constraints(tiny: Model) -> None:
    filtered = tiny.start("abc", temperature=1.0, top_k=3).top(5)
    assert [each.draw_probability > 0 for each in filtered] == [True, True, True, False, False]
    assert sum(each.draw_probability for each in filtered) == pytest.approx(1)
    assert filtered[3].probability >= filtered[4].probability > 0
    constrained = tiny.start("abc", temperature=1.0, match="[ad]x?|[ad]b").top(3)
    assert {each.text for each in constrained[:2]} == {"a", "d"}
    assert constrained[2].draw_probability == 0


def test_no_token_follows_a_complete_text(tiny: Model) -> None:
    generation = tiny.start("abc", match="ad")
    assert len(generation.top(3)) == 3
    assert generation.take(9) == "ad"
    assert generation.top(3) == []
    generation.feed("a")
    assert len(generation.top(3)) == 3
