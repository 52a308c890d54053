"""Experiments on the quality of the presets: trials, ideas, the bias of a choice, and the page."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from textgen_train.data.dataset import Dataset
from textgen_train.data.tokens import Tokens
from textgen_train.presets import LARGE_VOCABULARY

from benchmarks.quality import experiments, ideas, sections, selection_bias, trial
from benchmarks.quality.trial import Experiment, Idea
from tests.helpers.paths import ROOT

TEXT = "".join(random.Random(0).choices(["the cat ", "a dog ", "sat on ", "the mat. ", "ran. "], k=300))
SMALL = {"units": 8, "embedding": 4, "batch": 4, "sequence_length": 16}


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    """A folder with a short text and a short list under the names of two corpora."""
    (tmp_path / "onegin_ru.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "names.txt").write_text("".join(f"name{i}\n" for i in range(300)), encoding="utf-8")
    return tmp_path


def test_the_page_is_written_from_the_results() -> None:
    page = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    assert page == experiments.make_page(experiments.read_results())


def test_each_result_belongs_to_a_row() -> None:
    rows = {(name, row.label) for name, section in sections.SECTIONS.items() for row in section.experiments}
    assert rows >= set(experiments.read_results())
    assert len(rows) == sum(len(section.experiments) for section in sections.SECTIONS.values())


def test_a_row_has_the_mean_of_the_seeds_and_its_difference_from_the_first_row(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    lines = [
        {"section": "s", "label": label, "seed": seed, "nats": nats, "training_nats": 1.0, "seconds": 60.4}
        for label, seed, nats in (("a", 0, 9.0), ("a", 1, 1.5), ("b", 0, 1.25), ("a", 0, 1.25))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    section = sections.Section("", "", (Experiment("a", 1), Experiment("b", 1), Experiment("c", 1)), ())
    assert experiments.make_rows("s", section, experiments.read_results(path)) == (
        "| a | 1.3750 ± 0.1250 |  | 1.0000 | 2 | 60 |\n| b | 1.2500 | -0.1250 | 1.0000 | 1 | 60 |\n"
    )


def text_of(dataset: Dataset, *, is_held_out: bool) -> str:
    tokens = dataset.held_out if is_held_out else dataset.training
    return dataset.tokenizer.decode(tokens)


def records(dataset: Dataset, tokens: Tokens) -> set[str]:
    ends = np.flatnonzero(tokens == dataset.tokenizer.special.end)
    return {dataset.tokenizer.decode(part[part != tokens[-1]]) for part in np.split(tokens, ends)} - {""}


def test_the_validation_part_is_before_the_held_out_part(corpora: Path) -> None:
    chosen, final = (trial.read_dataset("onegin", part, corpora) for part in (trial.VALIDATION, trial.FINAL))
    before = text_of(final, is_held_out=False)
    assert before + text_of(final, is_held_out=True) == TEXT
    assert before == text_of(chosen, is_held_out=False) + text_of(chosen, is_held_out=True)
    assert len(chosen.held_out) == pytest.approx(len(before) / 10, abs=1)


def test_the_validation_records_are_others_than_the_held_out_ones(corpora: Path) -> None:
    chosen, final = (trial.read_dataset("names", part, corpora) for part in (trial.VALIDATION, trial.FINAL))
    training, validation, held_out = (
        records(dataset, tokens)
        for dataset, tokens in ((chosen, chosen.training), (chosen, chosen.held_out), (final, final.held_out))
    )
    assert training | validation == records(final, final.training)
    assert not held_out & (training | validation)
    assert len(validation) == pytest.approx(27, abs=12)


@pytest.fixture(scope="module")
def usual_nats(tmp_path_factory: pytest.TempPathFactory) -> float:
    """The loss of a trial without an idea."""
    folder = tmp_path_factory.mktemp("usual")
    (folder / "onegin_ru.txt").write_text(TEXT, encoding="utf-8")
    return float(trial.run_trial(Experiment("row", 2, "onegin", changes=SMALL), 0, folder, folder)["nats"])


@pytest.mark.parametrize(
    "idea",
    [
        ideas.decay_over_time(2.0, 0.0),
        ideas.confidence_over_time(0.1, 0.0),
        ideas.averaged_cycles(0.5, 2, 0.05),
        ideas.second_target(0.1, 2 / 3),
        ideas.past_decoding(0.01),
        ideas.dropout_by_layer(0.1, 0.2),
        ideas.sharpness(0.05),
    ],
)
def test_an_idea_changes_the_training(corpora: Path, usual_nats: float, idea: Idea) -> None:
    nats = trial.run_trial(
        Experiment("row", 2, "onegin", changes=SMALL, idea=idea), 0, corpora, corpora / "models"
    )["nats"]
    assert nats != usual_nats
    # The loss of equal probabilities is 2.6.
    assert nats < 2.4


def test_a_trial_learns_from_the_models_of_its_section(corpora: Path, tmp_path: Path) -> None:
    rows = [Experiment("first row", 3, "onegin", changes=SMALL)]
    rows += [Experiment("taught", 3, "onegin", changes=SMALL, teachers=("first row",), teacher_weight=0.5)]
    first, taught = (trial.run_trial(row, 0, corpora, tmp_path / "models") for row in rows)
    assert taught["nats"] != first["nats"]


def test_the_bias_is_what_a_choice_on_a_half_gains_there() -> None:
    # The even parts choose the first evaluation, and the odd ones the second.
    losses = np.array([[1.0, 3.0, 1.0, 3.0], [2.0, 2.5, 2.0, 2.5]])
    assert selection_bias.selection_bias(losses) == pytest.approx((1.0 + 0.5) / 2)
    assert selection_bias.selection_bias(losses[:1]) == 0.0


def test_the_recipes_of_all_rows_are_valid() -> None:
    for section in sections.SECTIONS.values():
        for row in section.experiments:
            size = LARGE_VOCABULARY if row.corpus == "soseki" else 57
            assert row.recipe(size, 400_000).units > 0
