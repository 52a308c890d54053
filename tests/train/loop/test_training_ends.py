"""Interrupts, errors and divergence: the run keeps its best model and reports the cause."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime.errors import OutputError
from textgen_train.errors import ExportError
from textgen_train.export import exporter
from textgen_train.loop import evaluator
from textgen_train.loop.events import Update
from textgen_train.loop.run import TrainingRun
from textgen_train.recipe import Budget

from tests.helpers.training_runs import make_run

pytestmark = pytest.mark.usefixtures("_evaluations_after_every_epoch")


def fill_disk(monkeypatch: pytest.MonkeyPatch, first: int, last: int) -> None:
    """Let the writing of some files fail, counted from 1."""
    written = 0
    fsync = os.fsync

    def full(file: int) -> None:
        nonlocal written
        written += 1
        if first <= written <= last:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", full)


def interrupt_after(run: TrainingRun, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    updates = run.trainer.updates

    def interrupted() -> Iterator[Update]:
        for update in updates():
            if update.step > steps:
                raise KeyboardInterrupt
            yield update

    monkeypatch.setattr(run.trainer, "updates", interrupted)


def test_an_interrupted_run_evaluates_its_current_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The updates since the last evaluation are not lost."""
    run, progress = make_run(tmp_path)
    interrupt_after(run, 50, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert run.evaluator.best is not None
    assert run.evaluator.best.step == 50
    assert progress.closed
    model = textgen.load(tmp_path / "model.onnx")
    assert model.training["evaluation"]["step"] == 50
    assert model.generate(seed=0, length=10)
    assert progress.warnings[0].startswith("interrupted; evaluating the current model")


def test_an_interrupt_during_an_evaluation_causes_no_other_evaluation(tmp_path: Path) -> None:
    run, progress = make_run(tmp_path)

    def check_interrupt() -> None:
        if run.evaluator.best:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(check_interrupt)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1
    assert progress.warnings == []


def test_an_interrupt_before_the_first_update_ends_the_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interrupt comes while the duration of an evaluation is estimated, for a budget of minutes."""
    run, progress = make_run(tmp_path)
    run.trainer.budget = Budget(minutes=1)
    monkeypatch.setattr(run.trainer, "updates", lambda: pytest.fail("training started"))

    def check_interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(check_interrupt)
    assert os.listdir(tmp_path) == progress.warnings == []


def test_a_failed_export_is_a_warning_and_training_continues(
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
    assert progress.warnings == ["not written; training continues"]
    assert run.evaluator.best is not None
    assert run.evaluator.best.epoch in (1.0, 3.0)


def test_a_run_whose_exports_all_fail_ends_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise ExportError("not written")

    monkeypatch.setattr(evaluator, "build_checked", failing)
    run, progress = make_run(tmp_path)
    with pytest.raises(ExportError, match="not written"):
        run.run()
    assert progress.warnings == ["not written; training continues"] * 3
    assert os.listdir(tmp_path) == []


def test_a_model_that_cannot_be_written_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full during the second evaluation. The earlier model and its files stay."""
    run, progress = make_run(tmp_path)
    fill_disk(monkeypatch, first=6, last=6)
    with pytest.raises(OutputError, match=r"model\.onnx: No space left on device"):
        run.run()
    assert progress.closed
    assert not run.is_complete
    assert [evaluation.epoch for evaluation in run.evaluator.evaluations] == [1.0]
    assert textgen.load(tmp_path / "model.onnx").training["evaluation"]["epoch"] == 1.0
