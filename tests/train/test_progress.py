"""What a run shows: lines in a log, a line of a terminal, and results."""

import errno
import io
import os
import sys

import pytest
from textgen_train import progress as module
from textgen_train.progress import Display, format_duration

Captured = pytest.CaptureFixture[str]


def test_a_log_has_a_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    now = 0.0
    monkeypatch.setattr(module, "perf_counter", lambda: now)
    display = Display()
    for second in range(35):
        now = float(second)
        display.show(second / 100, 1.25, 1234.0, 61.0)
    display.write("a result\x1b[2J")
    now = 50.0
    display.show_share("predicting", 0.5)
    captured = capsys.readouterr()
    lines = [f" {percent}%  training loss 1.250  1,234 characters/s  1:01 left" for percent in (10, 20, 30)]
    assert captured.err.splitlines() == [*lines, " 50%  predicting"]
    assert captured.out == "a result\x1b[2J\n"


@pytest.mark.parametrize("columns", [20, 63, 69, 200])
def test_the_line_of_a_terminal_fits_and_disappears(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, columns: int
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "fileno", lambda: 2)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((columns, 9)))
    monkeypatch.setattr(module, "REDRAW", 0.0)
    display = Display()
    display.show(0.5, 1.25, 123456.0, 3725.0)
    line = capsys.readouterr().err
    assert line.startswith("\r 50%")
    assert len(line) - 1 < columns
    assert ("1:02:05 left" in line) == (columns >= 63)
    assert line.count("#") == {20: 0, 63: 0, 69: 2, 200: 12}[columns]
    display.show_share("ab", 1.0)
    assert len(capsys.readouterr().err) >= len(line)
    display.warn("careful")
    assert f"\r{' ' * 10}" in (shown := capsys.readouterr().err)
    assert shown.endswith("careful\n")


class Failing(io.StringIO):
    """A stream whose writes fail."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, _: str) -> int:
        raise self.error


@pytest.mark.parametrize(("code", "warned"), [(errno.EPIPE, False), (errno.ENOSPC, True)])
def test_standard_output_that_fails_does_not_end_a_run(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, code: int, warned: bool
) -> None:
    monkeypatch.setattr(sys, "stdout", Failing(OSError(code, os.strerror(code))))
    Display().write("a result")
    assert ("warning" in capsys.readouterr().err) == warned


def test_a_closed_standard_error_does_not_end_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINE", 0.0)
    monkeypatch.setattr(sys, "stderr", Failing(OSError(errno.EIO, "closed")))
    display = Display()
    display.show(0.5, 1.0, 1.0, 1.0)
    display.warn("a warning")
    display.note("a note")


def test_values_of_a_preset_that_a_text_changes(capsys: Captured) -> None:
    Display().show_changes(3.0, {"units": 9, "dropout": 0.1}, {"units": 9, "dropout": 0.25})
    shown = capsys.readouterr().err
    assert "--dropout 0.25" in shown
    assert "3 epochs" in shown
    assert "units" not in shown
    Display().show_changes(3.0, {"units": 9}, {"units": 9})
    assert not capsys.readouterr().err


def test_durations() -> None:
    shown = [format_duration(seconds) for seconds in (0.4, 59.4, 59.6, 125, 3599.6, 3725)]
    assert shown == ["0 s", "59 s", "1:00", "2:05", "1:00:00", "1:02:05"]
