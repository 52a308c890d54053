"""Atomic replacement of files."""

import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest
from textgen_runtime import OutputError
from textgen_runtime.system import files as files_module
from textgen_runtime.system.files import (
    TEMPORARY_PREFIX,
    TEMPORARY_SUFFIX,
    WAITS,
    check_writable,
    existing_folder,
    make_folder,
    remove_abandoned,
    replace_file,
    replacing_file,
)

from tests.helpers.programs import posix_only


def test_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_that_is_written_in_parts_can_be_read_and_appears_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with replacing_file(path) as file:
        file.write(b"abc")
        file.seek(1)
        assert file.read() == b"bc"
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"abc"
    with pytest.raises(OutputError, match=r"cannot write .*file: No space left"), replacing_file(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(KeyboardInterrupt), replacing_file(path):
        raise KeyboardInterrupt
    assert path.read_bytes() == b"abc"
    assert os.listdir(tmp_path) == ["file"]


def test_open_reader_continues_to_read_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        replace_file(path, b"new")
        assert reader.read() == b"old"


def test_full_disk_keeps_the_old_file_and_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot write .*file: No space left on device"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_interrupt_keeps_the_old_file_and_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupt(_: int) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        replace_file(tmp_path / "none" / "file", b"")


@posix_only
def test_permissions_are_kept_and_symbolic_links_are_followed(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    replace_file(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.fixture
def modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The permissions of each temporary file after its content was written."""
    modes: list[int] = []

    def record(_: int) -> None:
        modes.extend(path.stat().st_mode & 0o777 for path in tmp_path.glob(f"{TEMPORARY_PREFIX}*"))

    monkeypatch.setattr(os, "fsync", record)
    return modes


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_temporary_file_is_private_until_it_has_the_old_permissions(
    tmp_path: Path, modes: list[int], mode: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    before = os.umask(0o022)
    try:
        replace_file(path, b"new")
    finally:
        os.umask(before)
    assert modes == [0o600]
    assert path.stat().st_mode & 0o777 == mode


@posix_only
def test_new_file_follows_the_umask(tmp_path: Path, modes: list[int]) -> None:
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "file", b"new")
    finally:
        os.umask(before)
    assert modes == [0o640]
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


KILLED_PROGRAM = """
import os, signal, sys
from pathlib import Path
from textgen_runtime.system.files import replace_file
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
replace_file(Path(sys.argv[1]) / "file", b"new")
"""


@posix_only
def test_temporary_file_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    unrelated = tmp_path / "download.partial"
    unrelated.touch()
    done = subprocess.run([sys.executable, "-c", KILLED_PROGRAM, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 2
    remove_abandoned(tmp_path)
    assert os.listdir(tmp_path) == [unrelated.name]


def test_temporary_file_of_a_running_process_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: remove_abandoned(tmp_path))
    rename = Path.replace

    def remove_then_rename(path: Path, target: Path) -> Path:
        remove_abandoned(tmp_path)
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", remove_then_rename)
    replace_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


@posix_only
def test_temporary_file_removed_before_it_is_locked_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    lock = fcntl.flock
    removed: list[str] = []

    def remove_then_lock(file: BinaryIO, operation: int) -> None:
        if file.mode == "xb+" and not removed:
            removed.append(file.name)
            remove_abandoned(tmp_path)
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", remove_then_lock)
    replace_file(tmp_path / "file", b"new")
    assert len(removed) == 1
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(("refusals", "is_written"), [(0, True), (len(WAITS), True), (len(WAITS) + 1, False)])
def test_a_file_that_windows_does_not_replace_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: int, is_written: bool
) -> None:
    """Windows renames no open file, and replaces none that another program has open."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    opened: list[BinaryIO] = []
    waits: list[float] = []
    lock, rename = files_module._lock, Path.replace

    def remember(file: BinaryIO) -> bool:
        opened.append(file)
        return lock(file)

    def refuse_at_first(source: Path, target: Path) -> Path:
        if not opened[0].closed or len(waits) < refusals:
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        return rename(source, target)

    monkeypatch.setattr(files_module, "CAN_REMOVE_OPEN_FILES", False)
    monkeypatch.setattr(files_module, "_lock", remember)
    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(Path, "replace", refuse_at_first)
    with (
        contextlib.nullcontext() if is_written else pytest.raises(OutputError, match="cannot access the file")
    ):
        replace_file(path, b"new")
    assert path.read_bytes() == (b"new" if is_written else b"old")
    assert waits == list(WAITS[:refusals])
    assert os.listdir(tmp_path) == ["file"]


def test_a_refusal_of_other_systems_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(time, "sleep", refuse)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        replace_file(tmp_path / "file", b"new")


@posix_only
@pytest.mark.parametrize("is_supported", [False, True])
def test_macos_writes_through_the_cache_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_supported: bool
) -> None:
    import fcntl

    calls: list[str] = []

    def control(_: BinaryIO, command: int) -> None:
        calls.append(f"command {command}")
        if not is_supported:
            raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    monkeypatch.setattr(os, "fsync", lambda _: calls.append("fsync"))
    replace_file(tmp_path / "file", b"new")
    assert calls == ["command 51", *([] if is_supported else ["fsync"])]


@posix_only
@pytest.mark.parametrize("has_locks", [False, True])
def test_nothing_is_removed_without_file_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_locks: bool
) -> None:
    import fcntl

    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    if not has_locks:
        monkeypatch.setattr(files_module, "fcntl", None)
        monkeypatch.setattr(files_module, "CAN_REMOVE_OPEN_FILES", False)
    temporary = tmp_path / f"{TEMPORARY_PREFIX}0123456789abcdef{TEMPORARY_SUFFIX}"
    temporary.touch()
    remove_abandoned(tmp_path)
    replace_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert temporary.exists()


@posix_only
def test_special_files_are_written_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        replace_file(pipe, b"new")
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    for folder in (tmp_path, Path("/")):
        with pytest.raises(OutputError, match="Is a directory"):
            replace_file(folder, b"new")


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_file_can_have_is_an_error(tmp_path: Path, name: str) -> None:
    message = f"{name}: no file can have this name"
    with pytest.raises(OutputError, match=message):
        replace_file(tmp_path / name, b"")
    with pytest.raises(OutputError, match=message):
        check_writable(tmp_path / name)
    with pytest.raises(OutputError, match=message):
        make_folder(tmp_path / name)


def test_name_may_have_the_maximum_length(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"


def test_threads_can_write_the_same_file(tmp_path: Path) -> None:
    contents = [bytes([65 + i]) * 10_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: replace_file(tmp_path / "file", content), contents * 10))
    assert (tmp_path / "file").read_bytes() in contents
    assert os.listdir(tmp_path) == ["file"]


def test_check_does_not_change_files(tmp_path: Path) -> None:
    existing = tmp_path / "existing"
    existing.write_text("content", encoding="utf-8")
    check_writable(existing)
    check_writable(tmp_path / "new")
    check_writable(Path(os.devnull))
    assert [path.name for path in tmp_path.iterdir()] == ["existing"]
    assert existing.read_text(encoding="utf-8") == "content"


@pytest.mark.parametrize(
    ("name", "message"),
    [("none/new", "No such file"), ("file/new", "Not a directory"), ("folder", "Is a directory")],
)
def test_unwritable_path_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=f"cannot write {re.escape(str(tmp_path / name))}: {message}"):
        check_writable(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_write_permission_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        check_writable(tmp_path / "new")
    tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("path", "existing"), [("a", "a"), ("a/b/c", "a"), ("file", "file"), ("new", "."), (".", ".")]
)
def test_the_nearest_folder_that_exists_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, existing: str
) -> None:
    """A file stays, so that its use as a folder is an error."""
    monkeypatch.chdir(tmp_path)
    Path("a").mkdir()
    Path("file").touch()
    assert existing_folder(Path(path)).absolute() == Path(existing).absolute()
