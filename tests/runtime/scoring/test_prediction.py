"""Predictions of a text, compared with a calculation from textbook formulas."""

import math

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, ScoringError
from textgen_runtime.scoring import surprisals as surprisals_module
from textgen_runtime.scoring.prediction import Score, predict, total_score

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
    monkeypatch.setattr(surprisals_module, "CHUNK", chunk)
    prediction = predict(tiny, TEXT)
    surprisals, choices = expected_prediction(tiny, TEXT[0], TEXT[1:])
    assert (prediction.context, prediction.text) == (TEXT[0], TEXT[1:])
    np.testing.assert_allclose(prediction.surprisals, surprisals, atol=1e-5)
    assert prediction.choices == choices
    assert prediction.skipped == 0


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
        monkeypatch.setattr(surprisals_module, "MAX_LOGITS", max_logits)
        np.testing.assert_allclose(predict(tiny, TEXT).surprisals, expected.surprisals, atol=1e-6)
        assert max(sizes) == 12 * chunk


def test_score_summarizes_the_prediction(tiny: Model) -> None:
    surprisals, choices = expected_prediction(tiny, TEXT[0], TEXT[1:])
    score = predict(tiny, TEXT).score
    assert score.characters == len(TEXT) - 1
    assert score.nats == pytest.approx(sum(surprisals) / len(surprisals), abs=1e-5)
    assert score.bits == pytest.approx(score.nats / math.log(2))
    assert score.perplexity == pytest.approx(math.exp(score.nats))
    assert score.accuracy == sum(a == b for a, b in zip(choices, TEXT[1:], strict=True)) / (len(TEXT) - 1)


def test_last_share_is_predicted_from_the_initial_state_and_one_character(tiny: Model) -> None:
    # More characters come before the share than are searched for the last token before it.
    assert len(TEXT) == 203
    prediction = predict(tiny, TEXT, last=0.1)
    assert (prediction.context, prediction.text) == (TEXT[182], TEXT[183:])
    np.testing.assert_allclose(
        prediction.surprisals, expected_prediction(tiny, TEXT[182], TEXT[183:])[0], atol=1e-5
    )


def test_text_is_normalized(tiny: Model) -> None:
    assert predict(tiny, "\ufeffABC\r\nd").text == "bc\nd"


def test_unknown_characters_are_rejected_or_skipped(tiny: Model) -> None:
    with pytest.raises(textgen.PromptError, match="'x'"):
        predict(tiny, "abxc")
    prediction = predict(tiny, "abxcx", unknown="skip")
    assert (prediction.text, prediction.skipped) == ("bc", 2)
    np.testing.assert_array_equal(prediction.surprisals, predict(tiny, "abc").surprisals)


@pytest.mark.parametrize("text", ["", "a", "xyz", "xax"])
def test_text_with_fewer_than_two_known_characters_is_rejected(tiny: Model, text: str) -> None:
    with pytest.raises(ScoringError, match="the text is too short to score"):
        predict(tiny, text, unknown="skip")


@pytest.mark.parametrize("last", [0.0, -0.1, 1.1, math.nan])
def test_last_must_be_above_0_and_at_most_1(tiny: Model, last: float) -> None:
    with pytest.raises(ValueError, match="last"):
        predict(tiny, "abc", last=last)


def test_logits_that_are_not_finite_are_rejected(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = type(tiny.engine).forward

    def broken(*arguments: object) -> object:
        logits, state = forward(*arguments)  # type: ignore[arg-type]
        return np.where(logits == logits.max(), np.inf, logits), state

    monkeypatch.setattr(type(tiny.engine), "forward", broken)
    with pytest.raises(ScoringError, match="contain NaN or infinity"):
        predict(tiny, "abc")


def test_each_character_has_the_same_weight_in_a_total_score() -> None:
    score = total_score([Score(10, 10, 5.0, 3), Score(30, 30, 45.0, 6)])
    assert score == Score(40, 40, 50.0, 9)
    assert score.nats == 1.25


def test_perplexity_too_large_for_a_float_is_infinite() -> None:
    assert Score(1, 1, 1000.0, 0).perplexity == math.inf
