"""The output folder: its lock, its checks, and the removal of temporary files."""

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock
from textgen_runtime import OutputError
from textgen_runtime.corpus import CHECKPOINT_FILE, CURVES_FILE, RUN_FILES
from textgen_runtime.files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from textgen_train.loop import output_folder
from textgen_train.loop.output_folder import (
    LOCK_FILE,
    EarlierFiles,
    check_overwrites,
    locked_folder,
    prepared_folder,
)


def test_a_second_run_is_rejected_until_the_first_one_ends(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    for _ in range(2):
        with prepared_folder(tmp_path, [], 1, overwrite=True, quantize=False):
            for folder in (tmp_path, link):
                with (
                    pytest.raises(OutputError, match="another textgen-train run is writing to the folder"),
                    prepared_folder(folder, [], 1, overwrite=True, quantize=False),
                ):
                    pass


def test_a_comparison_that_looks_at_a_folder_does_not_stop_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the lock for a moment."""
    look = FileLock(tmp_path / LOCK_FILE)
    look.acquire()
    monkeypatch.setattr(time, "sleep", lambda _: look.release())
    with locked_folder(tmp_path):
        pass


def test_a_run_without_files_leaves_no_folder_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, the file of the lock is removed only when the lock is released."""
    unlink = Path.unlink
    is_locked = True

    def refuse_while_locked(path: Path, *, missing_ok: bool = False) -> None:
        if is_locked and path.name == LOCK_FILE:
            raise PermissionError(13, "The process cannot access the file")
        unlink(path, missing_ok=missing_ok)

    @contextlib.contextmanager
    def lock(folder: Path) -> Iterator[None]:
        nonlocal is_locked
        (folder / LOCK_FILE).touch()
        yield
        is_locked = False

    monkeypatch.setattr(output_folder, "CAN_REMOVE_OPEN_FILES", False)
    monkeypatch.setattr(output_folder, "locked_folder", lock)
    monkeypatch.setattr(Path, "unlink", refuse_while_locked)
    with prepared_folder(tmp_path / "a" / "b", [], 1, overwrite=False, quantize=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_of_killed_runs_are_removed(tmp_path: Path) -> None:
    (tmp_path / f"{TEMPORARY_PREFIX}0123456789abcdef{TEMPORARY_SUFFIX}").touch()
    with prepared_folder(tmp_path, [], 1, overwrite=False, quantize=False):
        assert os.listdir(tmp_path) == [LOCK_FILE]


def test_temporary_files_of_killed_runs_take_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    abandoned = tmp_path / f"{TEMPORARY_PREFIX}0123456789abcdef{TEMPORARY_SUFFIX}"
    abandoned.touch()
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(free=0 if abandoned.exists() else 10**9)
    )
    with prepared_folder(tmp_path, [], 1, overwrite=False, quantize=False):
        pass


PREDICTIONS = "predictions-0123456789abcdef.bin"


@pytest.mark.parametrize("name", [*RUN_FILES, PREDICTIONS])
def test_a_file_of_another_run_is_replaced_only_with_permission(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    resume = ", resume its run with resume" * (name == CHECKPOINT_FILE)
    message = f"{name} exists: choose another folder with output{resume}, or pass overwrite"
    with pytest.raises(OutputError, match=message):
        check_overwrites(tmp_path, [], overwrite=False)
    check_overwrites(tmp_path, [], overwrite=True)


def test_a_new_run_removes_the_files_of_an_earlier_one_except_the_model(tmp_path: Path) -> None:
    """A run that is killed before its first evaluation must not leave a mixture of two runs."""
    (tmp_path / "tensorboard").mkdir()
    for name in (
        *RUN_FILES[:-1],
        PREDICTIONS,
        "notes.txt",
        "predictions-2026.bin",
        "tensorboard/events.out.tfevents.1",
        "tensorboard/notes.txt",
    ):
        (tmp_path / name).touch()
    with prepared_folder(tmp_path, [], 1, overwrite=True, quantize=False):
        EarlierFiles(tmp_path).on_start()
        kept = [LOCK_FILE, "model.onnx", "notes.txt", "predictions-2026.bin", "tensorboard"]
        assert sorted(os.listdir(tmp_path)) == kept
        assert os.listdir(tmp_path / "tensorboard") == ["notes.txt"]


def test_an_earlier_run_that_has_lost_files_cannot_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The removal of its files ends with an error at the loss curves."""
    unlink = Path.unlink

    def failing(path: Path, **options: Any) -> None:
        if path.name == CURVES_FILE:
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path, **options)

    for name in (*RUN_FILES[:-1], PREDICTIONS):
        (tmp_path / name).touch()
    monkeypatch.setattr(Path, "unlink", failing)
    with pytest.raises(OutputError, match=r"cannot write to the folder .*: Permission denied"):
        EarlierFiles(tmp_path).on_start()
    assert sorted(os.listdir(tmp_path)) == [CURVES_FILE, "model.onnx", PREDICTIONS, "report.html"]


@pytest.mark.parametrize(
    ("parameters", "overwrite", "quantize"), [(3, False, False), (3, True, False), (2, True, True)]
)
def test_a_run_without_room_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parameters: int, overwrite: bool, quantize: bool
) -> None:
    """The files that it would remove make room. Two parameters need 56 bytes, and 2 with 8-bit weights."""
    (tmp_path / CHECKPOINT_FILE).write_bytes(b"x" * 36)
    folder = tmp_path if overwrite else tmp_path / "new"
    monkeypatch.setattr(output_folder, "REPORT_BYTES", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=20))
    with (
        pytest.raises(OutputError, match=r"MB left, but the run needs about 0\.0 MB: remove some files"),
        prepared_folder(folder, [], parameters, overwrite=overwrite, quantize=quantize),
    ):
        pass
    assert sorted({*os.listdir(tmp_path), LOCK_FILE}) == [LOCK_FILE, CHECKPOINT_FILE]
    with prepared_folder(tmp_path, [], 2, overwrite=True, quantize=False):
        pass


def test_a_locked_folder_keeps_its_checkpoint(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT_FILE).touch()
    (tmp_path / f"{TEMPORARY_PREFIX}0123456789abcdef{TEMPORARY_SUFFIX}").touch()
    with locked_folder(tmp_path):
        assert sorted(os.listdir(tmp_path)) == [LOCK_FILE, CHECKPOINT_FILE]


def test_a_missing_folder_cannot_be_locked(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"cannot write to the folder .*none"),
        locked_folder(tmp_path / "none"),
    ):
        pass


def test_files_written_by_another_run_before_the_lock_are_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire = FileLock.acquire

    def acquire_late(lock: FileLock, **options: Any) -> Any:
        (tmp_path / "metrics.jsonl").touch()
        return acquire(lock, **options)

    monkeypatch.setattr(FileLock, "acquire", acquire_late)
    with (
        pytest.raises(OutputError, match=r"metrics\.jsonl exists"),
        prepared_folder(tmp_path, [], 1, overwrite=False, quantize=False),
    ):
        pass
