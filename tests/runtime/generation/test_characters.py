"""Allowed and banned characters, and biases of characters."""

import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, SamplingError
from textgen_runtime.engines.opening import EngineName

from tests.helpers.paths import FORMAT_2
from tests.helpers.record_models import ENGINES, record_model


def text(model: Model, **options: object) -> str:
    return model.generate("abc", length=400, seed=1, temperature=3.0, **options)  # type: ignore[call-overload,no-any-return]


def test_banned_characters_do_not_occur(tiny: Model) -> None:
    assert set(text(tiny)) == set(tiny.tokenizer.symbols)
    assert set(text(tiny, banned="ab\n")) == set(tiny.tokenizer.symbols) - set("ab\n")


def test_only_allowed_characters_occur(tiny: Model) -> None:
    assert set(text(tiny, allowed="abé")) == set("abé")
    assert set(text(tiny, allowed="abéxyz", banned="a")) == set("bé")


def test_characters_outside_the_vocabulary_are_allowed_and_banned_without_effect(tiny: Model) -> None:
    assert text(tiny, banned="xyz") == text(tiny)
    assert text(tiny, allowed=[*tiny.tokenizer.symbols, "z"]) == text(tiny)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_word_is_allowed_and_banned_by_its_characters(engine: EngineName) -> None:
    model = textgen.load(FORMAT_2 / "word.onnx", engine=engine)
    assert set(text(model)) == set(" abcd\n")
    assert set(text(model, banned="a")) == set(" bcd\n")
    only = text(model, allowed="cab")
    assert set(only) == set("cab")
    # The word, and not only its characters.
    assert len(only) > 400
    assert set(text(model, allowed="cabd ", banned=[" cab"])) == set("cabd ")
    assert "cab" in text(model, allowed=["cab"])
    assert set(text(model, match="[ab]{9}", banned="b")) == {"a"}


def test_a_bias_changes_how_often_a_character_occurs(tiny: Model) -> None:
    counts = [text(tiny, logit_bias={"a": bias}).count("a") for bias in (-100, -3, 0, 3, 100)]
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
    with pytest.raises(textgen.ConstraintError, match="no text of the vocabulary matches"):
        model.start("a", match="é")
