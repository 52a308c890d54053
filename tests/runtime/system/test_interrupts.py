"""Ctrl-C waits until what was begun is finished, and then takes effect."""

import io
import os
import signal
import subprocess
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from textgen_runtime.bench._processes import python, running
from textgen_runtime.cli import bench as bench_module
from textgen_runtime.cli import eval as eval_module
from textgen_runtime.cli import run as run_module
from textgen_runtime.generation.batch import Batch, BatchChunk
from textgen_runtime.system.interrupts import DeferredInterrupts
from textgen_train.cli.train import finish
from textgen_train.errors import TrainingError

from tests.helpers.bench_reports import REPORT
from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import TINY

if TYPE_CHECKING:
    from textgen_train.loop.run import TrainingRun


@pytest.fixture
def _interrupts() -> Iterator[None]:
    """What ran the tests in the background may have the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interrupts")
@pytest.mark.parametrize(
    ("made", "written"),
    [
        (["ab", "cd", "never"], "dad hadabcd\n"),
        (["ab\n", "cd\n", "never"], "dad hadab\ncd\n"),
        (["\n", "", "never"], "dad had\n"),
    ],
)
def test_the_line_is_ended_after_an_interrupt(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, made: list[str], written: str
) -> None:
    texts = iter(made)

    def advance(batch: Batch, _: int) -> list[BatchChunk]:
        text = next(texts)
        if text == made[1]:
            signal.raise_signal(signal.SIGINT)
        return [BatchChunk(generation, len(text), text, None) for generation in batch]

    monkeypatch.setattr(Batch, "advance", advance)
    assert run_here(run_module.main, capsys, str(TINY), "--prompt", "dad had") == (130, written, "")


@pytest.mark.usefixtures("_interrupts")
def test_a_line_that_was_not_begun_is_not_ended(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def advance(batch: Batch, _: int) -> list[BatchChunk]:
        signal.raise_signal(signal.SIGINT)
        return [BatchChunk(generation, 0, "", None) for generation in batch]

    monkeypatch.setattr(Batch, "advance", advance)
    assert run_here(run_module.main, capsys, str(TINY), "--no-echo") == (130, "", "")


def test_a_finished_text_is_written_before_an_interrupt_may_end_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.BytesIO()
    seen = []

    leave = DeferredInterrupts.__exit__

    def watched(held: DeferredInterrupts, *raised: Any) -> None:
        seen.append(written.getvalue())
        leave(held, *raised)

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "utf-8"))
    monkeypatch.setattr(DeferredInterrupts, "__exit__", watched)
    assert run_module.main([str(TINY), "--temp", "0", "1", "--length", "9"]) == 0
    assert len(seen) == 2
    assert seen[0].startswith(b"------ temperature: 0.0\n")
    assert len(seen[0].decode().splitlines(keepends=True)) >= 2
    assert seen[0].endswith(b"\n")
    assert seen[1] == written.getvalue()


@pytest.mark.usefixtures("_interrupts")
@pytest.mark.parametrize(
    "write",
    [
        lambda path: bench_module.write_files(Namespace(json=path, plot=None), REPORT),
        lambda path: bench_module.write_files(Namespace(json=None, plot=path), REPORT),
        lambda path: eval_module.write_page(Namespace(surprise=path, model="model.onnx"), []),
    ],
    ids=["--json", "--plot", "--surprise"],
)
def test_a_file_is_written_to_its_end_before_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "file"
    monkeypatch.setattr(os, "fsync", lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        write(path)
    assert path.stat().st_size > 0
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("_interrupts")
def test_an_interrupt_waits_for_the_check() -> None:
    done = []
    with DeferredInterrupts() as interrupts, pytest.raises(KeyboardInterrupt):  # noqa: PT012 (what is before it)
        interrupts.check()
        signal.raise_signal(signal.SIGINT)
        done.append("after the signal")
        interrupts.check()
        done.append("after the check")
    assert done == ["after the signal"]


@pytest.mark.usefixtures("_interrupts")
def test_an_interrupt_waits_no_longer_than_the_context() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), DeferredInterrupts():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        done.append("all of it")
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("_interrupts")
def test_an_error_does_not_lose_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, DeferredInterrupts():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        raise ValueError("an error")
    assert repr(caught.value.__cause__) == "ValueError('an error')"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("_interrupts")
def test_an_error_without_an_interrupt_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="an error"), DeferredInterrupts():
        raise ValueError("an error")


@pytest.mark.usefixtures("_interrupts")
def test_an_interrupt_that_was_raised_has_no_other_cause() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, DeferredInterrupts() as interrupts:  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        interrupts.check()
    assert caught.value.__cause__ is None


@pytest.mark.usefixtures("_interrupts")
def test_training_that_fails_after_an_interrupt_tells_what_is_left(capsys: Captured, tmp_path: Path) -> None:
    """The error is the interrupt's cause; the best model is in its file and is told of."""

    class Run:
        best = SimpleNamespace(held_out_nats=1.25)

        def run(self, check: Callable[[], None]) -> None:
            del check
            signal.raise_signal(signal.SIGINT)
            raise TrainingError("the loss is no number")

    assert finish(cast("TrainingRun", Run()), tmp_path) == 130
    assert "model.onnx holds the best model so far, 1.2500 nats held out" in capsys.readouterr().err


@pytest.mark.usefixtures("_interrupts")
def test_a_second_interrupt_has_its_earlier_effect() -> None:
    with pytest.raises(KeyboardInterrupt), DeferredInterrupts():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_terminal_that_closes_may_send_its_signal_twice() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), DeferredInterrupts(signal.SIGHUP):  # noqa: PT012
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_ignored_signal_is_not_held() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with DeferredInterrupts() as interrupts:
            signal.raise_signal(signal.SIGINT)
            interrupts.check()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_hold_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def hold() -> None:
        with DeferredInterrupts():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.usefixtures("_interrupts")
def test_a_process_that_is_waited_for_is_ended() -> None:
    waits = python("import signal; print(1, flush=True); signal.pause()")
    with pytest.raises(KeyboardInterrupt), running(waits, stdout=subprocess.PIPE) as process:  # noqa: PT012
        assert process.stdout is not None
        process.stdout.readline()
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the interrupt waits for the process")
    assert process.returncode == -signal.SIGKILL


def test_a_process_does_not_see_the_interrupt_of_a_terminal() -> None:
    blocked = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with running(python(blocked), stdout=subprocess.PIPE) as process:
        out, _ = process.communicate()
    assert out == b"True\n"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
