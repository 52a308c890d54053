"""A training run that is interrupted, fails or diverges keeps its best model and says what happened."""

import errno
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime import OutputError
from textgen_train.errors import ExportError, TrainingError
from textgen_train.export import exporter
from textgen_train.loop import evaluator
from textgen_train.loop.run import TrainingRun
from textgen_train.loop.update import Update
from textgen_train.recipe import Budget
from textgen_train.report import divergence

from tests.helpers.training_runs import make_run

pytestmark = pytest.mark.usefixtures("_evaluations_after_every_pass")


def interrupt_after(run: TrainingRun, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    updates = run._trainer.updates

    def interrupted() -> Iterator[Update]:
        for update in updates():
            if update.step > steps:
                raise KeyboardInterrupt
            yield update

    monkeypatch.setattr(run._trainer, "updates", interrupted)


def test_an_interrupted_model_that_is_better_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learned since the last evaluation is not thrown away."""
    run, progress = make_run(tmp_path)
    interrupt_after(run, 50, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert run.best is not None
    assert run.best.step == 50
    assert textgen.load(tmp_path / "model.onnx").training["evaluation"]["step"] == 50
    assert progress.warnings[0].startswith("interrupted; evaluating the model first")


def test_an_interrupt_during_an_evaluation_asks_for_no_other(tmp_path: Path) -> None:
    run, progress = make_run(tmp_path)

    def check_interrupt() -> None:
        if run.best:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(check_interrupt)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1
    assert progress.warnings == []


def test_an_interrupt_before_the_first_update_ends_the_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is estimated how long an evaluation will take, which a budget of minutes needs to know."""
    run, progress = make_run(tmp_path)
    run._trainer.budget = Budget(minutes=1)
    monkeypatch.setattr(run._trainer, "updates", lambda: pytest.fail("it trains"))

    def check_interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(check_interrupt)
    assert os.listdir(tmp_path) == progress.warnings == []


def test_an_export_that_fails_costs_neither_the_run_nor_the_best_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, progress = make_run(tmp_path)
    build, exports = exporter.build_checked, 0

    def failing(*arguments: Any) -> Any:
        nonlocal exports
        exports += 1
        if exports == 2:
            raise ExportError("not written")
        return build(*arguments)

    monkeypatch.setattr(evaluator, "build_checked", failing)
    run.run()
    assert progress.warnings == ["not written; the run goes on"]
    assert run.best is not None
    assert run.best.epoch in (1.0, 3.0)


def test_a_run_whose_exports_all_fail_says_so_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise ExportError("not written")

    monkeypatch.setattr(evaluator, "build_checked", failing)
    run, progress = make_run(tmp_path)
    with pytest.raises(ExportError, match="not written"):
        run.run()
    assert progress.warnings == ["not written; the run goes on"] * 3
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("nats", "warned"), [(2.6, True), (2.55, False), (2.4, False)])
def test_a_run_that_diverges_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nats: float, warned: bool
) -> None:
    """Guessing among the text's twelve characters costs 2.485 nats."""
    monkeypatch.setattr(divergence, "MIN_UPDATES", 20)
    run, progress = make_run(tmp_path, epochs=3)
    monkeypatch.setattr(run._trainer, "_learn", lambda *_: nats)
    run.run()
    # Once, not at each of the three evaluations.
    assert len(run._evaluator._contract.tokenizer) == 12
    assert ["training has diverged" in warning for warning in progress.warnings] == [True] * warned


@pytest.mark.parametrize("steps", [3, 30, 50])
def test_an_interrupt_keeps_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    run, progress = make_run(tmp_path)
    interrupt_after(run, steps, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert progress.closed
    assert run.best is not None
    assert run.best.step <= steps
    assert textgen.load(tmp_path / "model.onnx").generate(seed=0, length=10)


def test_an_interrupt_before_the_first_update_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = make_run(tmp_path)
    interrupt_after(run, 0, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert run.best is None
    assert os.listdir(tmp_path) == []


def test_a_disk_that_fills_up_leaves_the_last_model_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files beside the model are given up with a warning; the model is not."""
    run, progress = make_run(tmp_path)
    written = 0
    fsync = os.fsync

    def full_in_the_end(file: int) -> None:
        nonlocal written
        written += 1
        if written > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", full_in_the_end)
    with pytest.raises(OutputError, match="No space left on device"):
        run.run()
    assert "metrics.jsonl: No space left on device; the model file is not affected" in progress.warnings[0]
    assert sorted(os.listdir(tmp_path)) == ["loss.png", "metrics.jsonl", "model.onnx", "samples.txt"]
    assert textgen.load(tmp_path / "model.onnx").generate(seed=0, length=10)


def test_a_model_that_predicts_nothing_any_more_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([2.0, math.nan])
    monkeypatch.setattr(evaluator, "held_out_loss", lambda *_: next(losses))
    run, progress = make_run(tmp_path)
    with pytest.raises(
        TrainingError, match=r"the held-out loss is nan at update 42: try lower learning rates"
    ):
        run.run()
    assert progress.closed
    assert textgen.load(tmp_path / "model.onnx").training["held_out_nats"] == 2.0
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()
