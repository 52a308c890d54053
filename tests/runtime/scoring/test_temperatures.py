"""The distribution of the next character at several temperatures."""

import math

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, TemperatureComparison, compare_temperatures
from textgen_runtime.options import SamplingOptions

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
    with pytest.raises(textgen.SamplingError, match="temperature must be a finite number"):
        compare_temperatures(tiny, "dad", (0.5, -1.0))
    with pytest.raises(ValueError, match="at least one temperature"):
        compare_temperatures(tiny, "dad", ())
    with pytest.raises(TypeError, match="pass temperatures, a sequence"):
        compare_temperatures(tiny, "dad", temperature=0.5)
    with pytest.raises(textgen.PromptError, match="not in the model's vocabulary"):
        compare_temperatures(tiny, "x")
