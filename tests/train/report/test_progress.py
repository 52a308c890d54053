"""What a person sees while a model trains."""

import errno
import io
import os
import sys
from collections.abc import Callable

import pytest
from textgen_train.report import progress
from textgen_train.report.progress import Bar, PlainLines, Progress, make_progress

Captured = pytest.CaptureFixture[str]


def test_a_terminal_has_a_bar_and_a_pipe_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_progress(), PlainLines)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = make_progress()
    bar.close()
    assert isinstance(bar, Bar)


def test_plain_lines_come_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    now = 0.0
    monkeypatch.setattr(progress, "perf_counter", lambda: now)
    lines = PlainLines()
    for second in range(35):
        now = float(second)
        lines.show(second / 100, f"{second} s")
    lines.write("a result")
    lines.close()
    captured = capsys.readouterr()
    assert captured.err == " 10%  10 s\n 20%  20 s\n 30%  30 s\n"
    assert captured.out == "a result\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_control_characters_in_samples_are_escaped_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, terminal: bool
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    PlainLines().write("a\tb\x1b[2J\n")
    assert capsys.readouterr().out == ("a\tb\\x1b[2J\n\n" if terminal else "a\tb\x1b[2J\n\n")


class Closed(io.StringIO):
    """A stream whose reader has gone away, or that cannot take any more."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, _: str) -> int:
        raise self.error


@pytest.mark.parametrize("display", [Bar, PlainLines])
def test_that_nobody_reads_ends_no_training(
    monkeypatch: pytest.MonkeyPatch, display: Callable[[], Progress]
) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stdout", Closed(BrokenPipeError()))
    shown = display()
    # A terminal that is gone gives an input/output error.
    monkeypatch.setattr(sys, "stderr", Closed(OSError(errno.EIO, os.strerror(errno.EIO))))
    shown.show(0.5, "1.4 nats")
    shown.write("a result")
    shown.warn("a warning")
    shown.close()


def test_a_reader_that_has_seen_enough_is_no_news(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(sys, "stdout", Closed(BrokenPipeError()))
    PlainLines().write("a result")
    assert capsys.readouterr().err == ""


def test_results_that_cannot_be_written_are_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(sys, "stdout", Closed(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    PlainLines().write("a result")
    assert capsys.readouterr().err == (
        "warning: cannot write standard output: No space left on device; training goes on\n"
    )


def test_a_bar_shows_the_status_and_results_go_to_standard_output(capsys: Captured) -> None:
    bar = Bar()
    bar._bar.mininterval = 0
    bar.show(0.25, "1.5 nats")
    bar.show(0.5, "1.4 nats")
    bar.write("a result")
    bar.close()
    captured = capsys.readouterr()
    assert "50%" in captured.err
    assert "1.4 nats" in captured.err
    assert captured.out == "a result\n"
