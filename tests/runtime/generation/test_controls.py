"""What controls a text: allowed characters and biases, constraints, and stop texts."""

import re
from collections import Counter

import pytest
import textgen_runtime as textgen
from textgen_runtime import Batch, Generation, Model, Sampling, SamplingError
from textgen_runtime.controls import missed_stops
from textgen_runtime.model import EngineName

from tests.helpers.paths import FORMAT_2
from tests.helpers.record_models import ENGINES, record_model


def drawn_text(model: Model, **options: object) -> str:
    return model.generate("abc", length=400, seed=1, temperature=3.0, **options)  # type: ignore[call-overload,no-any-return]


def test_only_allowed_characters_occur_and_no_banned_ones(tiny: Model) -> None:
    everything, text = tiny.tokenizer.symbols, drawn_text(tiny)
    assert set(text) == set(everything)
    assert set(drawn_text(tiny, banned="ab\n")) == set(everything) - set("ab\n")
    assert set(drawn_text(tiny, allowed="abéxyz", banned="a")) == set("bé")
    # Characters outside the vocabulary have no effect.
    assert drawn_text(tiny, banned="xyz") == drawn_text(tiny, allowed=[*everything, "z"]) == text


@pytest.mark.parametrize("engine", ENGINES)
def test_a_word_is_allowed_and_banned_by_its_characters(engine: EngineName) -> None:
    model = textgen.load(FORMAT_2 / "word.onnx", engine=engine)
    assert set(drawn_text(model)) == set(" abcd\n")
    assert set(drawn_text(model, banned="a")) == set(" bcd\n")
    only = drawn_text(model, allowed="cab")
    assert set(only) == set("cab")
    # The word, and not only its characters.
    assert len(only) > 400
    assert set(drawn_text(model, allowed="cabd ", banned=[" cab"])) == set("cabd ")
    assert "cab" in drawn_text(model, allowed=["cab"])
    assert set(drawn_text(model, match="[ab]{9}", banned="b")) == {"a"}


def test_a_bias_changes_how_often_a_character_occurs(tiny: Model) -> None:
    counts = [drawn_text(tiny, logit_bias={"a": bias}).count("a") for bias in (-100, -3, 0, 3, 100)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 400)


def test_parameters_that_leave_no_character_are_an_error(tiny: Model) -> None:
    with pytest.raises(
        SamplingError, match="allowed and banned leave no character of the model's vocabulary"
    ):
        tiny.start("abc", allowed="xyz")
    with pytest.raises(SamplingError, match="leave no character"):
        tiny.start("abc", banned=tiny.tokenizer.symbols)
    with pytest.raises(SamplingError, match="logit_bias has characters outside the model's vocabulary: 'z'"):
        tiny.start("abc", logit_bias={"z": 1})


def test_a_model_of_bytes_has_no_token_for_a_character_outside_ascii() -> None:
    """Its entry U+00E9 is the byte 0xE9, which is a part of other characters."""
    model = record_model("byte")
    with pytest.raises(SamplingError, match="logit_bias has characters outside the model's vocabulary"):
        model.start("a", logit_bias={"é": 1.0})
    with pytest.raises(SamplingError, match="allowed and banned leave no character"):
        model.start("a", allowed="é")
    assert model.generate("a", match="é") == "é"


@pytest.mark.parametrize(("expression", "length"), [("(ab|c d){2,5}h", 6), ("d.{0,4}é?", 13)])
def test_a_text_matches_its_expression_and_ends_in_time(tiny: Model, expression: str, length: int) -> None:
    texts = tiny.generate(["abc"] * 60, length=length, seed=1, temperature=1.5, match=expression)
    assert all(len(text) <= length and re.fullmatch(expression, text) for text in texts)
    assert len(set(texts)) > 1


def test_no_text_begins_that_needs_a_banned_character(tiny: Model) -> None:
    expression = "(ab|cd)[a-d]{3}"
    sampling = Sampling(temperature=2.0, match=expression)
    generation = tiny.start("abc", seed=1, sampling=sampling)
    for options in ({"banned": "b"}, {"allowed": "acd"}):
        without = sampling.replace(**options)
        texts = tiny.generate(["abc"] * 60, seed=1, sampling=without)
        assert all(re.fullmatch("cd[acd]{3}", text) for text in texts)
        # The languages share saved texts, which have the hash of the whole table.
        other = tiny.start("abc", sampling=without).position
        other.resume(generation.position.save(b""))
        assert other.seed == 1
    assert tiny.generate("abc", choices=["ab", "cd"], banned="a") == "cd"
    with pytest.raises(textgen.ConstraintError, match="no text matches without") as caught:
        tiny.start("abc", match=expression, banned="bd")
    assert caught.value.parameter == "match"


def trial(generation: Generation, symbols: str, length: int) -> str:
    """Draw a text without a mask, up to its end or the first token that is none of these symbols."""
    text = ""
    while len(text) < length and (symbol := generation.take(1)) in symbols:
        text += symbol
    return text


@pytest.mark.parametrize("least", [2, 4])
@pytest.mark.parametrize("steps", [1, 2, None])
def test_resample_takes_the_first_unmasked_text_that_matches(
    tiny: Model, steps: int | None, least: int
) -> None:
    """All of it is returned at its end, which may come after its last chunk with text.

    A text that is masked is returned as it is drawn.
    """
    trials, length, endings = 3, 4, Counter[str]()
    sampling = Sampling(temperature=1.0, match=f"[ah ]{{{least},4}}", resample=trials)
    for seed in range(40):
        expected, start = "", tiny.start("abc", seed=seed, temperature=1.0)
        for _ in range(trials):
            attempt = start.copy()
            expected = trial(attempt, "ah ", length)
            if len(expected) >= least:
                break
            start.reseed(attempt.seed, attempt.substream, attempt.drawn)
        else:
            start.sampling = sampling.replace(resample=0)
            expected = start.take(length, finish=True)
        generation, batch, chunks = tiny.start("abc", seed=seed, sampling=sampling), Batch(tiny), []
        generation.keep_logprobs = True
        batch.add(generation, length)
        while batch:
            chunks += batch.advance(steps)
        assert "".join(chunk.text for chunk in chunks) == expected
        assert all(chunk.tokens == len(chunk.text) == len(chunk.logprobs or ()) for chunk in chunks)
        ending = chunks[-1].ending
        assert ending is not None
        assert ending == "masked" or chunks[-1].text == expected
        endings[ending] += 1
        assert tiny.generate("abc", length=length, seed=seed, sampling=sampling) == expected
    # Some texts were found, and some not.
    assert min(endings["constraint"], endings["masked"]) > 1


def test_a_text_that_is_not_complete_is_not_resampled(tiny: Model) -> None:
    generation = tiny.start("abc", seed=1, match="a{5}", resample=3)
    assert generation.take(2) == "aa"
    assert generation.take(3, finish=True) == "aaa"


def test_a_length_that_is_too_short_for_the_constraint_is_an_error(tiny: Model) -> None:
    with pytest.raises(SamplingError, match="at least 5 tokens, but the length is 4: use a greater length"):
        tiny.generate("abc", length=4, match="a{5}")
    # take() without finish continues later.
    generation = tiny.start("abc", match="a{5}")
    assert generation.take(4) + generation.take(4) == "aaaaa"


PROMPT, SEED, LENGTH = "abc", 8, 300

# The texts of the tiny model at this temperature have all symbols.
TEMPERATURE = 2.0


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


@pytest.mark.parametrize("stops", [["dé", "ab", "€"], ["a", "ba", "cba"], ["hhhhhhhhhhhh"]])
def test_a_text_ends_before_its_first_stop_text(tiny: Model, stops: list[str]) -> None:
    expected, stop = before_first(plain_text(tiny), stops)
    for chunk in (1, 64, LENGTH):
        generation, batch = start(tiny, stop=stops), Batch(tiny)
        batch.add(generation, LENGTH)
        text = found = ""
        while batch:
            (part,) = batch.advance(chunk)
            text, found = text + part.text, part.stop
        assert (text, found) == (expected, stop)
        assert generation.ending == ("stop" if stop else "length")
    assert "".join(start(tiny, stop=stops).stream(LENGTH, finish=True)) == expected
    assert start(tiny, stop=stops, keep_stop=True).take(LENGTH, finish=True) == expected + stop


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
