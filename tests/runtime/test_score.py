"""Scores of texts and of records, compared with a calculation from textbook formulas."""

import math

import numpy as np
import pytest
import textgen_runtime as textgen
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime import Model, ScoringError
from textgen_runtime import score as score_module
from textgen_runtime.model import EngineName, open_model
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.score import Score, predict, record_surprisals, score_records, total_score
from textgen_runtime.text import SEPARATORS, RecordKind, is_held_out
from textgen_runtime.tokenizer import BYTE_SYMBOLS, NO_SPECIAL_TOKENS, SpecialTokens

from tests.helpers.make_tiny_model import build_model, random_weights
from tests.helpers.record_models import LEVELS, WORDS, record_model

TEXT = "bad cab dad had a bed\nhé €ж𝄞 " * 7


def expected_prediction(model: Model, context: str, text: str) -> tuple[list[float], str]:
    """Return the surprisals and most likely characters, calculated one character at a time."""
    state = model.engine.initial_state()
    surprisals, choices = [], ""
    for previous, symbol in zip(context + text, text, strict=False):
        logits, state = model.engine.forward(np.array([model.tokenizer.encode(previous)]), state)
        probabilities = textgen.softmax(logits[0, 0])
        surprisals.append(-math.log(probabilities[model.tokenizer.symbols.index(symbol)]))
        choices += model.tokenizer.symbols[int(np.argmax(probabilities))]
    return surprisals, choices


@pytest.mark.parametrize("chunk", [1, 7, 1024])
def test_each_character_is_predicted_from_all_characters_before_it(
    tiny: Model, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(score_module, "CHUNK", chunk)
    prediction = predict(tiny, TEXT)
    surprisals, choices = expected_prediction(tiny, TEXT[0], TEXT[1:])
    assert (prediction.context, prediction.text) == (TEXT[0], TEXT[1:])
    np.testing.assert_allclose(prediction.surprisals, surprisals, atol=1e-5)
    assert prediction.choices == choices
    assert prediction.skipped == 0
    score = prediction.score
    assert score.characters == len(TEXT) - 1
    assert score.nats == pytest.approx(sum(surprisals) / len(surprisals), abs=1e-5)
    assert score.bits == pytest.approx(score.nats / math.log(2))
    assert score.perplexity == pytest.approx(math.exp(score.nats))
    assert score.accuracy == sum(map(str.__eq__, choices, TEXT[1:])) / (len(TEXT) - 1)


def test_number_of_logits_in_memory_is_bounded(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large vocabulary shortens the chunks and does not change the surprisals."""
    expected = predict(tiny, TEXT)
    sizes: list[int] = []
    forward = type(tiny.engine).forward

    def recording(*arguments: object) -> object:
        logits, state = forward(*arguments)  # type: ignore[arg-type]
        sizes.append(logits.size)
        return logits, state

    monkeypatch.setattr(type(tiny.engine), "forward", recording)
    for max_logits, chunk in ((12 * 5 + 11, 5), (1, 1)):
        sizes.clear()
        monkeypatch.setattr(score_module, "MAX_LOGITS", max_logits)
        np.testing.assert_allclose(predict(tiny, TEXT).surprisals, expected.surprisals, atol=1e-6)
        assert max(sizes) == 12 * chunk


def test_last_share_is_predicted_from_the_initial_state_and_one_character(tiny: Model) -> None:
    # More characters come before the share than are searched for the last token before it.
    assert len(TEXT) == 203
    prediction = predict(tiny, TEXT, last=0.1)
    assert (prediction.context, prediction.text) == (TEXT[182], TEXT[183:])
    np.testing.assert_allclose(
        prediction.surprisals, expected_prediction(tiny, TEXT[182], TEXT[183:])[0], atol=1e-5
    )


def test_text_is_normalized_and_unknown_characters_are_rejected_or_skipped(tiny: Model) -> None:
    assert predict(tiny, "\ufeffABC\r\nd").text == "bc\nd"
    with pytest.raises(textgen.PromptError, match="'x'"):
        predict(tiny, "abxc")
    prediction = predict(tiny, "abxcx", unknown="skip")
    assert (prediction.text, prediction.skipped) == ("bc", 2)
    np.testing.assert_array_equal(prediction.surprisals, predict(tiny, "abc").surprisals)


@pytest.mark.parametrize("text", ["", "a", "xyz", "xax"])
def test_text_with_fewer_than_two_known_characters_is_rejected(tiny: Model, text: str) -> None:
    with pytest.raises(ScoringError):
        predict(tiny, text, unknown="skip")


@pytest.mark.parametrize("last", [0.0, -0.1, 1.1, math.nan])
def test_last_must_be_above_0_and_at_most_1(tiny: Model, last: float) -> None:
    with pytest.raises(ValueError, match="last"):
        predict(tiny, "abc", last=last)


def test_logits_that_are_not_finite_are_rejected(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = type(tiny.engine).forward

    def broken(*arguments: object) -> object:
        logits, state = forward(*arguments)  # type: ignore[arg-type]
        return np.where(logits == np.max(logits), np.inf, logits), state

    monkeypatch.setattr(type(tiny.engine), "forward", broken)
    with pytest.raises(ScoringError, match="contain NaN or infinity"):
        predict(tiny, "abc")


def test_each_character_has_the_same_weight_in_a_total_score() -> None:
    score = total_score([Score(10, 10, 5.0, 3), Score(30, 30, 45.0, 6)])
    assert score == Score(40, 40, 50.0, 9)
    assert score.nats == 1.25
    assert Score(1, 1, 1000.0, 0).perplexity == math.inf


NAMES = ["abba", "", "cab", "d", "a" * 150, "dad"]


def expected_surprisals(model: Model, tokens: list[int]) -> list[float]:
    """Return the surprisal of each token and of the end, calculated one token at a time."""
    special = model.tokenizer.special
    assert special.begin is not None
    assert special.end is not None
    state, surprisals = model.engine.initial_state(), []
    for token, following in zip([special.begin, *tokens], [*tokens, special.end], strict=True):
        logits, state = model.engine.forward(np.array([[token]]), state)
        surprisals.append(-math.log(textgen.softmax(logits[0, 0])[following]))
    return surprisals


@pytest.mark.parametrize(
    ("level", "engine"), [*((level, "native") for level in LEVELS), ("character", "onnxruntime")]
)
def test_each_record_is_scored_from_begin_to_end(level: str, engine: EngineName) -> None:
    model = record_model(level, engine)
    records = [model.tokenizer.encode(name) for name in NAMES]
    expected = [expected_surprisals(model, list(record)) for record in records]
    score = score_records(model.engine, records, model.tokenizer.special)
    assert score.positions == sum(map(len, records)) + len(records)
    assert score.total_nats == pytest.approx(sum(map(sum, expected)), abs=1e-3)
    for number, values, _ in record_surprisals(model.engine, records, model.tokenizer.special):
        np.testing.assert_allclose(values, expected[number], atol=1e-4)


@pytest.mark.parametrize("limits", [(1, 2**20, 32), (64, 1, 32), (3, 2**20, 1000), (64, 400, 0)])
def test_the_score_does_not_depend_on_the_groups(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int, int]
) -> None:
    model = record_model()
    records = [model.tokenizer.encode(name) for name in NAMES * 3]
    expected = score_records(model.engine, records, model.tokenizer.special)
    for name, limit in zip(("MAX_LANES", "MAX_TOKENS", "MAX_PADDING"), limits, strict=True):
        monkeypatch.setattr(score_module, name, limit)
    assert score_records(model.engine, records, model.tokenizer.special) == expected
    assert score_records(model.engine, [], model.tokenizer.special) == (0.0, 0)
    with pytest.raises(ValueError, match="tokens begin and end"):
        score_records(model.engine, records, NO_SPECIAL_TOKENS)


@given(st.lists(st.integers(0, 5000), max_size=200))
def test_groups_have_all_records_and_little_padding(lengths: list[int]) -> None:
    groups = list(score_module.similar_lengths(lengths, 64))
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        assert 1 <= len(group) <= 64
        longest, shortest = lengths[group[0]], lengths[group[-1]]
        assert shortest <= longest <= 2 * shortest + score_module.MAX_PADDING


@pytest.mark.parametrize(("level", "kind"), [("character", "lines"), ("byte", "blank"), ("word", "blank")])
def test_a_text_is_predicted_as_its_records(level: str, kind: RecordKind) -> None:
    model, separator = record_model(level, kind=kind), SEPARATORS[kind]
    names = ["abba", "cab é", "dad"]
    prediction = predict(model, "\n \n" + separator.join(names) + "\n")
    records = [model.tokenizer.encode(name) for name in names]
    assert (prediction.context, prediction.ends) == ("", 3)
    assert prediction.text == "".join(name + separator for name in names)
    expected = [value for record in records for value in expected_surprisals(model, list(record))]
    np.testing.assert_allclose(prediction.surprisals, expected, atol=1e-4)
    assert len(prediction.symbols) == len(prediction.choices) == len(expected)
    score = prediction.score
    assert score.characters == sum(len(name) + 1 for name in names)
    assert score.tokens == len(expected)
    assert score.token_nats == pytest.approx(score.total_nats / len(expected))


def test_the_held_out_records_are_those_of_training() -> None:
    model = record_model()
    names = ["".join("abcd"[i // 4**k % 4] for k in range(3)) for i in range(64)]
    prediction = predict(model, "\n".join(names), last=0.3)
    assert prediction.text.split("\n")[:-1] == [name for name in names if is_held_out(name, 0.3)]
    assert 5 < prediction.ends < 40


@pytest.mark.parametrize(("text", "last"), [(" \n\n", 1.0), ("abc", 1e-6), ("abc\nab", 1e-6)])
def test_a_text_without_records_to_score_is_rejected(text: str, last: float) -> None:
    with pytest.raises(ScoringError):
        predict(record_model(), text, last=last)


def test_unknown_characters_of_records() -> None:
    model = record_model()
    prediction = predict(model, "axb\nyz\n")
    assert (prediction.unknown, prediction.text) == (3, "axb\nyz\n")
    prediction = predict(model, "axb\nyz\n", unknown="skip")
    assert (prediction.skipped, prediction.unknown, prediction.text) == (3, 0, "ab\n\n")
    prediction = predict(record_model("word"), "cabxab cab\n")
    assert (prediction.unknown, prediction.symbols) == (1, ["cab", "x", "ab", " cab", "\n"])


def plain_model(tokenizer: textgen.Tokenizer, records: RecordKind | None = None) -> Model:
    metadata = Metadata(tokenizer, records=records)
    return open_model(build_model(random_weights(len(tokenizer)), metadata).SerializeToString())


def test_bytes_are_scored_per_character() -> None:
    model = plain_model(make_tokenizer("byte", BYTE_SYMBOLS))
    content = b"caf\xc3\xa9 \xff\x00 \xe4\xb8\x80\xe4\xb8"
    text = content.decode("utf-8", "surrogateescape")
    prediction = predict(model, text)
    assert prediction.text == text[1:]
    assert (prediction.score.characters, prediction.score.tokens) == (len(text) - 1, len(content) - 1)
    assert prediction.symbols[2:5] == ["", "é", " "]
    logits, _ = model.engine.forward(np.array([list(content[:-1])]).T, model.engine.initial_state())
    values = logits[:, 0].astype(np.float64)
    log_softmax = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
    expected = [-log_softmax[i, byte] for i, byte in enumerate(content[1:])]
    np.testing.assert_allclose(prediction.surprisals, expected, atol=1e-4)
    held_out = predict(model, text, last=0.3)
    assert (held_out.context, held_out.text) == (" ", text[-3:])


def test_words_are_scored_per_character_and_per_token() -> None:
    model = plain_model(make_tokenizer("word", WORDS))
    prediction = predict(model, "ab cab ab")
    assert (prediction.context, list(prediction.symbols)) == ("ab", [" cab", " ", "ab"])
    score = prediction.score
    assert (score.characters, score.tokens) == (7, 3)
    assert score.nats == pytest.approx(prediction.surprisals.sum() / 7)
    assert score.perplexity == pytest.approx(np.exp(prediction.surprisals.mean()))
    assert score.accuracy == prediction.hits / 3
    # The last token before the held-out part, which starts within a word.
    held_out = predict(model, "ab cab ab", last=0.2)
    assert (held_out.context, held_out.text) == (" ", "ab")


def test_a_skipped_character_may_be_a_part_of_a_known_word() -> None:
    model = plain_model(make_tokenizer("word", [*"abc ", "caé"]))
    prediction = predict(model, "abécaé é caé", unknown="skip")
    assert list(prediction.symbols) == ["b", "caé", " ", " ", "caé"]
    assert (prediction.skipped, prediction.score.characters) == (2, 9)
    np.testing.assert_array_equal(prediction.surprisals, predict(model, "abcaé  caé").surprisals)


def test_the_error_about_unknown_characters_lists_those_of_all_records() -> None:
    tokenizer = make_tokenizer("word", (*WORDS, "", ""), SpecialTokens(begin=len(WORDS), end=len(WORDS) + 1))
    model = plain_model(tokenizer, "lines")
    with pytest.raises(textgen.PromptError, match=r"'x'.*'y'.*'z'"):
        predict(model, "ab\nzx\nay\n")
