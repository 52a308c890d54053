"""Allowed and banned characters, and biases of characters."""

import pytest
from textgen_runtime import Model, SamplingError


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
