"""The advice at the end of a run."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from textgen_train.cli._messages import describe_evaluation_share, describe_overfitting
from textgen_train.loop.events import Evaluation
from textgen_train.recipe import Budget

from tests.helpers.commands import Captured
from tests.helpers.train_command import run

BEST = Evaluation(
    step=80,
    epoch=20.0,
    seconds=81.0,
    training_nats=1.5,
    held_out_nats=1.75,
    bits_per_character=2.5,
    learning_rate=0.01,
)
LAST = replace(BEST, step=360, epoch=90.0, seconds=359.0, held_out_nats=1.7685)


def test_a_run_whose_loss_has_risen_says_when_the_best_model_was_there() -> None:
    assert describe_overfitting(BEST, LAST, Budget(minutes=6)) == (
        "the best model is from 1:21 of 5:59: more text or a shorter run helps, more minutes do not\n"
    )
    assert describe_overfitting(BEST, LAST, Budget(epochs=90)) == (
        "the best model is from epoch 20.0 of 90.0: more text or a shorter run helps, more epochs do not\n"
    )


@pytest.mark.parametrize("changes", [{"seconds": 100.0}, {"held_out_nats": 1.755}])
def test_a_best_model_shortly_before_the_end_or_a_plateau_is_no_overfitting(
    changes: dict[str, float],
) -> None:
    assert describe_overfitting(BEST, replace(LAST, **changes), Budget(minutes=6)) == ""  # type: ignore[arg-type]


def test_evaluations_that_take_more_than_a_fifth_are_mentioned() -> None:
    assert describe_evaluation_share(12.0, 60.0) == ""
    assert describe_evaluation_share(12.5, 60.0).startswith("evaluations took 12 s of 1:00: ")


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(("--epochs", "8"), "more epochs do not"), (("--minutes", "0.0001"), "evaluations took ")],
)
def test_the_advice_stands_before_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, budget: tuple[str, str], expected: str
) -> None:
    """Nothing can be learned from letters at random."""
    monkeypatch.chdir(tmp_path)
    letters = "".join(random.Random(1).choices("abcdefgh", k=2000))
    Path("letters.txt").write_text(letters, encoding="utf-8")
    network = ("--units", "32", "--batch", "4", "--sequence-length", "16", "--dropout", "0")
    options = (*network, "--weight-dropout", "0", "--threads", "1", "--no-samples")
    code, out, _ = run(capsys, "letters.txt", *options, *budget)
    assert code == 0
    assert expected in out.splitlines()[-2]
