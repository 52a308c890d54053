"""The check of ``make coverage``."""

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
            {"stream.c": lines(10, 0), "text.c": lines(89, 11)},
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
