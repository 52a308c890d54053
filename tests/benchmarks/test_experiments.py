"""Experiments on the quality of the presets: trials, ideas, the bias of a choice, and the page."""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from textgen_train.data.batches import PADDING, Batch
from textgen_train.data.dataset import Dataset
from textgen_train.data.tokens import Tokens
from textgen_train.loop import text_parts
from textgen_train.loop.held_out_loss import held_out_loss
from textgen_train.models.cells import CharLSTM
from textgen_train.recipe import Recipe

from benchmarks.quality import experiments, ideas, sections, selection_bias, trial
from benchmarks.quality.section import Section
from benchmarks.quality.trial import SOURCES, Experiment, Idea
from tests.helpers.paths import ROOT

TEXT = "".join(random.Random(0).choices(["the cat ", "a dog ", "sat on ", "the mat. ", "ran. "], k=300))
LIST = "".join(f"name{i}\n" for i in range(300))
SMALL = {"units": 8, "embedding": 4, "batch": 4, "sequence_length": 16}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a short text and a short list, in place of two corpora."""
    folder = tmp_path_factory.mktemp("corpora")
    with pytest.MonkeyPatch.context() as patch:
        for name, text in (("onegin", TEXT), ("names", LIST)):
            (folder / SOURCES[name].file).write_text(text, encoding="utf-8")
            sha256 = hashlib.sha256(text.encode()).hexdigest()
            patch.setitem(SOURCES, name, SOURCES[name]._replace(sha256=sha256))
        yield folder


def test_the_page_is_written_from_the_results() -> None:
    page = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    assert page == experiments.make_page(experiments.read_results())


def test_no_section_or_row_has_the_name_of_another() -> None:
    found = [(name, row.label) for part in sections.PARTS for name in part for row in part[name].experiments]
    assert len(set(found)) == len(found)
    assert len(sections.SECTIONS) == sum(map(len, sections.PARTS))


def test_each_row_has_a_result_with_its_hyperparameters() -> None:
    rows = {
        (name, row.label): row for name, section in sections.SECTIONS.items() for row in section.experiments
    }
    results = experiments.read_results()
    assert rows.keys() == results.keys()
    for key, lines in results.items():
        for line in lines:
            recipe = rows[key].recipe(line["common_symbols"], line["training_tokens"])
            assert line["recipe"] == asdict(recipe)
            assert line["epochs"] == rows[key].epochs


def test_a_row_has_the_mean_of_its_seeds_and_the_difference_on_common_seeds(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    lines = [
        {"section": "s", "label": label, "seed": seed, "nats": nats, "training_nats": 1.0, "seconds": 60.4}
        for label, seed, nats in (("a", 0, 9.0), ("a", 1, 1.5), ("b", 1, 1.25), ("a", 0, 1.25))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    section = Section("", "", (Experiment("a", 1), Experiment("b", 1)), ())
    assert experiments.make_rows("s", section, experiments.read_results(path)) == (
        "| a | 1.3750 ± 0.1250 |  | 1.0000 | 2 | 60 |\n| b | 1.2500 | -0.2500 | 1.0000 | 1 | 60 |\n"
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


def test_a_text_that_is_not_the_corpus_is_refused(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "onegin", SOURCES["onegin"]._replace(sha256="0" * 64))
    with pytest.raises(SystemExit, match=r"onegin_ru.txt is another text"):
        trial.read_dataset("onegin", trial.FINAL, corpora)


@pytest.mark.parametrize(
    "idea", [ideas.averaged_cycles(0.5, 2, 0.05), ideas.past_decoding(0.01), ideas.sharpness(0.05)]
)
def test_a_trial_with_an_idea_learns_the_text(corpora: Path, tmp_path: Path, idea: Idea) -> None:
    row = Experiment("row", 2, "onegin", changes=SMALL, idea=idea)
    # The loss of equal probabilities is 2.6.
    assert trial.run_trial(row, 0, corpora, tmp_path)["nats"] < 2.4


def test_past_decoding_also_trains_its_own_weights(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optimizers: list[torch.optim.AdamW] = []

    class Spy(torch.optim.AdamW):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            optimizers.append(self)

    monkeypatch.setattr(torch.optim, "AdamW", Spy)
    row = Experiment("row", 1, "onegin", changes=SMALL, idea=ideas.past_decoding(0.01))
    trainer = trial.make_trainer(row, trial.read_dataset("onegin", trial.VALIDATION, corpora), 0)
    weights = optimizers[-1].param_groups[0]["params"]
    before = [weight.detach().clone() for weight in weights]
    next(iter(trainer.updates()))
    assert len(weights) == 3
    assert not any(map(torch.equal, weights, before))


def test_the_gradient_of_a_flat_minimum_is_that_of_weights_that_are_moved_uphill() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, -3.0)
    seeds: list[tuple[int, int]] = []
    states: list[list[int]] = []

    def backward(*_: object) -> tuple[float, float]:
        states.append(list(learner._lane_states))
        learner._lane_states[:] = [9]
        model.weight.grad = 2.0 * model.weight.detach()
        return model.weight.item(), 0.5

    learner = SimpleNamespace(_lane_states=[1])
    replicas = SimpleNamespace(backward=backward, seed_dropout=lambda *seed: seeds.append(seed))
    ideas.sharpness(0.5)(made(model=model, replicas=replicas, _learner=learner, _seed=4, _step=7))
    assert replicas.backward(None, 1, 0.5) == (-3.0, 0.5)
    assert model.weight.grad is not None
    assert model.weight.grad.item() == pytest.approx(2.0 * -3.5)
    assert model.weight.item() == pytest.approx(-3.0)
    # Both passes have the same state and the same dropout.
    assert states == [[1], [1]]
    assert seeds == [(4, 7)]


def made(**parts: Any) -> Any:
    """Return the parts of a trainer that an idea changes."""
    optimizers = [SimpleNamespace(param_groups=[{}], defaults={"weight_decay": 0.5}) for _ in range(2)]
    learner = SimpleNamespace(_recipe=Recipe())
    usual = {"_lr_factor": lambda step, _: step, "_optimizers": optimizers, "_learner": learner}
    return SimpleNamespace(**usual | parts)


def test_all_decays_change_over_time() -> None:
    trainer = made()
    ideas.decay_over_time(2.0, 0.0)(trainer)
    for progress, decay in ((0.0, 1.0), (0.25, 0.75), (1.0, 0.0)):
        assert trainer._lr_factor(3, progress) == 3
        assert [optimizer.param_groups for optimizer in trainer._optimizers] == [
            [{"weight_decay": decay}],
            [{"weight_decay": decay}],
        ]


def test_the_confidence_penalty_changes_over_time() -> None:
    trainer = made()
    ideas.confidence_over_time(0.2, 0.0)(trainer)
    for progress, penalty in ((0.0, 0.2), (0.5, 0.1), (1.0, 0.0)):
        assert trainer._lr_factor(3, progress) == 3
        assert trainer._learner._recipe.confidence_penalty == pytest.approx(penalty)


def test_the_second_target_is_the_token_after_the_target() -> None:
    trainer = made(progress=0.25)
    ideas.second_target(0.4, 0.5)(trainer)
    targets = torch.tensor([[1, 2], [3, 4], [5, PADDING]])
    batch = Batch(targets, targets, 5, is_start=True, divisor=5.0)
    soft = trainer._learner._soft_targets(batch, slice(0, 2))
    # The last target of a lane has none after it.
    assert soft.tokens.flatten().tolist() == [3, 4, 5, 4, 5]
    assert soft.shares.flatten().tolist() == pytest.approx([0.2] * 5)
    trainer.progress = 0.5
    assert trainer._learner._soft_targets(batch, slice(0, 2)) is None


def test_each_layer_drops_its_own_share() -> None:
    model = CharLSTM(5, units=400, layers=2, embedding=3)
    model.generator = torch.Generator()
    ideas.dropout_by_layer(0.5, 0.0)(SimpleNamespace(model=model))
    values = torch.ones(10, 400)
    for _ in range(2):
        embedded, first, second = (model._apply_dropout(values, 0.0) for _ in range(3))
        assert (embedded == 1).all()
        assert (second == 1).all()
        assert 0.45 < (first == 0).float().mean() < 0.55


def test_the_mean_of_the_ends_of_the_cycles_replaces_the_weights() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    rates: list[float] = []

    def update(_: object, rate: float) -> float:
        rates.append(rate)
        torch.nn.init.constant_(model.weight, len(rates))
        return 0.0

    trainer = made(model=model, updates_per_epoch=8, budget=SimpleNamespace(epochs=1), _step=0)
    trainer._lr_factor = lambda _, progress: 1.0 - progress
    trainer._learner.update = update
    ideas.averaged_cycles(0.5, 2, 0.0)(trainer)
    for trainer._step in range(8):
        trainer._learner.update(None, trainer._lr_factor(trainer._step, trainer._step / 8))
    assert rates[4:] == [0.5, 0.25, 0.5, 0.25]
    # The cycles end after 6 and 8 updates.
    assert model.weight.item() == 7.0


def test_a_trial_learns_from_the_models_of_its_section(corpora: Path, tmp_path: Path) -> None:
    rows = [Experiment("first row", 3, "onegin", changes=SMALL)]
    rows += [Experiment("taught", 3, "onegin", changes=SMALL, teachers=("first row",), teacher_weight=0.5)]
    first, taught = (trial.run_trial(row, 0, corpora, tmp_path / "models") for row in rows)
    assert taught["nats"] != first["nats"]


def test_the_losses_of_the_parts_are_those_of_the_held_out_text(
    corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part is longer than a forward call."""
    for name, value in {"MIN_PART": 20, "CHUNK": 7}.items():
        monkeypatch.setattr(text_parts, name, value)
    dataset = trial.read_dataset("onegin", trial.FINAL, corpora)
    trainer = trial.make_trainer(Experiment("row", 1, "onegin", changes=SMALL), dataset, 0)
    model = trial.export(trainer, dataset).model
    losses = selection_bias._part_losses(model, dataset)
    tokens = dataset.held_out
    size = -(-len(tokens) // len(losses))
    assert len(losses) > 5
    counts = [len(tokens[start : start + size]) for start in range(0, len(tokens), size)]
    assert np.average(losses, weights=counts) == pytest.approx(held_out_loss(model, dataset), rel=1e-6)
    # Each loss is that of its own part.
    first = replace(dataset, held_out=tokens[:size])
    assert losses[0] == pytest.approx(held_out_loss(model, first), rel=1e-3)


def test_the_bias_is_what_a_choice_on_a_half_gains_there() -> None:
    # The even parts choose the first evaluation, and the odd ones the second.
    losses = np.array([[1.0, 3.0, 1.0, 3.0], [2.0, 2.5, 2.0, 2.5]])
    assert selection_bias.selection_bias(losses) == pytest.approx((1.0 + 0.5) / 2)
    assert selection_bias.selection_bias(losses[:1]) == 0.0
