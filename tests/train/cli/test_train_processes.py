"""``textgen-train`` in two processes."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import psutil
import pytest
import textgen_runtime as textgen
from textgen_train.cli.train import main
from textgen_train.loop.distributed import DistributedRanks

from tests.helpers.commands import Captured
from tests.helpers.processes import run_command_here, run_processes
from tests.helpers.programs import posix_only
from tests.helpers.train_command import QUICK, TEXT, run

Result = tuple[int, str, str]


def train_in(rank: int, folder: Path, arguments: list[str]) -> Result:
    os.chdir(folder)
    return run_command_here(main, [argument.format(rank=rank) for argument in arguments])


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., list[Result]]:
    """A function that trains on ``book.txt`` in two processes of one thread."""
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")

    def train_together(*arguments: str, corpus: str = "book.txt") -> list[Result]:
        return run_processes(train_in, tmp_path, [corpus, *QUICK, "--threads", "1", *arguments])

    return train_together


def weights_of(path: Path) -> list[bytes]:
    return [tensor.raw_data for tensor in onnx.load(path).graph.initializer]


def test_the_first_process_writes_the_model_that_two_threads_train(
    train: Callable[..., list[Result]], tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code, out, err), followed = train()
    assert code == 0
    assert "held-out loss" in out
    assert "cpu, float32, 1 thread in each of 2 processes" in err.replace("bfloat16", "float32")
    assert followed == (0, "", "")
    report = (tmp_path / "book-model" / "report.html").read_text("utf-8")
    assert "torchrun --standalone --nproc-per-node 2 -m textgen_train book.txt --units 8 " in report
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "book.txt", *QUICK, "--threads", "2", "-o", "threads")[0] == 0
    assert weights_of(tmp_path / "book-model" / "model.onnx") == weights_of(
        tmp_path / "threads" / "model.onnx"
    )
    assert textgen.load(tmp_path / "book-model" / "model.onnx").training["replicas"] == 2


def train_interrupted(rank: int, folder: Path, arguments: list[str]) -> Result:
    """Interrupt the run after its third update."""
    checks = iter([False] * 3)

    def check_interrupt(_: DistributedRanks) -> None:
        if next(checks, True):
            raise KeyboardInterrupt

    DistributedRanks.check_interrupt = check_interrupt  # type: ignore[method-assign, assignment]
    return train_in(rank, folder, arguments)


@pytest.mark.usefixtures("train")
def test_two_processes_and_one_resume_a_run_of_two_exactly(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two, the other process receives the options and the state from the first one."""
    options = ["--sequence-length", "16", "--dropout", "0.2", "--no-samples"]
    # With the penalty of the preset, the best model would be the one at the interrupt.
    options += ["--activation-penalty", "0"]
    (code, _, err), followed = run_processes(
        train_interrupted, tmp_path, ["book.txt", *QUICK, "--threads", "1", *options, "-o", "stopped"]
    )
    assert code == 130
    assert err.splitlines()[-1].endswith(
        ": torchrun --standalone --nproc-per-node 2 -m textgen_train --resume stopped"
    )
    assert followed == (0, "", "")
    shutil.copytree(tmp_path / "stopped", tmp_path / "alone")
    (code, _, err), followed = run_processes(train_in, tmp_path, ["--resume", "stopped"])
    assert code == 0
    assert "resuming after update 3" in err
    assert followed == (0, "", "")
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "--resume", "alone")
    assert code == 0
    assert "resuming after update 3" in err
    # The one process has a thread for each of the two.
    assert "2 threads\n" in err
    assert run(capsys, "book.txt", *QUICK, "--threads", "2", *options, "-o", "whole")[0] == 0
    whole, stopped, alone = (
        weights_of(tmp_path / name / "model.onnx") for name in ("whole", "stopped", "alone")
    )
    assert stopped == alone == whole
    (code, out, _), followed = run_processes(train_in, tmp_path, ["--resume", "stopped"])
    assert "the run in stopped is complete" in out
    assert followed == (0, "", "")


def train_and_lose(rank: int, lost: int, folder: Path, arguments: list[str]) -> Result:
    """Kill one process before its third update."""
    sums = DistributedRanks.sum_gradients
    updates = iter(range(2))

    def sum_gradients(ranks: DistributedRanks, *values: Any) -> Any:
        if rank == lost and next(updates, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return sums(ranks, *values)

    DistributedRanks.sum_gradients = sum_gradients  # type: ignore[method-assign, assignment]
    return train_in(rank, folder, arguments)


LOST = "textgen-train: error: another process of the run has ended or cannot be reached "


@pytest.mark.usefixtures("train")
def test_the_first_process_says_how_to_resume_a_run_that_lost_another(tmp_path: Path) -> None:
    arguments = ["book.txt", *QUICK, "--sequence-length", "16", "--threads", "1", "-o", "out"]
    (code, _, err), lost = run_processes(train_and_lose, 1, tmp_path, arguments)
    assert (code, lost) == (1, None)
    line = err.splitlines()[-1]
    assert line.startswith(f"{LOST}(process 0 on ")
    assert line.endswith(
        "; to resume the run: torchrun --standalone --nproc-per-node 2 -m textgen_train --resume out"
    )
    assert err.count("textgen-train: ") == 1


def train_interrupted_on_two_machines(rank: int, folder: Path, arguments: list[str]) -> Result:
    os.environ["GROUP_WORLD_SIZE"] = "2"
    return train_interrupted(rank, folder, arguments)


@pytest.mark.usefixtures("train")
def test_a_run_of_several_machines_says_how_to_resume_it_on_each(tmp_path: Path) -> None:
    options = ["book.txt", *QUICK, "--sequence-length", "16", "--threads", "1", "-o", "out"]
    (code, _, err), _ = run_processes(train_interrupted_on_two_machines, tmp_path, options)
    assert code == 130
    assert re.search(
        r"; to resume the run on each machine, with its number from 0 as NUMBER: torchrun --nnodes 2 "
        r"--node-rank NUMBER --master-addr 127\.0\.0\.1 --master-port \d+ .*-m textgen_train --resume out\n$",
        err,
    )


@pytest.mark.usefixtures("train")
def test_another_process_says_how_to_resume_a_run_that_lost_the_first(tmp_path: Path) -> None:
    arguments = ["book.txt", *QUICK, "--sequence-length", "16", "--threads", "1", "-o", "out"]
    lost, (code, out, err) = run_processes(train_and_lose, 0, tmp_path, arguments)
    assert (lost, code, out) == (None, 1, "")
    assert re.fullmatch(rf"{LOST}\(process 1 on .*\): resume the run with --resume\n", err)


def test_an_error_in_one_process_is_one_line_of_the_first(
    train: Callable[..., list[Result]], tmp_path: Path
) -> None:
    (tmp_path / "0.txt").write_text(TEXT, encoding="utf-8")
    (code, out, err), followed = train(corpus="{rank}.txt")
    assert code == 1
    assert out == ""
    assert re.fullmatch(r"textgen-train: error: .*1\.txt.* \(process 1 on .*\)", err.splitlines()[-1])
    assert followed == (1, "", "")
    assert not (tmp_path / "0-model" / "model.onnx").exists()


def test_different_options_are_one_line_of_the_first_process(
    train: Callable[..., list[Result]], tmp_path: Path
) -> None:
    (code, _, err), followed = train("--seed", "{rank}")
    assert code == 1
    assert err == (
        "textgen-train: error: process 1 has another --seed than this one: all processes need the same "
        "corpus, options and versions\n"
    )
    assert followed == (1, "", "")
    assert os.listdir(tmp_path) == ["book.txt"]


def test_standard_input_is_an_error(train: Callable[..., list[Result]]) -> None:
    (code, _, err), followed = train(corpus="-")
    assert code == 1
    assert err.startswith("textgen-train: error: several processes cannot read standard input: pass a file")
    assert len(err.splitlines()) == 1
    assert followed == (1, "", "")


def test_a_device_that_is_not_there_is_one_line(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(TEXT, encoding="utf-8")
    code, out, err = run(capsys, "book.txt", *QUICK, "--device", "cuda")
    assert (code, out) == (1, "")
    assert err.startswith("textgen-train: error: this machine has no cuda device")
    # The corpus has not been read, and there is no folder.
    assert err.count("\n") == 1
    assert list(Path().iterdir()) == [Path("book.txt")]


@posix_only
@pytest.mark.tier("push")
def test_torchrun_interrupts_the_run_and_the_model_is_kept(tmp_path: Path) -> None:
    """Both processes receive the signal."""
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["--units", "8", "--embedding", "4", "--epochs", "1000000", "--no-samples"]
    process = subprocess.Popen(
        [*torchrun, "-m", "textgen_train", "book.txt", *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        try:
            assert process.stdout is not None
            assert "held-out loss" in process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=120)
        finally:
            # Those that torchrun has started would train on without it.
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
            process.kill()
    assert len(re.findall("textgen-train: interrupted: book-model/model.onnx holds the best model", err)) == 1
    assert textgen.load(tmp_path / "book-model" / "model.onnx").generate(seed=1, length=5)
    assert not list((tmp_path / "book-model").glob(".*.partial"))
