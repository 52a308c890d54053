"""The check of ``make coverage``."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.helpers import core_coverage
from tests.helpers.c_programs import CORE
from tests.helpers.commands import Captured


def lines(run: int, missed: int) -> dict[int, int]:
    """Return the counts of lines of which the last were not run."""
    return {number: int(number <= run) for number in range(1, run + missed + 1)}


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "no test has counted lines: use make coverage"),
        (
            {"lane.c": lines(10, 0), "text.c": lines(89, 11)},
            "less than 90% of the lines of text.c run in tests",
        ),
    ],
    ids=["nothing was run", "too few lines"],
)
def test_lines_that_no_test_runs_are_an_error(
    monkeypatch: pytest.MonkeyPatch, counts: dict[str, dict[int, int]], message: str
) -> None:
    found = {CORE / name: numbers for name, numbers in counts.items()}
    monkeypatch.setattr(core_coverage, "compile_core", lambda _: CORE)
    monkeypatch.setattr(core_coverage, "counts", lambda _: found)
    with pytest.raises(SystemExit, match=message):
        core_coverage.main()


def test_the_missed_lines_are_printed(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(core_coverage, "compile_core", lambda _: CORE)
    monkeypatch.setattr(core_coverage, "counts", lambda _: {CORE / "text.c": lines(90, 10)})
    core_coverage.main()
    assert capsys.readouterr().out.split() == ["text.c", "90.0%", "91-100"]


def test_a_file_without_counts_has_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = {
        "current_working_directory": str(CORE),
        "files": [{"file": "text.c", "lines": [{"line_number": 7, "count": 2}]}],
    }
    monkeypatch.setattr("subprocess.run", lambda *_, **__: SimpleNamespace(stdout=json.dumps(report)))
    assert core_coverage.counts(tmp_path) == {}
    (tmp_path / "text.gcda").touch()
    found = core_coverage.counts(tmp_path)
    assert (found[CORE / "text.c"], found[CORE / "lane.c"]) == ({7: 2}, {1: 0})
