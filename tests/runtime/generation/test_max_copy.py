"""``max_copy``: texts that copy only short parts of a corpus."""

import io
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, SamplingError, SavedGenerationError

from tests.helpers.paths import TINY
from tests.helpers.record_models import record_model

PROMPT = "abc"


def longest_copy(text: str, corpus: str) -> int:
    """Return the length of the longest part of a text that stands in a corpus."""
    longest = start = 0
    while start + longest < len(text):
        if text[start : start + longest + 1] in corpus:
            longest += 1
        else:
            start += 1
    return longest


def likely_text(model: Model) -> str:
    """Return a text that the model would copy."""
    return model.generate(PROMPT, length=400, temperature=0.0)


@pytest.fixture(params=["native", "onnxruntime"])
def model(request: pytest.FixtureRequest) -> Model:
    """The tiny model, with a corpus of its most likely text."""
    loaded = textgen.load(TINY, engine=request.param)
    return textgen.load(TINY, engine=request.param, novel=likely_text(loaded))


@pytest.mark.parametrize("max_copy", [1, 3, 8])
def test_a_text_has_only_short_parts_of_the_corpus(model: Model, max_copy: int) -> None:
    assert model.novel is not None
    for temperature in (0.0, 0.3, 1.0):
        options: dict[str, Any] = {"length": 300, "temperature": temperature, "seed": 2}
        free = model.generate(PROMPT, **options)
        text = model.generate(PROMPT, **options, max_copy=max_copy)
        assert longest_copy(free, model.novel) > max_copy == longest_copy(text, model.novel)


def test_the_corpus_may_have_characters_that_the_model_lacks(model: Model) -> None:
    known = likely_text(model)
    separated = model.with_novel("X".join(known[i : i + 5] for i in range(0, 400, 5)))
    text = separated.generate(PROMPT, length=200, temperature=0.0, max_copy=4)
    assert text != known[:200]
    assert separated.generate(PROMPT, length=200, temperature=0.0, max_copy=5) == known[:200]


def test_max_copy_needs_a_model_of_characters_or_bytes() -> None:
    """A model of words can spell a word in other tokens than the corpus does."""
    with pytest.raises(SamplingError, match="needs a model of characters or bytes") as caught:
        record_model("word").with_novel("cab cab").start("a", max_copy=1)
    assert caught.value.parameter == "max_copy"


def test_the_bytes_of_a_model_of_bytes_are_counted() -> None:
    model = record_model("byte")
    options: dict[str, Any] = {"length": 50, "temperature": 0.0, "allowed": "abcde ", "min_length": 20}
    free = model.generate("", **options)
    tokens = model.with_novel(free).tokenizer.encode(free)
    text = model.tokenizer.encode(model.with_novel(free).generate("", **options, max_copy=3))
    assert text[:3] == tokens[:3]
    assert text[3] != tokens[3]


def test_only_the_latest_table_of_a_corpus_is_kept(model: Model) -> None:
    first, second, other, again, last = (
        model.compile_controls(textgen.Sampling(max_copy=number)).spans for number in (5, 5, 6, 6, 5)
    )
    assert first is second is not last
    assert other is again


def test_a_saved_text_continues_with_the_same_corpus_only(model: Model) -> None:
    def saved(**options: Any) -> io.BytesIO:
        content = io.BytesIO()
        textgen.save(model.start(PROMPT, seed=1, **options), content)
        content.seek(0)
        return content

    other = model.with_novel("abc")
    with pytest.raises(SavedGenerationError, match=r"pass this corpus as novel first$"):
        textgen.resume(other, saved(max_copy=4))
    plain = Model(model.engine, model.metadata, TINY.read_bytes())
    with pytest.raises(SavedGenerationError, match=r"pass this corpus as novel first$"):
        textgen.resume(plain, saved(max_copy=4))
    assert model.novel is not None
    textgen.resume(other.with_novel(model.novel), saved(max_copy=4))
    # Without max_copy, the corpus has no effect.
    textgen.resume(other, saved())


def test_a_text_that_c_saved_without_its_corpus_is_refused(model: Model) -> None:
    generation = model.start(PROMPT, seed=1, max_copy=4)
    generation.take(3)
    content = generation.position.save(b"")
    with pytest.raises(SavedGenerationError, match="has max_copy, but its corpus was not saved"):
        textgen.resume(model, io.BytesIO(content))


def test_a_corpus_is_needed_and_belongs_to_the_model(model: Model) -> None:
    plain = Model(model.engine, model.metadata, TINY.read_bytes())
    with pytest.raises(SamplingError, match=r"^max_copy needs a corpus .*: pass it as novel$") as caught:
        plain.generate(PROMPT, max_copy=5)
    assert caught.value.parameter == "max_copy"


def test_a_text_that_cannot_continue_says_why(model: Model) -> None:
    everything = model.with_novel(
        "".join(a + b for a in model.tokenizer.symbols for b in model.tokenizer.symbols)
    )
    generation = everything.start(PROMPT, max_copy=1)
    with pytest.raises(
        SamplingError, match=r"^max_copy leaves no token to draw: use a greater value$"
    ) as caught:
        generation.take(2)
    assert caught.value.parameter == "max_copy"
    # The generation can continue with other parameters.
    generation.sampling = generation.sampling.replace(max_copy=0)
    assert len(generation.take(2)) == 2
