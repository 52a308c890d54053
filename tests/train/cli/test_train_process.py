"""``textgen-train`` in another process: interrupts and closed pipes."""

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import textgen_runtime as textgen
from textgen_train.cli import train
from textgen_train.cli._interrupts import deferred_interrupts
from textgen_train.cli.train import main

from tests.helpers.processes import ForkedCommand

Start: TypeAlias = Callable[[int], ForkedCommand]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts a training run of some epochs and waits for its first evaluation."""
    with contextlib.ExitStack() as stack:

        def begin(epochs: int) -> ForkedCommand:
            (tmp_path / "book.txt").write_text("Do re mi fa sol la si do,\n" * 80, encoding="utf-8")
            options = ["book.txt", "--units", "8", "--epochs", str(epochs)]
            command = stack.enter_context(ForkedCommand(main, options, tmp_path))
            assert "held-out loss" in command.out.readline()
            return command

        yield begin


def test_training_continues_after_standard_output_is_closed(start: Start, tmp_path: Path) -> None:
    # Long enough for a second evaluation, whose line cannot be written.
    command = start(40)
    command.out.close()
    assert command.wait() == 0
    lines = (tmp_path / "book-model" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) > 1
    assert json.loads(lines[-1])["epoch"] == 40.0
    assert (tmp_path / "book-model" / "loss.svg").read_text().startswith("<svg ")


def test_an_interrupt_with_closed_pipes_saves_the_best_model(start: Start, tmp_path: Path) -> None:
    """In a shell, Ctrl-C also ends a ``tee`` that reads the output."""
    command = start(1_000_000)
    command.out.close()
    command.err.close()
    command.send_signal(signal.SIGINT)
    assert command.wait() == 130
    assert textgen.load(tmp_path / "book-model" / "model.onnx").generate(seed=1, length=5)


def train_interrupted_at_the_start(arguments: list[str]) -> int:
    # As the launcher does.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def interrupt(*_: object, **__: object) -> None:
        assert Path("book-model").exists()
        signal.raise_signal(signal.SIGINT)

    vars(train)["specify"] = interrupt
    return main(arguments)


def test_an_interrupt_before_the_first_update_removes_a_new_folder(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("Do re mi fa sol la si do,\n" * 80, encoding="utf-8")
    with ForkedCommand(train_interrupted_at_the_start, ["book.txt", "--epochs", "1"], tmp_path) as command:
        assert command.wait() == -signal.SIGINT
        assert command.err.read().endswith("textgen-train: interrupted: no model was saved to book-model\n")
    assert [path.name for path in tmp_path.iterdir()] == ["book.txt"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_interrupt_training_unless_ignored(number: signal.Signals) -> None:
    for handler in (signal.SIG_IGN, signal.SIG_DFL):
        before = signal.signal(number, handler)
        try:
            expected = (
                contextlib.nullcontext() if handler is signal.SIG_IGN else pytest.raises(KeyboardInterrupt)
            )
            with expected, deferred_interrupts():
                signal.raise_signal(number)
            assert signal.getsignal(number) is handler
        finally:
            signal.signal(number, before)
