"""The state of a training run, and the events that its watchers receive."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime.corpus import Corpus
from textgen_runtime.text import Normalization
from textgen_train.cli._training_run import make_training_run
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.errors import ExportError
from textgen_train.loop import eval_schedule, evaluator, samples
from textgen_train.loop import run as run_module
from textgen_train.loop import trainer as trainer_module
from textgen_train.loop.checkpoint import TrainingState
from textgen_train.loop.events import EvaluationHistory, Status, Watcher
from textgen_train.loop.run import TrainingRun
from textgen_train.loop.specification import RunSpecification
from textgen_train.loop.trainer import Trainer
from textgen_train.options import RunOptions
from textgen_train.recipe import Budget

from tests.helpers.report_pages import evaluation
from tests.helpers.training_runs import RecordingDisplay, timeless_results
from tests.helpers.training_states import RECIPE, make_trainer, same, weights_of

MODEL, METRICS, SAMPLES = "model.onnx", "metrics.jsonl", "samples.txt"


@pytest.fixture(autouse=True)
def _frequent_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluate in the first epoch and after each epoch, with short samples."""
    monkeypatch.setattr(samples, "SAMPLE_LENGTH", 20)
    monkeypatch.setattr(eval_schedule, "MIN_UPDATES_BETWEEN", 1)
    monkeypatch.setattr(eval_schedule, "TRAINING_COST_RATIO", 1e9)
    monkeypatch.setattr(eval_schedule, "FIRST_EVALUATION_FRACTION", 0.15)


def make_run(
    folder: Path, *, budget: Budget | None = None, name: str = "run"
) -> tuple[TrainingRun, Trainer, RecordingDisplay]:
    folder.mkdir(exist_ok=True)
    corpus = Corpus.from_text("song", "do re mi fa sol la si do\n" * 40)
    dataset = make_dataset(corpus, Normalization(), 0.1)
    trainer = make_trainer(RECIPE, 2, 5, budget, dataset.training)
    progress = RecordingDisplay()
    options = RunOptions("song", seed=5, threads=1)
    specification = RunSpecification(options, corpus, None, dataset, RECIPE, run=name)
    run = make_training_run(trainer, specification, folder, progress)
    return run, trainer, progress


class States(Watcher):
    """Keeps the state and a copy of the model file at each event."""

    def __init__(self, run: TrainingRun, folder: Path) -> None:
        self._run, self._folder = run, folder
        self.kept: list[tuple[str, TrainingState]] = []
        self.statuses: list[Status] = []

    def _keep(self, event: str) -> None:
        self.kept.append((event, self._run.state()))
        if self._run.evaluator.best:
            shutil.copy(self._folder / MODEL, self._folder / f"{len(self.kept) - 1}.onnx")

    def on_update(self, status: Status) -> None:
        self.statuses.append(status)
        self._keep("update")

    def on_evaluation_start(self, status: Status) -> None:
        assert status.update == self.statuses[-1].update
        self._keep("evaluation start")

    def on_evaluation(self, history: EvaluationHistory) -> None:
        assert history.evaluations[-1].step == self.statuses[-1].update.step
        self._keep("evaluation")

    def on_interrupt(self, status: Status | None) -> None:
        assert status is None or status.update == self.statuses[-1].update
        self._keep("interrupt")

    def on_end(self) -> None:
        self._keep("end")


def results(run: TrainingRun, trainer: Trainer, folder: Path) -> dict[str, Any]:
    """Return all results of a run except durations."""
    assert run.evaluator.best is not None
    return {
        **timeless_results(folder),
        "weights": weights_of(trainer),
        # The report marks it.
        "best": run.evaluator.evaluations.index(run.evaluator.best),
        "files": run.files,
    }


def watched_states(run: TrainingRun, folder: Path) -> States:
    states = States(run, folder)
    run.add_watcher(states)
    return states


def continued_results(state: TrainingState, model: Path, folder: Path) -> dict[str, Any]:
    """Return the results of a new run that continues from a state and a model file, in an empty folder."""
    run, trainer, _ = make_run(folder)
    if model.exists():
        shutil.copy(model, folder / MODEL)
    run.restore(state)
    run.run()
    return results(run, trainer, folder)


def test_a_run_restored_from_any_state_has_the_same_results(tmp_path: Path) -> None:
    first = tmp_path / "first"
    run, trainer, _ = make_run(first)
    states = watched_states(run, first)
    run.run()
    expected = results(run, trainer, first)
    assert [entry["step"] for entry in expected["metrics"]] == [3, 5, 10, 15]
    # The first update; the update before the second evaluation, its end, and the next update; the last one.
    events = [event for event, _ in states.kept]
    evaluations = [i for i, event in enumerate(events) if event == "evaluation"]
    second, last = evaluations[1], evaluations[-1]
    for i in (0, second - 2, second, second + 1, last - 2, last - 1):
        state, model = states.kept[i][1], first / f"{i}.onnx"
        # A missing or damaged model is written again.
        if i == second:
            model.unlink()
        elif i == last - 2:
            model.write_bytes(b"damaged")
        elif i == last - 1:
            # The run was killed after this evaluation, which is repeated.
            shutil.copy(first / MODEL, model)
        continued = continued_results(state, model, tmp_path / str(i))
        assert same(continued, expected), f"from {events[i]} {i}"


def test_a_repeated_evaluation_of_the_best_model_replaces_it() -> None:
    """It has other times, and the report marks it."""
    best = evaluation(10, 2.0)
    repeated = replace(best, seconds=best.seconds + 1)
    assert evaluator.is_better(repeated, best)
    assert not evaluator.is_better(replace(repeated, step=11), best)
    assert not evaluator.is_better(replace(repeated, held_out_nats=2.1), best)


def test_a_run_restored_from_the_final_state_ends_at_once(tmp_path: Path) -> None:
    run, trainer, _ = make_run(tmp_path)
    run.run()
    state, best, expected = run.state(), run.evaluator.best, weights_of(trainer)
    other, other_trainer, progress = make_run(tmp_path)
    other.restore(state)
    other.run()
    assert same(weights_of(other_trainer), expected)
    assert other.evaluator.best == best
    assert progress.written == progress.statuses == []


def test_a_resumed_run_whose_model_file_is_gone_writes_the_model_of_the_last_evaluation(
    tmp_path: Path,
) -> None:
    """No update and no evaluation follows, so the metrics stay the same."""
    run, _, _ = make_run(tmp_path)
    run.run()
    state, content = run.state(), textgen.load(tmp_path / MODEL).training["evaluation"]
    (tmp_path / MODEL).unlink()
    resumed, _, _ = make_run(tmp_path)
    resumed.restore(state)
    resumed.run()
    assert resumed.is_complete
    assert textgen.load(tmp_path / MODEL).training["evaluation"] == content
    assert resumed.state().evaluations == state.evaluations


def test_a_run_that_was_interrupted_after_its_exports_had_failed_exports_the_final_model_when_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise ExportError("not written")

    def check_interrupt() -> None:
        if trainer.progress >= 1:
            raise KeyboardInterrupt

    run, trainer, _ = make_run(tmp_path)
    states = watched_states(run, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(evaluator, "build_checked", failing)
        with pytest.raises(KeyboardInterrupt):
            run.run(check_interrupt)
        # As long as the exports fail, the cause is named.
        resumed, _, _ = make_run(tmp_path)
        resumed.restore(dict(states.kept)["interrupt"])
        with pytest.raises(ExportError, match="not written"):
            resumed.run()
    resumed, _, _ = make_run(tmp_path)
    resumed.restore(dict(states.kept)["interrupt"])
    resumed.run()
    assert resumed.is_complete
    assert textgen.load(tmp_path / MODEL).training["evaluation"]["step"] == 15


@pytest.mark.parametrize(("losses", "best_step"), [([2.0, 2.6, 2.5, 2.4], 4), ([2.0, 1.9, 2.5, 2.4], 5)])
def test_a_model_from_an_interrupt_is_replaced_only_by_a_better_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, losses: list[float], best_step: int
) -> None:
    """The losses after the interrupt at the fourth update, and after updates 5, 10 and 15."""
    results = iter([3.0, *losses])
    monkeypatch.setattr(evaluator, "held_out_loss", lambda *_: next(results))
    run, trainer, _ = make_run(tmp_path)
    states = watched_states(run, tmp_path)

    def check_interrupt() -> None:
        if trainer.state().step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(check_interrupt)
    resumed, _, progress = make_run(tmp_path)
    resumed.restore(dict(states.kept)["interrupt"])
    assert resumed.evaluator.best is not None
    assert resumed.evaluator.best.step == 4
    resumed.run()
    assert [evaluation.step for evaluation in resumed.evaluator.evaluations] == [3, 5, 10, 15]
    assert (
        textgen.load(tmp_path / MODEL).training["evaluation"]["step"]
        == resumed.evaluator.best.step
        == best_step
    )
    assert f"best so far {min(losses):.4f}" in progress.written[-2]


def test_the_model_of_another_run_is_replaced(tmp_path: Path) -> None:
    """It is there if a run with --overwrite was killed before its first evaluation."""
    run, _, _ = make_run(tmp_path)
    state = run.state()
    run.run()
    other, _, _ = make_run(tmp_path, name="other")
    other.restore(state)
    assert other.evaluator.best is None
    assert other.files == []
    other.run()
    assert textgen.load(tmp_path / MODEL).training["run"] == "other"


def test_evaluations_and_samples_do_not_change_the_training(tmp_path: Path) -> None:
    (run, trainer, _), (_, bare_trainer, _) = make_run(tmp_path), make_run(tmp_path)
    run.run()
    list(bare_trainer.updates())
    state, expected = vars(trainer.state()), vars(bare_trainer.state())
    assert same({**state, "seconds": 0}, {**expected, "seconds": 0})


def test_watchers_receive_events_in_order(tmp_path: Path) -> None:
    run, _, _ = make_run(tmp_path, budget=Budget(epochs=1))
    states = watched_states(run, tmp_path)
    run.run()
    # An epoch has five updates. The first one is evaluated too.
    evaluation = ["evaluation start", "evaluation"]
    assert [event for event, _ in states.kept] == [
        *("update", *evaluation),
        *["update"] * 4,
        *evaluation,
        "end",
    ]
    assert [status.updates for status in states.statuses] == [1, 1, 2, 3, 4]
    assert [status.seconds < status.update.seconds for status in states.statuses] == [False, *[True] * 4]


def test_a_restored_timed_run_does_not_estimate_the_duration_of_an_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _, _ = make_run(tmp_path, budget=Budget(minutes=0.01))
    run.run()
    state = run.state()
    assert state.eval_schedule.evaluation_seconds > 0
    other, trainer, _ = make_run(tmp_path, budget=Budget(minutes=0.01))
    other.restore(state)
    assert trainer.reserved_seconds == state.eval_schedule.evaluation_seconds
    monkeypatch.setattr(other.evaluator, "estimate_seconds", lambda: pytest.fail("estimated again"))
    other.run()


@pytest.mark.parametrize("resumes", [False, True], ids=["from a model", "resumed"])
def test_an_evaluation_before_the_first_update_is_part_of_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumes: bool
) -> None:
    """Also in the state after it. The evaluation takes all of the time, and its watchers as long again."""
    now, states = 0.0, list[TrainingState]()

    def slow_loss(*_: object) -> float:
        nonlocal now
        now += 60.0
        return 3.0

    class Slow(Watcher):
        def on_evaluation(self, history: EvaluationHistory) -> None:
            del history
            nonlocal now
            states.append(run.state())
            now += 60.0

    for module in (run_module, trainer_module):
        monkeypatch.setattr(module, "perf_counter", lambda: now)
    monkeypatch.setattr(evaluator, "held_out_loss", slow_loss)
    monkeypatch.setattr(evaluator.Evaluator, "estimate_seconds", lambda _: 10.0)
    run, trainer, _ = make_run(tmp_path, budget=Budget(minutes=1))
    if resumes:
        other, _, _ = make_run(tmp_path, budget=Budget(epochs=1))
        last = replace(next(other.trainer.updates()), progress=1.0)
        state = replace(other.state(), status=Status().after(last, 1.0, 0.0))
        run.restore(replace(state, eval_schedule=replace(state.eval_schedule, evaluation_seconds=10.0)))
    else:
        run._evaluates_start = True
    run.add_watcher(Slow())
    run.run()
    assert states[0].trainer.seconds == 60.0
    assert trainer.step == 1
    assert trainer.state().seconds == (120.0 if resumes else 240.0)


def test_the_time_of_watchers_is_part_of_the_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a budget of minutes, the run reserves this time for the last evaluation."""
    now = 0.0

    class Slow(Watcher):
        def on_evaluation(self, history: EvaluationHistory) -> None:
            del history
            nonlocal now
            now += 7.0

    monkeypatch.setattr(run_module, "perf_counter", lambda: now)
    run, trainer, _ = make_run(tmp_path, budget=Budget(epochs=1))
    run.add_watcher(Slow())
    run.run()
    schedule = run.state().eval_schedule
    assert trainer.reserved_seconds == schedule.evaluation_seconds == 7.0
    assert schedule.paused_seconds == 14.0
