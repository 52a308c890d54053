"""Progress displays on terminals and pipes, and the warning when training diverges."""

import errno
import io
import math
import os
import sys
from collections.abc import Callable

import pytest
from textgen_runtime import terminal as console
from textgen_train.loop.events import START, Evaluation, EvaluationHistory, Status
from textgen_train.report import progress
from textgen_train.report.progress import Display, DivergenceWarning, Progress, ProgressBar, make_progress

Captured = pytest.CaptureFixture[str]


def test_a_terminal_has_a_bar_and_a_pipe_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not isinstance(make_progress(), ProgressBar)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = make_progress()
    bar.close()
    assert isinstance(bar, ProgressBar)


@pytest.mark.parametrize(("columns", "bar"), [(100, 24), (60, 7), (54, 1)])
def test_a_narrow_terminal_has_a_short_bar(monkeypatch: pytest.MonkeyPatch, columns: int, bar: int) -> None:
    """The line ends with the time that is left."""
    status = "1.234 nats  123,456 characters/s  1:02:05 left"
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((columns, 24)))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    display = ProgressBar()
    display.show(0.5, status)
    line = str(display._bar)
    display.close()
    assert line.startswith(" 50% ")
    assert line.endswith(f" {status}")
    assert len(line) == len(" 50% ") + bar + 1 + len(status)


def test_lines_are_printed_at_intervals(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    now = 0.0
    monkeypatch.setattr(progress, "perf_counter", lambda: now)
    lines = Progress()
    for second in range(35):
        now = float(second)
        lines.show(second / 100, f"{second} s")
    lines.write("a result")
    lines.close()
    captured = capsys.readouterr()
    assert captured.err == " 10%  10 s\n 20%  20 s\n 30%  30 s\n"
    assert captured.out == "a result\n"


def test_both_losses_of_an_evaluation_are_measured_without_dropout(capsys: Captured) -> None:
    """The last line of a run has the same training loss."""
    evaluation = Evaluation(
        step=80,
        epoch=20.0,
        seconds=81.0,
        training_nats=1.9375,
        held_out_nats=1.75,
        bits_per_character=2.5,
        learning_rate=0.01,
        training_eval_nats=1.4375,
    )
    Display(Progress()).on_evaluation(EvaluationHistory([evaluation], [""], evaluation))
    assert capsys.readouterr().out == (
        "epoch 20.0, 81 s: held-out loss 1.7500 nats (2.500 bits per character), training loss 1.4375\n"
    )


@pytest.mark.parametrize("terminal", [True, False])
def test_control_characters_in_samples_are_escaped_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, terminal: bool
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    Progress().write("a\tb\x1b[2J\n")
    assert capsys.readouterr().out == ("a\tb\\x1b[2J\n\n" if terminal else "a\tb\x1b[2J\n\n")


class FailingStream(io.StringIO):
    """A stream whose writes fail."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, _: str) -> int:
        raise self.error


@pytest.mark.parametrize("make_display", [ProgressBar, Progress])
def test_closed_streams_raise_no_errors(
    monkeypatch: pytest.MonkeyPatch, make_display: Callable[[], Progress]
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr(sys, "stdout", FailingStream(BrokenPipeError()))
    display = make_display()
    # Writes to a closed terminal fail with EIO.
    monkeypatch.setattr(sys, "stderr", FailingStream(OSError(errno.EIO, os.strerror(errno.EIO))))
    display.show(0.5, "1.4 nats")
    display.write("a result")
    display.warn("a warning")
    display.close()


@pytest.mark.parametrize("is_windows", [False, True])
def test_a_closed_pipe_gives_no_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, is_windows: bool
) -> None:
    monkeypatch.setattr(console, "IS_WINDOWS", is_windows)
    error = OSError(errno.EINVAL, "Invalid argument") if is_windows else BrokenPipeError()
    monkeypatch.setattr(sys, "stdout", FailingStream(error))
    Progress().write("a result")
    assert capsys.readouterr().err == ""


def test_a_failed_write_gives_a_warning(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(sys, "stdout", FailingStream(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    Progress().write("a result")
    assert capsys.readouterr().err == (
        "textgen-train: warning: cannot write standard output: No space left on device; training continues\n"
    )


def test_a_bar_goes_to_standard_error_and_results_to_standard_output(capsys: Captured) -> None:
    bar = ProgressBar()
    bar._bar.mininterval = 0
    bar.show(0.25, "1.5 nats")
    bar.show(0.5, "1.4 nats")
    bar.write("a result")
    bar.close()
    captured = capsys.readouterr()
    assert "50%" in captured.err
    assert "1.4 nats" in captured.err
    assert captured.out == "a result\n"


@pytest.mark.parametrize("characters_per_token", [1.0, 4.0])
@pytest.mark.parametrize(
    ("updates", "nats_per_token", "warned"), [(50, 2.2, True), (49, 2.2, False), (50, 2.0, False)]
)
def test_divergence_is_a_loss_above_that_of_a_guess_after_some_updates(
    characters_per_token: float, updates: int, nats_per_token: float, warned: bool
) -> None:
    """The loss of a token with 7 values is 1.95 nats, and the margin is 0.1 nats per token."""
    warnings: list[str] = []
    watcher = DivergenceWarning(7, warnings.append, characters_per_token)
    nats = nats_per_token / characters_per_token
    watcher.on_evaluation_start(Status(START, updates, 1.0, nats))
    guess = math.log(7) / characters_per_token
    expected = f"the loss is {nats:.2f} nats, and a uniform guess has {guess:.2f} nats"
    assert [expected in warning for warning in warnings] == [True] * warned


def test_divergence_is_warned_about_again_only_after_a_recovery() -> None:
    warnings: list[str] = []
    watcher = DivergenceWarning(7, warnings.append)
    for nats, count in ((2.2, 1), (2.3, 1), (1.5, 1), (2.2, 2)):
        watcher.on_evaluation_start(Status(START, 50, 1.0, nats))
        assert len(warnings) == count
