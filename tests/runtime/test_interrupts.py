"""Deferred interrupts: work in progress is finished before Ctrl-C takes effect."""

import io
import itertools
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from textgen_runtime.cli import run as run_module
from textgen_runtime.cli import texts as _text_batch
from textgen_runtime.cli._output_files import write_output
from textgen_runtime.interrupts import DeferredInterrupts, interrupts_ignored
from textgen_runtime.model import Batch, BatchChunk, Generation, Model

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import TINY
from tests.helpers.programs import posix_only


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize(
    ("chunks", "options", "output"),
    [
        (["ab", "cd", "never"], ["--prompt", "dad had"], "dad hadabcd\n"),
        (["ab\n", "cd\n", "never"], ["--prompt", "dad had"], "dad hadab\ncd\n"),
        (["\n", "", "never"], ["--prompt", "dad had"], "dad had\n"),
        (["", "", "never"], ["--no-echo"], ""),
    ],
)
def test_line_of_output_is_ended_after_an_interrupt_if_it_has_begun(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, chunks: list[str], options: list[str], output: str
) -> None:
    numbers = itertools.count()

    def advance(batch: Batch, _: int) -> list[BatchChunk]:
        number = next(numbers)
        if number == 1:
            signal.raise_signal(signal.SIGINT)
        text = chunks[number]
        return [BatchChunk(generation, len(text), text, None) for generation in batch]

    monkeypatch.setattr(Batch, "advance", advance)
    assert run_here(run_module.main, capsys, str(TINY), *options) == (130, output, "")


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_need_not_wait_for_a_prompt(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "prompts.txt").write_text("abc\ndad\n")
    start, fed = Model.start, []

    def interrupted(model: Model, prompt: str, **options: Any) -> Generation:
        if prompt == "dad":
            signal.raise_signal(signal.SIGINT)
            fed.append(prompt)
        return start(model, prompt, **options)

    monkeypatch.setattr(_text_batch, "MAX_LANES", 1)
    monkeypatch.setattr(Model, "start", interrupted)
    options = ("--prompts", str(tmp_path / "prompts.txt"), "--length", "5", "--seed", "1", "--separator", "|")
    code, out, err = run_here(run_module.main, capsys, str(TINY), *options)
    assert (code, len(out.strip()), err, fed) == (130, len("abc") + 5, "", [])


def test_finished_text_is_written_before_an_interrupt_can_end_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = io.BytesIO()
    outputs_at_exit = []

    exit_context = DeferredInterrupts.__exit__

    def recording(interrupts: DeferredInterrupts, *error: Any) -> None:
        outputs_at_exit.append(output.getvalue())
        exit_context(interrupts, *error)

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, "utf-8"))
    monkeypatch.setattr(DeferredInterrupts, "__exit__", recording)
    assert run_module.main([str(TINY), "--temp", "0", "1", "--length", "9"]) == 0
    assert outputs_at_exit == [output.getvalue()]
    assert outputs_at_exit[0].startswith(b"------ temperature: 0.0\n")
    assert outputs_at_exit[0].endswith(b"\n")


@pytest.mark.usefixtures("interrupts")
def test_output_file_is_complete_before_an_interrupt_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    monkeypatch.setattr(os, "fsync", lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        write_output(path, b"content")
    assert path.stat().st_size > 0
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("place", ["check", "end", "wait", "error"])
def test_an_interrupt_is_deferred_until_a_check_a_wait_or_the_end(place: str) -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt) as caught, DeferredInterrupts() as interrupts:  # noqa: PT012 (checks which statements run)
        interrupts.check()
        signal.raise_signal(signal.SIGINT)
        steps.append("after the signal")
        if place == "error":
            raise ValueError("an error")
        if place == "check":
            interrupts.check()
        elif place == "wait":
            with interrupts.immediate():
                steps.append("wait")
        steps.append("end")
    assert steps == ["after the signal", *["end"] * (place == "end")]
    assert repr(caught.value.__cause__) == ("ValueError('an error')" if place == "error" else "None")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("interrupts")
def test_a_wait_is_interrupted_at_once_and_an_error_alone_is_raised_unchanged() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), DeferredInterrupts() as interrupts:  # noqa: PT012
        with interrupts.immediate():
            signal.raise_signal(signal.SIGINT)
            steps.append("in the wait")
        steps.append("after the wait")
    assert steps == []
    with pytest.raises(ValueError, match="an error"), DeferredInterrupts() as interrupts:  # noqa: PT012
        with interrupts.immediate():
            pass
        raise ValueError("an error")


@pytest.mark.usefixtures("interrupts")
def test_second_interrupt_has_its_original_effect() -> None:
    # Not pytest.raises within the context, which would turn its failure into the deferred interrupt.
    is_raised = False
    with pytest.raises(KeyboardInterrupt), DeferredInterrupts():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            is_raised = True
    assert is_raised


@posix_only
def test_closed_terminal_may_send_its_signal_twice() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), DeferredInterrupts(signal.SIGHUP):  # noqa: PT012
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with DeferredInterrupts() as interrupts:
            signal.raise_signal(signal.SIGINT)
            interrupts.check()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_context_does_nothing_outside_the_main_thread() -> None:
    before = signal.getsignal(signal.SIGINT)
    handlers = []

    def defer() -> None:
        with DeferredInterrupts():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=defer)
    thread.start()
    thread.join()
    assert handlers == [before]


def test_interrupts_have_an_effect_only_where_they_are_awaited() -> None:
    original = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with interrupts_ignored():
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt), DeferredInterrupts():  # noqa: PT012 (the signals are the cause)
                # Each signal is handled before the next one is sent.
                for _ in range(3):
                    signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with interrupts_ignored():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, original)
