"""Stop texts end a text, wherever the chunks end, and are not part of it unless asked."""

import copy
import pickle
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime import Batch, Generation, Model, Sampling
from textgen_runtime.generation.stop_warnings import missed_stops

from tests.helpers.record_models import record_model

PROMPT, SEED, LENGTH = "abc", 8, 300

# The texts of the tiny model at this temperature have all symbols.
TEMPERATURE = 2.0

STOPS = ["dé", "ab", "h a", "€", " cc", "zz"]


def start(model: Model, **options: object) -> Generation:
    return model.start(PROMPT, seed=SEED, temperature=TEMPERATURE, **options)  # type: ignore[arg-type]


def plain_text(model: Model) -> str:
    return start(model).take(LENGTH)


def before_first(text: str, stops: list[str]) -> tuple[str, str]:
    """The text before the stop text that ends first, and that stop text: the longest one that ends there."""
    for end in range(1, len(text) + 1):
        matching = [stop for stop in stops if text[:end].endswith(stop)]
        if matching:
            stop = max(matching, key=len)
            return text[: end - len(stop)], stop
    return text, ""


@pytest.mark.filterwarnings("ignore:the stop text 'zz'")
@pytest.mark.parametrize("stops", [[stop] for stop in STOPS] + [STOPS, ["a", "ba", "cba"]])
def test_a_text_ends_before_its_first_stop_text(tiny: Model, stops: list[str]) -> None:
    expected, stop = before_first(plain_text(tiny), stops)
    for chunk in (1, 2, 3, 64, LENGTH):
        generation = start(tiny, stop=stops)
        batch = Batch(tiny)
        batch.add(generation, LENGTH)
        text = found = ""
        while batch:
            (part,) = batch.advance(chunk)
            text, found = text + part.text, part.stop
            assert expected.startswith(text)
        assert (text, found) == (expected, stop)
        assert generation.ending == ("stop" if stop else "length")
        kept = tiny.generate(
            PROMPT, length=LENGTH, seed=SEED, temperature=TEMPERATURE, stop=stops, keep_stop=True
        )
        assert kept == expected + stop
    assert "".join(start(tiny, stop=stops).stream(LENGTH, finish=True)) == expected


def test_the_next_call_continues_after_the_stop_text(tiny: Model) -> None:
    text = plain_text(tiny)
    generation = start(tiny, stop="d")
    parts = text.split("d")
    assert len(parts) > 3
    for part in parts[:3]:
        assert generation.take(LENGTH) == part
        assert generation.ending == "stop"


def test_text_that_may_become_a_stop_text_is_held_back_until_it_is_decided(tiny: Model) -> None:
    text = plain_text(tiny)
    assert text[5] != "c"
    stop = text[2:5] + "c"
    generation = start(tiny, stop=stop)
    assert generation.take(5) == text[:2]
    assert generation.ending == "length"
    for other in (copy.copy(generation), pickle.loads(pickle.dumps(generation))):  # noqa: S301 (written by this test)
        assert other.take(1) == text[2:6]
        assert other.finish() == ""
    assert generation.finish() == text[2:5]
    assert generation.take(1) == text[5]


def test_text_that_is_fed_follows_what_is_held_back_and_ends_the_beginning_of_a_stop(
    tiny: Model,
) -> None:
    plain = start(tiny)
    text = plain.take(5)
    plain.feed("b")
    after = plain.take(LENGTH)
    stop = text[2:5] + after[0]
    generation = start(tiny, stop=stop)
    assert generation.take(5) == text[:2]
    assert generation.feed("b") == text[2:5] + "b"
    assert generation.take(LENGTH) == before_first(after, [stop])[0]


def test_a_failed_feed_leaves_the_text_that_is_held_back(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = plain_text(tiny)
    generation = start(tiny, stop=text[2:6])
    assert generation.take(5) == text[:2]

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(tiny.engine), "feed", fail)
        with pytest.raises(KeyboardInterrupt):
            generation.feed("b")
    assert generation.finish() == text[2:5]


def test_text_that_was_finished_is_not_the_beginning_of_a_stop_text(tiny: Model) -> None:
    text = plain_text(tiny)
    generation = start(tiny, stop=text[2:6])
    assert generation.take(5) + generation.finish() == text[:5]
    rest = generation.take(LENGTH - 5) + generation.finish()
    assert rest == before_first(text[5:], [text[2:6]])[0]


def test_a_copy_of_a_text_that_is_held_back_holds_it_back(tiny: Model) -> None:
    text = plain_text(tiny)
    generation = start(tiny, stop=text[2:6])
    generation.take(4)
    for copied in (generation.copy(), generation.copy(), generation):
        assert copied.take(1) + copied.finish() == text[2:5]


def test_equal_stop_texts_that_are_set_again_keep_the_beginning_of_one(tiny: Model) -> None:
    text = plain_text(tiny)
    generation = start(tiny, stop=text[3:7])
    head = generation.take(5)
    generation.sampling = Sampling(temperature=TEMPERATURE, stop=text[3:7])
    assert head + generation.take(LENGTH) == text[: text.index(text[3:7])]


def test_other_stop_texts_begin_with_what_is_held_back(tiny: Model) -> None:
    text = plain_text(tiny)
    generation = start(tiny, stop=text[2:5] + text[0])
    head = generation.take(4)
    generation.sampling = Sampling(temperature=TEMPERATURE, stop=text[4:7])
    assert head + generation.take(LENGTH) == text[: text.index(text[4:7], 4)]
    generation = start(tiny, stop=text[2:5] + text[0])
    head = generation.take(4)
    generation.sampling = Sampling(temperature=TEMPERATURE)
    assert head + generation.take(20) == text[:24]


@pytest.mark.parametrize("change", ["other stop texts", "finish", "none"])
@pytest.mark.parametrize("level", ["character", "byte"])
def test_a_copy_a_pickle_and_a_saved_text_go_on_equally(
    tiny: Model, level: str, change: str, tmp_path: Path
) -> None:
    model = tiny if level == "character" else record_model("byte")
    stops = ["ab", "hé", "de a", "€", *(["ҋ"] if level == "byte" else [])]
    for seed in range(20):
        generation = model.start("a", seed=seed, temperature=2.0, stop=stops)
        generation.take(7 + seed)
        if change == "finish":
            generation.finish()
        if change == "other stop texts":
            generation.sampling = generation.sampling.replace(stop=["a", "bé", "e e"])
        textgen.save(generation, tmp_path / "text.gen")
        others = [
            textgen.resume(model, tmp_path / "text.gen"),
            pickle.loads(pickle.dumps(generation)),  # noqa: S301 (written by this test)
        ]
        text = generation.copy().take(40, finish=True)
        assert [other.take(40, finish=True) for other in others] == [text, text]


def test_the_beginning_of_a_former_stop_text_does_not_count(tiny: Model) -> None:
    text = plain_text(tiny)
    generation = start(tiny, stop=text[:6] + text[0] * 3)
    generation.take(6)
    generation.sampling = Sampling(temperature=TEMPERATURE, stop=text[10])
    assert generation.take(LENGTH) == text[: text.index(text[10], 6)]


def test_a_stop_text_does_not_apply_to_the_prompt(tiny: Model) -> None:
    generation = start(tiny, stop="bcd")
    generation.feed("b")
    generation.feed("c")
    after = generation.copy()
    after.sampling = Sampling(temperature=TEMPERATURE)
    text = after.take(LENGTH)
    assert generation.take(LENGTH) == before_first(text, ["bcd"])[0]


def test_stop_texts_are_normalized_like_the_prompt(tiny: Model) -> None:
    assert start(tiny, stop="D").take(LENGTH) == start(tiny, stop="d").take(LENGTH)


def test_a_stop_text_that_the_vocabulary_cannot_produce_is_a_warning(tiny: Model) -> None:
    message = "the stop text 'zz' has characters outside the vocabulary: it has no effect"
    with pytest.warns(UserWarning, match=message) as warned:
        generation = start(tiny, stop="zz")
    assert generation.take(LENGTH) == plain_text(tiny)
    with pytest.warns(UserWarning, match=message) as warned_later:
        generation.sampling = Sampling(stop="zz")
    with pytest.warns(UserWarning, match=message) as warned_deeper:
        tiny.generate("abc", length=1, stop="zz")
    # Each warning names the code of the caller, however deep in the package it is.
    names = [found.filename for warnings in (warned, warned_later, warned_deeper) for found in warnings]
    assert names == [__file__] * 3


def test_a_stop_text_of_characters_of_which_words_consist_may_be_missed() -> None:
    """The texts are normalized, here to lower case."""
    assert missed_stops(Sampling(stop=["CAB", "\n", "é"]), record_model("word").metadata) == ["CAB"]
