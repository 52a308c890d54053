"""Generation: what a model and a seed make of a prompt."""

import threading
from collections import UserList
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from numpy.typing import NDArray
from textgen_runtime import Model, PromptError, Sampler, SamplingError
from textgen_runtime.engines.base import Measurements
from textgen_runtime.engines.onnxruntime import OnnxEngine
from textgen_runtime.generation.batch import Batch
from textgen_runtime.generation.generation import PROMPT_CHUNK, STREAM_CHUNK
from textgen_runtime.text.tokenizer import UnknownPolicy

from tests.helpers.paths import TINY


def record_steps(monkeypatch: pytest.MonkeyPatch) -> tuple[Model, list[int]]:
    """The tiny model on onnxruntime, and the lengths of the steps it will be asked for."""
    model = textgen.load(TINY, engine="onnxruntime")
    assert isinstance(model.engine, OnnxEngine)
    run, lengths = model.engine._run, list[int]()

    def recorded(outputs: Sequence[str], feed: Mapping[str, NDArray[Any]], options: Any = None) -> Any:
        lengths.append(len(feed["token"]))
        return run(outputs, feed, options)

    monkeypatch.setattr(model.engine, "_run", recorded)
    return model, lengths


def step_by_step(model: Model, prompt: str, length: int, temperature: float, seed: int) -> str:
    """What generation means, spelled out: one character in, one distribution out."""
    state = model.engine.initial_state()
    sampler = Sampler(temperature, seed)
    symbols = model.tokenizer.symbols
    read = 0
    text = prompt
    while True:
        logits, state = model.engine.forward(np.array([[symbols.index(text[read])]]), state)
        read += 1
        if read == len(prompt) + length:
            return text[len(prompt) :]
        if read == len(text):
            text += symbols[sampler.draw(logits[0, 0])]


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.3])
def test_a_text_is_what_single_steps_make(tiny: Model, temperature: float) -> None:
    expected = step_by_step(tiny, "dad had", 200, temperature, 7)
    assert tiny.generate("dad had", length=200, temperature=temperature, seed=7) == expected
    pieces = list(tiny.stream("dad had", length=200, temperature=temperature, seed=7))
    assert "".join(pieces) == expected
    assert len(pieces) > 1
    running = tiny.start("dad had", temperature=temperature, seed=7)
    assert running.take(50) + running.take(0) + running.take(150) == expected


def test_every_character_costs_one_step_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model, lengths = record_steps(monkeypatch)
    model.generate("abc", length=50, seed=1)
    assert lengths == [2, 1] + [1] * 50


def test_a_long_prompt_is_read_in_pieces_and_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model, lengths = record_steps(monkeypatch)
    prompt = "abcde hé" * PROMPT_CHUNK
    generation = model.start(prompt, seed=0)
    chunk = min(PROMPT_CHUNK, model.engine.chunk(1))
    assert lengths == [chunk - 1, 1] * (len(prompt) // chunk)
    assert sum(lengths) == len(prompt)
    tokens = np.asarray(model.tokenizer.encode(prompt))[:, np.newaxis]
    logits, state = model.engine.forward(tokens, model.engine.initial_state())
    np.testing.assert_allclose(generation.logits, logits[-1, 0], atol=1e-5)
    np.testing.assert_allclose(generation.state["cell"], state["cell"], atol=1e-5)


def test_seeds_and_streams(tiny: Model) -> None:
    def text(seed: int | None = None, stream: int = 0) -> str:
        return tiny.start("abc", temperature=1.0, seed=seed, substream=stream).take(60)

    assert text(1) == text(1) == text(1, stream=0)
    assert len({text(1), text(2), text(1, stream=1), text(1, stream=2)}) == 4
    assert text() != text()


def test_a_prompt_of_the_models_own(tiny: Model) -> None:
    assert [tiny.start(seed=seed).prompt for seed in range(4)] == ["abc", "dad had", "é€ж𝄞", "abc"]
    assert tiny.start(seed=0, substream=1).prompt == "dad had"
    without = tiny.with_metadata(tiny.metadata._replace(prompts=()))
    with pytest.raises(PromptError, match="no prompts of its own"):
        without.generate()


def test_a_prompt_is_normalised_as_the_corpus_was(tiny: Model) -> None:
    assert tiny.start("\ufeffAB\r\nE\u0301", seed=0).prompt == "ab\né"
    assert tiny.generate("ABC", seed=3) == tiny.generate("abc", seed=3)


@pytest.mark.parametrize(
    ("prompt", "unknown", "message"),
    [
        ("", "error", "it is empty"),
        ("\ufeff", "error", "nothing to read"),
        ("xyz", "skip", "none of its characters is known"),
        ("axbyc", "error", r"'x' \(U\+0078\), 'y' \(U\+0079\)"),
    ],
)
def test_prompts_that_cannot_be_read(tiny: Model, prompt: str, unknown: UnknownPolicy, message: str) -> None:
    for call in (tiny.generate, tiny.stream, tiny.start):
        with pytest.raises(PromptError, match=message):
            call(prompt, unknown=unknown)


def test_unknown_characters_can_be_skipped(tiny: Model) -> None:
    generation = tiny.start("xaybzc", unknown="skip", seed=1)
    assert generation.prompt == "abc"
    assert generation.take(30) == tiny.generate("abc", seed=1, length=30)


def test_text_can_be_fed_in_between(tiny: Model) -> None:
    fed = tiny.start("abc", temperature=0.0, seed=0)
    assert fed.feed("DAD") == "dad"
    assert fed.take(40) == tiny.generate("abcdad", temperature=0.0, length=40)


def test_the_temperature_can_change_in_between(tiny: Model) -> None:
    generation = tiny.start("abc", temperature=1.0, seed=0)
    generation.take(5)
    generation.sampler.temperature = 0.0
    likeliest = tiny.tokenizer.symbols[int(generation.logits.argmax())]
    assert generation.take(1) == likeliest


def test_a_copy_goes_on_apart(tiny: Model) -> None:
    original = tiny.start("abc", temperature=1.0, seed=8)
    original.take(10)
    clone = original.copy()
    clone.sampler.temperature = 0.9
    clone.take(25)
    third = original.copy()
    assert third.take(40) == original.take(40)


def test_a_state_is_a_plain_value(tiny: Model) -> None:
    generation = tiny.start("abc", seed=1)
    before = {name: array.copy() for name, array in generation.state.items()}
    kept = generation.state
    generation.take(20)
    for name, expected in before.items():
        np.testing.assert_array_equal(kept[name], expected)
    assert not np.array_equal(generation.state["hidden"], kept["hidden"])


@pytest.mark.parametrize("call", ["generate", "stream"])
def test_bad_numbers(tiny: Model, call: str) -> None:
    make = getattr(tiny, call)
    with pytest.raises(ValueError, match="length"):
        make("abc", length=-1)
    with pytest.raises(SamplingError, match="temperature"):
        make("abc", temperature=-0.5)
    with pytest.raises(SamplingError, match="seed"):
        make("abc", seed=-1)


def test_threads_share_a_model_and_make_the_texts_they_would_alone(tiny: Model) -> None:
    workers = 4
    alone = [tiny.generate(seed=seed, length=300, temperature=1.0) for seed in range(16)]
    combined = threading.Barrier(workers)

    def work(seed: int) -> str:
        if seed < workers:
            combined.wait()
        return tiny.generate(seed=seed, length=300, temperature=1.0)

    with ThreadPoolExecutor(workers) as pool:
        assert list(pool.map(work, range(16))) == alone


def test_stream_is_lazy(tiny: Model) -> None:
    pieces: Iterator[str] = tiny.stream("abc", length=10**12, seed=1)
    first = next(pieces) + next(pieces)
    assert first == tiny.generate("abc", length=len(first), seed=1)
    assert 2 <= len(first) <= 2 * STREAM_CHUNK


def test_several_prompts_are_continued_together_and_apart(tiny: Model) -> None:
    prompts = ["abc", "dad had", "é", "abc", "h"]
    combined = tiny.generate(prompts, length=90, temperature=1.0, seed=3)
    alone = [tiny.start(p, temperature=1.0, seed=3, substream=i).take(90) for i, p in enumerate(prompts)]
    assert combined == alone
    assert combined[0] == tiny.generate("abc", length=90, temperature=1.0, seed=3)
    assert tiny.generate(prompts[:2], length=90, temperature=1.0, seed=3) == combined[:2]
    assert tiny.generate([], seed=1) == []
    assert tiny.generate(["a", "b"], length=0) == ["", ""]


def test_any_sequence_of_prompts_gives_a_list(tiny: Model) -> None:
    expected = tiny.generate(["abc", "d"], length=20, seed=3)
    assert tiny.generate(("abc", "d"), length=20, seed=3) == expected
    assert tiny.generate(UserList(["abc", "d"]), length=20, seed=3) == expected
    assert tiny.generate(("abc",), length=20, seed=3) == expected[:1]
    assert tiny.generate((), seed=1) == []


@pytest.mark.parametrize("call", ["start", "stream"])
@pytest.mark.parametrize("prompts", [["a", "b"], ("a",)])
def test_one_text_takes_one_prompt(tiny: Model, call: str, prompts: Any) -> None:
    kind = type(prompts).__name__
    with pytest.raises(
        TypeError, match=rf"^the prompt must be a str, not {kind}; generate\(\) takes several$"
    ):
        getattr(tiny, call)(prompts)


@pytest.mark.parametrize(
    "prompt", [5, b"abc", {"a": "b"}, {"a", "b"}, (each for each in "ab"), [5], ("a", b"b")]
)
def test_prompts_of_other_types(tiny: Model, prompt: Any) -> None:
    with pytest.raises(TypeError, match=r"^the prompt must be a str[^\n]*, not \w+$"):
        tiny.generate(prompt)


def test_only_text_is_read(tiny: Model) -> None:
    calls: tuple[Callable[[Any], object], ...] = (tiny.start("abc").feed, partial(textgen.predict, tiny))
    for call in calls:
        with pytest.raises(TypeError, match=r"^the text must be a str, not list$"):
            call(["abc"])


def test_texts_made_together_go_on_from_chunk_to_chunk(tiny: Model) -> None:
    starts = [tiny.start(p, temperature=1.0, seed=3, substream=i) for i, p in enumerate(("abc", "dad", "é"))]
    alone = [start.copy().take(50) for start in starts]
    batch = Batch(tiny)
    for start in starts:
        batch.add(start, 50)
    chunks = [[made.text for made in batch.advance(7)] for _ in range(8)]
    assert [len(texts[0]) for texts in chunks] == [7] * 7 + [1]
    assert not batch
    assert ["".join(texts) for texts in zip(*chunks, strict=True)] == alone


def test_measurements(tiny: Model) -> None:
    generation = tiny.start("abc", temperature=1.0, seed=2)
    expected = textgen.entropy(textgen.softmax(generation.logits, 1.0))
    generation.measurements = Measurements()
    first = generation.take(1)
    assert generation.measurements.entropy_bits == pytest.approx(expected, rel=1e-6)
    assert first + generation.take(49) == tiny.generate("abc", length=50, temperature=1.0, seed=2)
    assert generation.measurements.tokens == 50
    assert generation.measurements.model_seconds > 0
    assert generation.measurements.sampler_seconds > 0
    assert 0 < generation.measurements.entropy_bits / 50 < np.log2(12)


def test_an_interrupt_in_between_changes_nothing_of_what_follows(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = tiny.start("abc", temperature=1.0, seed=8)
    generate = tiny.engine.generate
    calls = 0

    def interrupted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        made = generate(*arguments)
        if calls == 3:
            raise KeyboardInterrupt
        return made

    with monkeypatch.context() as patched:
        patched.setattr(type(tiny.engine), "generate", lambda _, *arguments: interrupted(*arguments))
        pieces = generation.stream(1000)
        text = next(pieces) + next(pieces)
        with pytest.raises(KeyboardInterrupt):
            next(pieces)
    assert 0 < len(text) < 1000
    assert text + generation.take(100) == tiny.generate(
        "abc", temperature=1.0, seed=8, length=len(text) + 100
    )


@pytest.mark.parametrize("call", ["generate", "stream"])
def test_lengths_are_whole_numbers(tiny: Model, call: str) -> None:
    with pytest.raises(TypeError):
        getattr(tiny, call)("abc", length=2.5)
