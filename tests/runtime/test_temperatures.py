"""The next character at several temperatures, and how much of generated texts stands in a corpus."""

import math

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, TemperatureComparison, compare_temperatures
from textgen_runtime._core import Spans
from textgen_runtime.options import SamplingOptions
from textgen_runtime.temperatures import COPIED_SPAN, copied_shares, draw_texts

from tests.helpers.changed_models import with_metadata

TEMPERATURES = (0.0, 0.01, 0.5, 1.0, 1.7)


def probabilities_by_symbol(comparison: TemperatureComparison, number: int) -> dict[str, float]:
    """One distribution as a dict."""
    return dict(zip(comparison.symbols, comparison.probabilities[number].tolist(), strict=True))


def test_each_row_is_the_distribution_that_a_sampler_draws_from(tiny: Model) -> None:
    comparison = compare_temperatures(tiny, "dad", TEMPERATURES)
    logits = tiny.start("dad").logits
    assert comparison.temperatures == list(TEMPERATURES)
    assert comparison.probabilities.shape == (5, len(tiny.tokenizer))
    for number, temperature in enumerate(TEMPERATURES):
        expected = dict(zip(tiny.tokenizer.symbols, textgen.softmax(logits, temperature), strict=True))
        assert probabilities_by_symbol(comparison, number) == pytest.approx(expected, abs=1e-15)
    assert comparison.original == pytest.approx(comparison.probabilities[3])


@pytest.mark.parametrize("temperatures", [(0.0,), (0.001,), (1.0,), (0.0, 50.0)])
def test_the_most_likely_symbol_is_first(tiny: Model, temperatures: tuple[float, ...]) -> None:
    """Even if the unlikely symbols have the probability 0 at every temperature."""
    comparison = compare_temperatures(tiny, "dad", temperatures)
    order = np.argsort(-tiny.start("dad").logits.astype(float), kind="stable")
    assert comparison.symbols == [tiny.tokenizer.symbols[token] for token in order]
    assert np.all(np.diff(comparison.probabilities, axis=1) <= 0)


def test_entropies_are_in_bits_and_choices_are_their_powers_of_two(tiny: Model) -> None:
    comparison = compare_temperatures(tiny, "dad", TEMPERATURES)
    for row, bits, choices in zip(
        comparison.probabilities, comparison.entropies, comparison.choices, strict=True
    ):
        expected = -math.fsum(p * math.log2(p) for p in row.tolist() if p)
        assert bits == pytest.approx(expected, abs=1e-12)
        assert choices == pytest.approx(2**expected)
    assert comparison.entropies[0] == 0
    assert np.all(np.diff(comparison.entropies) > 0)


def test_the_prompt_is_normalized_and_the_default_is_that_of_a_text(tiny: Model) -> None:
    assert compare_temperatures(tiny, "DAD").prompt == "dad"
    assert compare_temperatures(tiny, "DxAD", unknown="skip").prompt == "dad"
    for seed in range(3):
        assert compare_temperatures(tiny, seed=seed).prompt == tiny.start(seed=seed).prompt
    assert compare_temperatures(tiny).temperatures == [0.2, 0.5, 1.0, 1.2]
    assert compare_temperatures(tiny).unit == "character"


def test_the_temperature_of_a_sampling_has_no_effect(tiny: Model) -> None:
    changed = compare_temperatures(tiny, "dad", sampling=textgen.Sampling(temperature=3.0))
    np.testing.assert_array_equal(changed.probabilities, compare_temperatures(tiny, "dad").probabilities)


@pytest.mark.parametrize(
    "options",
    [{"top_k": 3}, {"min_p": 0.1}, {"banned": "ha"}, {"logit_bias": {"c": 5.0}}, {"match": "[abc]+"}],
)
def test_each_row_is_the_distribution_after_the_filters(tiny: Model, options: SamplingOptions) -> None:
    comparison = compare_temperatures(tiny, "dad", (0.0, 2.0), **options)
    for number, temperature in enumerate((0.0, 2.0)):
        sampling = textgen.Sampling(**options).replace(temperature=temperature)
        top = tiny.start("dad", sampling=sampling).top(100)
        expected = {token.text: token.draw_probability for token in top}
        assert probabilities_by_symbol(comparison, number) == pytest.approx(expected)
    assert comparison.probabilities[1] != pytest.approx(textgen.reweight(comparison.original, 2.0))
    # The order is that after the filters.
    assert np.all(np.diff(comparison.probabilities, axis=1) <= 0)
    assert sorted(comparison.original) == pytest.approx(sorted(textgen.softmax(tiny.start("dad").logits)))


def test_wrong_arguments_are_rejected(tiny: Model) -> None:
    with pytest.raises(textgen.SamplingError):
        compare_temperatures(tiny, "dad", (0.5, -1.0))
    with pytest.raises(ValueError, match="temperature"):
        compare_temperatures(tiny, "dad", ())
    with pytest.raises(TypeError, match="temperatures"):
        compare_temperatures(tiny, "dad", temperature=0.5)
    with pytest.raises(textgen.PromptError):
        compare_temperatures(tiny, "x")


def test_a_span_of_a_corpus_ends_at_a_character_that_no_text_can_have() -> None:
    spans = Spans([1, 2, -1, 2, 3, 1], 2, 4)
    assert spans.count_copied([1, 2, 2, 3, 1]) == 3
    assert spans.max_copy == 2


def test_the_shares_are_those_of_long_spans(tiny: Model) -> None:
    likely = tiny.generate(length=3000, temperature=0)
    shares = copied_shares(draw_texts(tiny, [0.0, 2.0]), likely)
    assert shares[0.0] > 0.9
    assert shares[2.0] == 0
    parts = "X".join(likely[i : i + COPIED_SPAN - 1] for i in range(0, 3000, COPIED_SPAN - 1))
    assert copied_shares(draw_texts(tiny, [0.0]), parts) == {0.0: 0.0}


def test_a_model_without_prompts_has_no_texts_to_compare(tiny: Model) -> None:
    without = with_metadata(tiny, tiny.metadata._replace(prompts=()))
    with pytest.raises(textgen.ScoringError):
        draw_texts(without)
