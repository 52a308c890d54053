"""The samples in the report, and its figure of the next character's distribution."""

import random
import re
from itertools import pairwise

import pytest
import textgen_runtime as textgen
from textgen_runtime.corpus import Corpus
from textgen_runtime.temperatures import TEMPERATURES, compare_temperatures
from textgen_runtime.text import Normalization
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.loop import samples
from textgen_train.loop.samples import sample_records, sample_text, split_samples
from textgen_train.report import texts as report_texts
from textgen_train.report.texts import (
    choose_moments,
    copied_text,
    draw_distributions,
    measure_copied_text,
    sample_moments,
)

from tests.helpers.paths import TINY
from tests.helpers.record_models import record_model
from tests.helpers.report_pages import Page, dataset_of, evaluation


@pytest.mark.parametrize("prompt", ["dad", "a\nb"])
def test_samples_are_split_into_prompt_and_texts(tiny: textgen.Model, prompt: str) -> None:
    drawn = sample_text(tiny, prompt, seed=4)
    found, texts = split_samples(drawn)
    assert found == prompt
    assert list(texts) == list(TEMPERATURES)
    for temperature, text in texts.items():
        assert f"------ temperature: {temperature}\n{prompt}{text}" in drawn
        assert len(text) == 400


@pytest.mark.parametrize(("level", "tokens"), [("character", 400), ("word", 80), ("byte", 720)])
def test_samples_have_about_400_characters(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch, level: str, tokens: int
) -> None:
    monkeypatch.setattr(samples, "sample_text", lambda *arguments: str(arguments[3]))
    # Each word and each space is a token, and each letter has two bytes.
    text = "дома дому " * 1000
    dataset = make_dataset(Corpus.from_text("house", text), Normalization(), 0.1, level=level)
    length = samples.Samples(dataset, 0).draw(tiny, 0)
    assert int(length) == pytest.approx(tokens, abs=1)


def test_samples_of_records_are_split_into_the_records_of_each_temperature() -> None:
    model = record_model()
    drawn = sample_records(model, random.Random(4))
    prompt, texts = split_samples(drawn)
    assert prompt == ""
    assert list(texts) == list(TEMPERATURES)
    for temperature, text in texts.items():
        assert f"------ temperature: {temperature}\n{text}" in drawn
        assert "temperature" not in text
    page = Page(sample_moments([evaluation(10, 2.0)], [drawn], evaluation(10, 2.0)))
    assert len(page.find("figcaption")) == len(TEMPERATURES)


@pytest.mark.parametrize("samples", ["", "a text", "------ temperature: 0.2\na", "--- generating from: x\n"])
def test_samples_of_another_format_are_not_split(samples: str) -> None:
    assert split_samples(samples) == ("", {})


def test_all_of_a_few_moments_are_shown() -> None:
    assert choose_moments([], 0) == []
    assert choose_moments([1, 2, 3], 2) == [0, 1, 2]
    assert choose_moments([*range(1, 7)], 6) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("count", [7, 8, 20, 500])
def test_many_moments_are_chosen_from_the_beginning_on(count: int) -> None:
    chosen = choose_moments([*range(100, 100 * count + 1, 100)], 100)
    assert len(set(chosen)) == 6
    assert chosen == sorted(chosen)
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    gaps = [later - earlier for earlier, later in pairwise(chosen)]
    assert gaps == sorted(gaps) or count < 20


def test_the_moment_of_the_saved_model_is_marked_and_never_left_out() -> None:
    assert {17, 499} <= set(choose_moments([*range(500)], 17))
    evaluations = [evaluation(10, 2.0), evaluation(20, 1.5), evaluation(30, 1.7)]
    page = Page(sample_moments(evaluations, ["some", "good", "text"], evaluations[1]))
    assert len(page.find("section", "moment")) == 3
    assert ["data-saved" in moment for moment in page.find("section", "moment")] == [False, True, False]
    assert "Update 20, 20 s: 1.500 nats (the saved model)good" in page.text


def test_evaluations_without_samples_are_omitted() -> None:
    evaluations = [evaluation(10, 2.0), evaluation(20, 1.5)]
    page = Page(sample_moments(evaluations, ["", "some text"], evaluations[0]))
    assert len(page.find("section", "moment")) == 1
    assert page.text.startswith("Update 20, 20 s: 1.500 nats")
    assert sample_moments(evaluations, ["", ""], evaluations[0]) == ""


def test_a_share_that_would_be_rounded_to_zero_is_not_shown_as_zero() -> None:
    comparison = compare_temperatures(textgen.load(TINY), "abc", (0.05, 1.0))
    assert any(0 < share < 0.0005 for share in comparison.probabilities[0])
    shown = re.findall(r">([^<>]*%)</text>", draw_distributions(comparison))
    assert "&lt;0.1%" in shown
    assert "0.0%" not in shown


def test_the_shares_of_a_figure_make_a_whole() -> None:
    figures = draw_distributions(compare_temperatures(textgen.load(TINY), "abc", (0.05, 1.0, 2.0)))
    descriptions = re.findall("<desc [^>]*>(.*?)</desc>", figures)
    assert len(descriptions) == 3
    for description in descriptions:
        assert "others " in description
        assert sum(map(float, re.findall(r" ([\d.]+)%", description))) == pytest.approx(100, abs=0.8)


def test_copies_are_searched_in_the_end_of_a_long_text(
    tiny: textgen.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated = tiny.generate(length=3000, temperature=0.2, seed=1)
    dataset = dataset_of(generated + "x" * 1000)
    assert measure_copied_text(tiny, dataset)[0.2] > 0.1
    monkeypatch.setattr(report_texts, "MAX_SEARCHED_TOKENS", 600)
    shares = measure_copied_text(tiny, dataset)
    assert shares == dict.fromkeys(TEMPERATURES, 0.0)
    assert "copied from the last 600 of 3,600 training tokens, in spans" in copied_text(shares, dataset)
