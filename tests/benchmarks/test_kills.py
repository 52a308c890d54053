"""The moments at which ``make kills`` ends training runs."""

import random
import signal
import sys
from collections.abc import Callable
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


def fail(_: list[str]) -> int:
    sys.exit("it failed")


def end(_: list[str]) -> int:
    return 0


@pytest.mark.parametrize("end_early", [kills.kill, kills.fill_disk])
def test_a_run_that_fails_by_itself_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end_early: Callable[..., list[str]]
) -> None:
    monkeypatch.setattr(kills, "train", end)
    assert end_early(tmp_path, kills.KINDS[0], 60.0, random.Random(0)) == ["ended"]
    monkeypatch.setattr(kills, "train", fail)
    with pytest.raises(RuntimeError, match="it failed"):
        end_early(tmp_path, kills.KINDS[0], 60.0, random.Random(0))


def sleep(_: list[str]) -> int:
    signal.pause()
    return 0


@posix_only
def test_a_run_that_was_killed_is_told_from_one_that_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kills, "train", sleep)
    assert kills.kill(tmp_path, kills.KINDS[0], 0.0, random.Random(0)) == ["kills", "starting"]
