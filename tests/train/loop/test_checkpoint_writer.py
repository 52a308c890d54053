"""When a run writes its checkpoint, and what happens if it cannot."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.errors import OutputError
from textgen_runtime.files import replace_file
from textgen_train.cli._messages import describe_early_end
from textgen_train.errors import TrainingError
from textgen_train.loop import checkpoint_file, evaluator, trainer
from textgen_train.loop import run as run_module
from textgen_train.loop.checkpoint_file import CheckpointWriter, read_checkpoint, write_checkpoint
from textgen_train.loop.eval_schedule import EvalSchedule
from textgen_train.loop.events import Status, Watcher
from textgen_train.loop.run import TrainingRun
from textgen_train.options import RunOptions
from textgen_train.recipe import Budget

from tests.helpers.training_runs import make_run

pytestmark = pytest.mark.usefixtures("_evaluations_after_every_epoch")

# An epoch has 21 updates.
UPDATES = 63


class Recorder:
    """A run whose updates take one second each, and whose checkpoints are recorded.

    Attributes:
        written: The step and the completeness of each checkpoint, and the time when it began.
        seconds: Duration of a checkpoint.
        failing: Whether checkpoints cannot be written.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run, self.progress = make_run(folder, samples=False)
        self.run.add_watcher(CheckpointWriter(self.run, {}, folder, self.progress.warn))
        self.now = 1000.0
        self.seconds = 0.0
        self.failing = False
        self.written: list[tuple[int, bool, float]] = []
        update_weights = self.run.trainer._learner.update

        def slow_write(path: Path, *arguments: object, complete: bool) -> None:
            self.written.append((self.run.trainer.state().step, complete, self.now))
            self.now += self.seconds
            if self.failing:
                raise OutputError("the disk is full")
            write_checkpoint(path, *arguments, complete=complete)  # type: ignore[arg-type]

        def slow_update(*arguments: object) -> float:
            self.now += 1.0
            return update_weights(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(checkpoint_file, "perf_counter", lambda: self.now)
        monkeypatch.setattr(checkpoint_file, "write_checkpoint", slow_write)
        monkeypatch.setattr(self.run.trainer._learner, "update", slow_update)

    @property
    def steps(self) -> list[int]:
        return [step for step, _, _ in self.written]


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(tmp_path, monkeypatch)


def test_fast_checkpoints_are_written_every_ten_seconds_and_after_evaluations(recorder: Recorder) -> None:
    recorder.run.run()
    assert recorder.steps == [0, 10, 20, 21, 31, 41, 42, 52, 62, 63, 63, 63]
    assert [complete for _, complete, _ in recorder.written] == [False] * 11 + [True]
    assert recorder.run.files[-1] == "checkpoint.safetensors"


def test_slow_checkpoints_take_at_most_a_hundredth_of_the_time(recorder: Recorder) -> None:
    """Only the first one, the one before the last evaluation and the last one are written in any case."""
    recorder.seconds = 0.3
    recorder.run.run()
    assert recorder.steps == [0, 30, 60, 63, 63]
    times = [time for _, _, time in recorder.written[:3]]
    assert all(later - earlier >= 0.3 / checkpoint_file.MAX_FRACTION for earlier, later in pairwise(times))


def test_a_time_that_ends_between_two_updates_has_a_checkpoint_before_its_last_evaluation(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No update has used the whole budget."""

    class Slow(Watcher):
        def on_update(self, status: Status) -> None:
            assert status.update.progress < 1.0
            if status.update.step == 5:
                recorder.now += 60.0

    for module in (run_module, trainer):
        monkeypatch.setattr(module, "perf_counter", lambda: recorder.now)
    recorder.run.trainer.budget = Budget(minutes=1)
    recorder.run.schedule = EvalSchedule(Budget(minutes=1), 21, 1350, 150)
    recorder.run.schedule.state.evaluation_seconds = 20.0
    recorder.run.add_watcher(Slow())
    recorder.run.run()
    assert [(step, complete) for step, complete, _ in recorder.written] == [
        (0, False),
        (5, False),
        (5, False),
        (5, True),
    ]


def test_a_failure_is_warned_about_once_and_tried_again(recorder: Recorder, tmp_path: Path) -> None:
    recorder.failing = True

    def check_interrupt() -> None:
        if recorder.run.trainer.state().step == 50:
            assert len(recorder.written) > 5
            assert not (tmp_path / "checkpoint.safetensors").exists()
            recorder.failing = False

    recorder.run.run(check_interrupt)
    assert recorder.progress.warnings == ["the disk is full; the last state is not saved"]
    assert read_checkpoint(tmp_path / "checkpoint.safetensors").complete


def test_a_resumed_run_that_cannot_write_a_checkpoint_still_has_one(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(recorder.run, 5)
    resumed = Recorder(tmp_path, monkeypatch)
    resumed.run.restore(read_checkpoint(tmp_path / "checkpoint.safetensors").state())
    resumed.failing = True
    interrupt_at(resumed.run, 10)
    assert "checkpoint.safetensors" not in resumed.run.files
    assert describe_early_end(tmp_path, resumed.run, RunOptions("song")).endswith(f"--resume {tmp_path}")


def test_a_checkpoint_whose_last_writes_failed_is_not_among_the_files(recorder: Recorder) -> None:
    def check_interrupt() -> None:
        recorder.failing = recorder.run.trainer.state().step > 30

    recorder.run.run(check_interrupt)
    assert recorder.run.is_complete
    assert "checkpoint.safetensors" not in recorder.run.files


def interrupt_at(run: TrainingRun, step: int) -> None:
    def check_interrupt() -> None:
        if run.trainer.state().step == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(check_interrupt)


@pytest.mark.parametrize("step", [5, 21])
def test_an_interrupt_writes_the_state_before_its_evaluation(
    recorder: Recorder, tmp_path: Path, step: int
) -> None:
    interrupt_at(recorder.run, step)
    checkpoint = read_checkpoint(tmp_path / "checkpoint.safetensors")
    assert not checkpoint.complete
    assert checkpoint.state().trainer.step == step
    assert len(checkpoint.state().evaluations) == step // 21
    assert len(recorder.run.evaluator.evaluations) == 1


def test_an_interrupt_before_the_start_writes_nothing(recorder: Recorder) -> None:
    interrupt_at(recorder.run, 0)
    assert recorder.written == []


def test_a_run_that_cannot_write_its_best_model_is_resumed_without_a_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each evaluation gives a better model, and each one but the first finds a full disk."""
    full_at, step = 0, 0

    def held_out_loss(*_: object) -> float:
        nonlocal step
        step = run.trainer.step
        return 3.0 - step / 21

    def write(path: Path, content: bytes) -> None:
        if step == full_at:
            raise OutputError(f"cannot write {path}: the disk is full")
        replace_file(path, content)

    monkeypatch.setattr(evaluator, "held_out_loss", held_out_loss)
    monkeypatch.setattr(evaluator, "replace_file", write)
    for full_at in (42, UPDATES):
        run = Recorder(tmp_path, monkeypatch).run
        if full_at == UPDATES:
            run.restore(read_checkpoint(tmp_path / "checkpoint.safetensors").state())
        with pytest.raises(OutputError, match=r"model\.onnx: the disk is full"):
            run.run()
        checkpoint = read_checkpoint(tmp_path / "checkpoint.safetensors")
        assert not checkpoint.complete
        assert len(checkpoint.state().evaluations) == full_at // 21 - 1
    full_at = 0
    run, _ = make_run(tmp_path, samples=False)
    run.restore(checkpoint.state())
    run.run()
    assert run.is_complete
    assert [evaluation.step for evaluation in run.evaluator.evaluations] == [21, 42, UPDATES]
    assert textgen.load(tmp_path).training["evaluation"]["step"] == UPDATES


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = recorder.run.trainer._learner.update
    monkeypatch.setattr(
        recorder.run.trainer._learner,
        "update",
        lambda *arguments: math.nan if recorder.now > 1025 else update(*arguments),
    )
    with pytest.raises(TrainingError, match="the loss is nan"):
        recorder.run.run()
    assert read_checkpoint(tmp_path / "checkpoint.safetensors").state().trainer.step == 21
