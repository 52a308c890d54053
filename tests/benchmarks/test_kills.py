"""The moments at which ``make kills`` ends training runs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import kills


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
