"""The output folder: its lock, its checks, and the removal of temporary files."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from textgen_runtime import OutputError
from textgen_runtime.corpora.sources import CHECKPOINT_FILE, RUN_FILES
from textgen_runtime.system.files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from textgen_train.errors import TrainingError
from textgen_train.loop.output_folder import (
    LOCK_FILE,
    check_overwrites,
    locked_folder,
    prepared_folder,
    remove_replaced,
)


def test_a_second_run_is_rejected_until_the_first_one_ends(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    for _ in range(2):
        with prepared_folder(tmp_path, [], overwrite=True):
            for folder in (tmp_path, link):
                with (
                    pytest.raises(OutputError, match="another textgen-train run is writing to the folder"),
                    prepared_folder(folder, [], overwrite=True),
                ):
                    pass


def test_temporary_files_of_killed_runs_are_removed(tmp_path: Path) -> None:
    (tmp_path / f"{TEMPORARY_PREFIX}0123456789abcdef{TEMPORARY_SUFFIX}").touch()
    with prepared_folder(tmp_path, [], overwrite=False):
        assert os.listdir(tmp_path) == [LOCK_FILE]


@pytest.mark.parametrize("name", RUN_FILES)
def test_a_file_of_another_run_is_replaced_only_with_permission(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    resume = ", resume its run with resume" * (name == CHECKPOINT_FILE)
    message = f"{name} exists: choose another folder with output{resume}, or pass overwrite"
    with pytest.raises(OutputError, match=message):
        check_overwrites(tmp_path, [], overwrite=False)
    check_overwrites(tmp_path, [], overwrite=True)


def assert_fails(folder: Path, *written: str) -> None:
    """Let a run fail after it wrote these files."""

    def run() -> None:
        with prepared_folder(folder, [], overwrite=False):
            assert folder.exists()
            for name in written:
                (folder / name).touch()
            raise TrainingError

    with pytest.raises(TrainingError):
        run()


@pytest.mark.parametrize("existing", ["", "outer", "outer/inner"])
def test_a_run_that_fails_before_it_writes_removes_the_folders_that_it_made(
    tmp_path: Path, existing: str
) -> None:
    (tmp_path / existing).mkdir(parents=True, exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    folder = tmp_path / "outer" / "inner"
    assert_fails(folder)
    assert [path for path in sorted(tmp_path.rglob("*")) if path.name != LOCK_FILE] == before
    # The lock file stays only in a folder that the run has not made.
    assert (folder / LOCK_FILE).exists() is (existing == "outer/inner")


def test_a_run_that_fails_after_it_wrote_keeps_its_folder(tmp_path: Path) -> None:
    assert_fails(tmp_path / "new", "metrics.jsonl")
    assert sorted(os.listdir(tmp_path / "new")) == [LOCK_FILE, "metrics.jsonl"]


def test_a_folder_that_another_run_removes_before_the_lock_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire = FileLock.acquire

    def acquire_and_remove(lock: FileLock, **options: Any) -> Any:
        acquired = acquire(lock, **options)
        shutil.rmtree(tmp_path / "new")
        return acquired

    monkeypatch.setattr(FileLock, "acquire", acquire_and_remove)
    with (
        pytest.raises(OutputError, match=r"cannot write to the folder .*new: No such file"),
        prepared_folder(tmp_path / "new", [], overwrite=False),
    ):
        pass


def test_an_overwritten_checkpoint_is_removed_when_the_run_is_ready(tmp_path: Path) -> None:
    """A run that is killed before its first checkpoint must not leave that of the run before it."""
    names = [CHECKPOINT_FILE, "model.int8.onnx", "model.onnx"]
    for name in names:
        (tmp_path / name).touch()
    with prepared_folder(tmp_path, [], overwrite=True):
        assert sorted(os.listdir(tmp_path)) == [LOCK_FILE, *names]
        remove_replaced(tmp_path)
        assert sorted(os.listdir(tmp_path)) == [LOCK_FILE, "model.onnx"]


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
        prepared_folder(tmp_path, [], overwrite=False),
    ):
        pass
