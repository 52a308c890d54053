"""How ``make kills`` ends training runs, and what it counts."""

import contextlib
import io
import random
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import kills
from tests.helpers.programs import posix_only


def test_a_process_that_is_complete_early_does_not_change_the_moments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcomes = iter(["ended", "kills", "kills", "ended", "full disks", "full disks"])

    def end_early(*_: object) -> list[str]:
        return [next(outcomes)]

    def finish(folder: Path, _: object) -> None:
        (folder / kills.OUT).mkdir(exist_ok=True)

    for name, function in (("kill", end_early), ("fill_disk", end_early), ("finish", finish)):
        monkeypatch.setattr(kills, name, function)
    monkeypatch.setattr(kills, "results", lambda _: {})
    latest = set[float]()
    rng: Any = SimpleNamespace(uniform=lambda _, end: latest.add(end))
    found = kills.end_runs(kills.KINDS[0], 2, rng)
    assert (found["ended"], found["equal"], len(latest)) == (2, 4, 1)


class Process:
    """A process that has ended."""

    def __init__(self, code: int) -> None:
        self.err = io.StringIO("it failed")
        self._code = code

    def wait(self) -> int:
        return self._code


@pytest.mark.parametrize(("code", "other", "expected"), [(0, 0, True), (0, -9, True), (-9, -9, False)])
def test_a_process_that_ended_by_itself_is_told_from_a_killed_one(
    code: int, other: int, expected: bool
) -> None:
    process: Any = Process(code)
    assert kills.ended(process, other) is expected


@pytest.mark.parametrize(("code", "other"), [(1, 0), (1, -9), (-9, 0)])
def test_a_process_that_failed_is_an_error(code: int, other: int) -> None:
    process: Any = Process(code)
    with pytest.raises(RuntimeError, match=f"exit code {code}: it failed"):
        kills.ended(process, other)


def sleep(_: list[str]) -> int:
    signal.pause()
    return 0


@posix_only
def test_a_run_that_still_runs_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kills, "train", sleep)
    assert kills.kill(tmp_path, kills.KINDS[0], 0.0, random.Random(0)) == ["kills", "starting"]


TOO_LARGE = "cannot write model.onnx: File too large\n"


@posix_only
@pytest.mark.parametrize(
    ("code", "err", "expected"),
    [
        (0, "", ["ended"]),
        (0, f"textgen-train: warning: {TOO_LARGE}", ["full disks", "complete"]),
        (1, f"textgen-train: error: {TOO_LARGE}", ["full disks", "error"]),
        (1, "textgen-train: error: it failed\n", ["full disks", "damaged"]),
        (1, TOO_LARGE, ["full disks", "damaged"]),
    ],
)
def test_a_full_disk_counts_only_if_a_write_was_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, err: str, expected: list[str]
) -> None:
    process = SimpleNamespace(pid=0, wait=lambda: code, err=io.StringIO(err))
    monkeypatch.setattr(kills, "ForkedCommand", lambda *_: contextlib.nullcontext(process))
    monkeypatch.setattr(kills, "outlasts", lambda *_: True)
    # Only Linux has it.
    monkeypatch.setattr("resource.prlimit", lambda *_: None, raising=False)
    assert kills.fill_disk(tmp_path, kills.KINDS[0], 0.0, random.Random(0)) == expected
