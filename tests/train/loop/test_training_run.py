"""A training run writes its best model, metrics, samples and curves."""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_train.export.exporter import Exported, build_checked
from textgen_train.loop import eval_schedule, evaluator, held_out_loss
from textgen_train.loop import run as run_module
from textgen_train.loop import trainer as trainer_module
from textgen_train.loop.eval_schedule import EvalSchedule
from textgen_train.loop.events import Update
from textgen_train.recipe import Budget

from tests.helpers.training_runs import FinishedRun, make_run

pytestmark = pytest.mark.usefixtures("_evaluations_after_every_epoch")


def test_a_run_writes_model_metrics_samples_and_curves(finished_run: FinishedRun) -> None:
    folder, _, progress = finished_run
    assert sorted(os.listdir(folder)) == [
        "loss.svg",
        "metrics.jsonl",
        "model.onnx",
        "report.html",
        "samples.txt",
    ]
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in entries] == [1.0, 2.0, 3.0]
    assert list(entries[0]) == [
        "step",
        "epoch",
        "seconds",
        "training_nats",
        "held_out_nats",
        "bits_per_character",
        "learning_rate",
        "training_eval_nats",
        "characters_per_second",
    ]
    assert entries[-1]["held_out_nats"] < entries[0]["held_out_nats"]
    assert entries[-1]["bits_per_character"] == pytest.approx(entries[-1]["held_out_nats"] / math.log(2))
    assert (folder / "loss.svg").read_text().startswith("<svg ")
    assert progress.closed
    assert progress.statuses
    assert all(re.search(r" nats  [0-9,]+ characters/s  ", status) for status in progress.statuses)
    samples = (folder / "samples.txt").read_text()
    for temperature in ("0.2", "0.5", "1.0", "1.2"):
        assert samples.count(f"------ temperature: {temperature}\n") == 3
    assert len(set(re.findall(r"--- generating from: .*", samples))) == 3
    assert len([text for text in progress.written if "held-out loss" in text]) == 3


def test_the_runtime_computes_the_same_held_out_loss(finished_run: FinishedRun) -> None:
    model = textgen.load(finished_run.folder / "model.onnx")
    score = textgen.predict(model, "do re mi fa sol la si do\n" * 60, last=0.1).score
    assert score.characters == 150
    assert score.nats == pytest.approx(model.training["held_out_nats"], abs=1e-5)


def test_the_model_file_contains_the_provenance(finished_run: FinishedRun) -> None:
    run, model = finished_run.run, textgen.load(finished_run.folder / "model.onnx")
    training = model.training
    assert run.evaluator.best is not None
    assert training["held_out_nats"] == run.evaluator.best.held_out_nats
    sha256 = hashlib.sha256(b"do re mi fa sol la si do\n" * 60).hexdigest()
    assert (training["corpus"], training["sha256"], training["characters"]) == ("song", sha256, 1500)
    assert training["split"]["held_out"] == "the last 10% of the corpus"
    assert training["split"]["training_characters"] == 1350
    assert training["recipe"]["units"] == 8
    assert training["recipe"]["seed"] == 5
    # The names of the file format, which differ from those of the recipe.
    assert {"slice_length", "muon_rate", "muon_decay", "clip"} <= set(training["recipe"])
    assert training["budget"] == {"minutes": None, "epochs": 3}
    assert training["replicas"] == 1
    assert set(training["versions"]) == {"textgen-onnx", "torch", "onnx", "python"}
    assert len(model.prompts) == 8
    assert all(len(prompt) == 60 for prompt in model.prompts)


@pytest.mark.parametrize(("evaluation_seconds", "evaluations"), [(0.25, 6), (8.0, 1), (90.0, 1)])
def test_slow_evaluations_leave_time_for_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evaluation_seconds: float, evaluations: int
) -> None:
    """A run of one minute with slow evaluations has few of them, and is annealed.

    At least half of the minute is training. The first export takes long and counts for nothing.
    """
    monkeypatch.setattr(eval_schedule, "FIRST_EVALUATION_FRACTION", 0.05)
    run, _ = make_run(tmp_path)
    trainer = run.trainer
    trainer.budget = Budget(minutes=1)
    run.schedule = EvalSchedule(trainer.budget, trainer.updates_per_epoch, 1350, 150)
    now = 0.0

    def clock_now() -> float:
        return now

    def slow_loss(characters: int) -> float:
        nonlocal now
        now += evaluation_seconds * characters / run.evaluator.scored_tokens
        return 2.0

    def slow_held_out_loss(*arguments: Any) -> float:
        return slow_loss(len(arguments[1].held_out))

    def slow_training_loss(*arguments: Any) -> float:
        return slow_loss(held_out_loss.training_part_length(arguments[1]))

    def update_weights(*arguments: Any) -> float:
        nonlocal now
        now += 0.5
        lr_factors.append(arguments[1])
        return 1.0

    def slow_first_export(*arguments: Any) -> Exported:
        nonlocal now
        now += 0.0 if exports else 20.0
        exports.append(build_checked(*arguments))
        return exports[-1]

    lr_factors: list[float] = []
    exports: list[Exported] = []
    for module in (run_module, evaluator, trainer_module):
        monkeypatch.setattr(module, "perf_counter", clock_now)
    seconds_per_token = evaluation_seconds / run.evaluator.scored_tokens
    monkeypatch.setattr(evaluator, "seconds_per_token", lambda *_: seconds_per_token)
    monkeypatch.setattr(evaluator, "build_checked", slow_first_export)
    monkeypatch.setattr(evaluator, "held_out_loss", slow_held_out_loss)
    monkeypatch.setattr(evaluator, "training_loss", slow_training_loss)
    monkeypatch.setattr(trainer._learner, "update", update_weights)
    run.run()
    # The duration of an evaluation is estimated before the minute begins.
    end = max(60.0, 30.0 + evaluation_seconds)
    assert end - 1.0 <= now - 20.0 <= end + 1.0
    state = run.schedule.state
    assert state.paused_seconds == pytest.approx(evaluation_seconds * evaluations)
    assert state.last_seconds == pytest.approx(end, abs=1.0)
    assert lr_factors[0] < max(lr_factors) / 2
    assert lr_factors[-1] < max(lr_factors) / 50
    assert len(run.evaluator.evaluations) == evaluations
    assert (run.evaluator.evaluations[0].characters_per_second or 0) > 64


def test_an_unwritable_file_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    run, progress = make_run(tmp_path, epochs=2)
    run.run()
    assert run.files == ["model.onnx", "samples.txt", "loss.svg", "report.html"]
    assert all((tmp_path / name).is_file() for name in run.files)
    assert len(progress.warnings) == 2
    assert progress.warnings[0].endswith("metrics.jsonl: Is a directory; the model file is not affected")


def test_the_last_updates_are_evaluated_if_the_time_runs_out_after_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = make_run(tmp_path)
    updates = run.trainer.updates

    def cut_short() -> Iterator[Update]:
        for update in updates():
            yield replace(update, ends_epoch=False, progress=min(update.progress, 0.999))

    monkeypatch.setattr(run.trainer, "updates", cut_short)
    run.run()
    assert [evaluation.epoch for evaluation in run.evaluator.evaluations] == [1.0, 3.0]
