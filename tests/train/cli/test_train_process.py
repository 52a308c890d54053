"""``textgen-train`` in another process: interrupts and closed pipes."""

import contextlib
import ctypes
import os
import platform
import signal
import sys
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_train.cli import train
from textgen_train.cli._process import deferred_interrupts, keep_freed_memory, limit_kernel_caches
from textgen_train.cli.train import main

from tests.helpers.processes import ForkedCommand
from tests.helpers.programs import posix_only, run_python

TEXT = "Do re mi fa sol la si do,\n" * 80


@posix_only
def test_an_interrupt_with_closed_pipes_saves_the_best_model(tmp_path: Path) -> None:
    """In a shell, Ctrl-C also ends a ``tee`` that reads the output. The last evaluation cannot be printed."""
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    options = ["book.txt", "--units", "8", "--epochs", "1000000"]
    with ForkedCommand(main, options, tmp_path) as command:
        assert "held-out loss" in command.out.readline()
        command.out.close()
        command.err.close()
        command.send_signal(signal.SIGINT)
        assert command.wait() == 130
    assert textgen.load(tmp_path / "book-model" / "model.onnx").generate(seed=1, length=5)


def train_interrupted_at_the_start(arguments: list[str]) -> int:
    # As the launcher does.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def interrupt(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    vars(train)["specify"] = interrupt
    return main(arguments)


def test_an_interrupt_before_a_run_is_ready_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    with ForkedCommand(train_interrupted_at_the_start, ["book.txt", "--epochs", "1"], tmp_path) as command:
        assert command.wait() == -signal.SIGINT
    assert [path.name for path in tmp_path.iterdir()] == ["book.txt"]


@posix_only
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGBREAK"])
def test_signals_interrupt_training_unless_ignored(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Windows has SIGBREAK and no SIGHUP, and other systems have no SIGBREAK."""
    if name == "SIGBREAK":
        monkeypatch.setattr(signal, "SIGBREAK", signal.SIGURG, raising=False)
        monkeypatch.delattr(signal, "SIGHUP", raising=False)
    number = getattr(signal, name)
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


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_keep_their_allocator(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(ctypes, "CDLL", None)
    keep_freed_memory()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other allocators")
def test_a_run_uses_freed_memory_again(tmp_path: Path) -> None:
    """The system counts a fault for the first use of each page."""
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    program = f"""
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from textgen_train.cli import _training_run, train

def faults(mebibytes):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(b"x") * (mebibytes << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def measure(*_, **__):
    with ThreadPoolExecutor(1) as pool:
        for mebibytes in (1, 32):
            for call in (faults, lambda size: pool.submit(faults, size).result()):
                print(call(mebibytes), call(mebibytes))
    sys.exit()

_training_run.Trainer = measure
train.main(["{tmp_path}/book.txt", "--epochs", "1", "--output", "{tmp_path}/model"])
"""
    lines = run_python(program).splitlines()
    assert len(lines) == 4
    assert all(int(line.split()[1]) < 16 for line in lines)


def test_a_user_can_set_how_many_kernels_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "7")
    monkeypatch.delenv("LRU_CACHE_CAPACITY", raising=False)
    limit_kernel_caches()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "7"
    assert os.environ["LRU_CACHE_CAPACITY"] == "64"


def test_batches_of_many_shapes_take_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the defaults of torch, the kernels of these shapes take 40 MB on x86-64."""
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    program = f"""
import sys, psutil, torch
from textgen_train.cli import _training_run, train

def measure(*_, **__):
    network = torch.nn.LSTM(88, 88)
    for time in range(200):
        network(torch.zeros(time + 1, 8, 88))[0].sum().backward()
        if time in (20, 199):
            print(psutil.Process().memory_info().rss >> 20)
    sys.exit()

_training_run.Trainer = measure
train.main(["{tmp_path}/book.txt", "--epochs", "1", "--output", "{tmp_path}/model"])
"""
    first, last = map(int, run_python(program).split())
    assert last - first < 20
