"""Event files, read by TensorBoard's own reader."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from textgen_train.loop.events import EvaluationHistory, Status, Update
from textgen_train.report import files
from textgen_train.report.files import TensorBoard

from tests.helpers.report_pages import evaluation


def status_at(step: int) -> Status:
    update = Update(step, 1.0, 10.0, 0.5, 0.01, 100, 2.0 / step, ends_epoch=False)
    return Status(update, 10, 1000.0, 2000.0, 0.2, 10.0)


def history(step: int) -> EvaluationHistory:
    last = evaluation(step, 3.0 / step)
    return EvaluationHistory([last], ["--- one\ntwo"], last)


def watch(folder: Path, steps: range) -> TensorBoard:
    watcher = TensorBoard(folder, pytest.fail)
    for step in steps:
        watcher.on_update(status_at(step))
    watcher.on_evaluation(history(steps[-1]))
    watcher.on_end()
    return watcher


def scalars(folder: Path, name: str) -> dict[int, float]:
    reader = EventAccumulator(str(folder / "tensorboard"))
    reader.Reload()
    events = reader.Scalars(name)
    assert len({event.step for event in events}) == len(events)
    return {event.step: event.value for event in events}


@pytest.fixture(autouse=True)
def _all_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SECONDS_BETWEEN_POINTS", 0.0)


def test_the_events_have_the_values_of_the_run(tmp_path: Path) -> None:
    watcher = watch(tmp_path, range(1, 4))
    assert watcher.files == ["tensorboard"]
    assert scalars(tmp_path, "loss/with dropout") == pytest.approx({1: 2.0, 2: 1.0, 3: 2 / 3})
    assert scalars(tmp_path, "loss/held out") == pytest.approx({3: 1.0})
    assert scalars(tmp_path, "loss/training") == pytest.approx({3: 0.9})
    assert scalars(tmp_path, "learning rate") == pytest.approx({1: 0.01, 2: 0.01, 3: 0.01})
    assert scalars(tmp_path, "characters per second")[1] == 5000.0
    reader = EventAccumulator(str(tmp_path / "tensorboard"))
    reader.Reload()
    (event,) = reader.Tensors("samples/text_summary")
    assert event.tensor_proto.string_val[0].decode() == "    --- one\n    two"


def test_a_resumed_run_continues_the_events(tmp_path: Path) -> None:
    """Events after the update from which it continues are replaced."""
    watch(tmp_path, range(1, 6))
    watch(tmp_path, range(4, 8))
    assert set(scalars(tmp_path, "loss/with dropout")) == set(range(1, 8))


def test_points_are_at_least_a_second_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(files, "SECONDS_BETWEEN_POINTS", 1.0)
    monkeypatch.setattr(files, "perf_counter", lambda: now)
    watcher = TensorBoard(tmp_path, pytest.fail)
    for step in range(1, 31):
        now += 0.125
        watcher.on_update(status_at(step))
    watcher.on_end()
    assert list(scalars(tmp_path, "loss/with dropout")) == [1, 9, 17, 25]


def test_unwritable_events_are_warned_about_once(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_bytes(b"")
    warnings: list[str] = []
    watcher = TensorBoard(tmp_path, warnings.append)
    watcher.on_update(status_at(1))
    watcher.on_evaluation(history(2))
    watcher.on_end()
    assert len(warnings) == 1
    assert warnings[0].startswith(f"cannot write {tmp_path}/tensorboard: ")
    assert warnings[0].endswith("; TensorBoard gets no more events of this run")
    assert watcher.files == []
