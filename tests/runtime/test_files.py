"""Files: texts in UTF-8, atomic replacement, and which files may be replaced."""

import codecs
import errno
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, OutputError, TextFileError
from textgen_runtime import files as files_module
from textgen_runtime.errors import EncodingError
from textgen_runtime.files import (
    TEMPORARY_PREFIX,
    TEMPORARY_SUFFIX,
    check_writable,
    decode_utf8_chunks,
    existing_folder,
    is_output,
    make_folder,
    read_text,
    remove_abandoned,
    replace_file,
    replacing_file,
)

from tests.helpers.programs import posix_only


def test_a_text_keeps_its_line_ends_and_loses_its_byte_order_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = "\ufeff\ufeffé\r\n𝄞".encode()
    (tmp_path / "text").write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert read_text(str(tmp_path / "text")) == read_text("-") == "\ufeffé\r\n𝄞"
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(TextFileError):
            read_text(str(path))
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(TextFileError):
        read_text("-")


@pytest.mark.parametrize("size", [1, 3, 100])
def test_text_in_blocks_is_decoded_as_a_whole_and_errors_name_the_byte(size: int) -> None:
    def decode(content: bytes) -> str:
        blocks = (content[i : i + size] for i in range(0, len(content), size))
        return "".join(decode_utf8_chunks(blocks, "book"))

    assert decode("\ufeffaé𝄞\ufeff".encode()) == "aé𝄞\ufeff"
    for content, place in (
        (b"abc\xe9d", "byte 3 is 0xe9"),
        (b"abc\xc3", "byte 3 is 0xc3"),
        (b"abcd" + "𝄞".encode()[:3], "byte 4 is 0xf0"),
        (b"\xed\xa0\x80", "byte 0 is 0xed"),
        ("éab".encode() + b"\0", "byte 4 is zero"),
    ):
        with pytest.raises(EncodingError, match=place):
            decode(content)


def test_the_error_says_what_a_file_is_that_is_no_text_in_utf_8() -> None:
    def decode(content: bytes) -> str:
        return "".join(decode_utf8_chunks([content[:40], content[40:]], "book"))

    chinese = "天地玄黃,宇宙洪荒。日月盈昃\n"
    utf_16 = [text.encode(code) for text in ("Ah\n", chinese) for code in ("utf-16-le", "utf-16-be")]
    for kind, contents in {
        ".docx": [b"PK\3\4\x14\0", b"PK\3\4"],
        "PDF": [b"%PDF-1.7\n%\xe2\xe3", b"%PDF-"],
        "RTF": [b"{\\rtf1 caf}"],
        "UTF-16": [
            *utf_16,
            codecs.BOM_UTF16_LE + utf_16[2],
            codecs.BOM_UTF16_BE + utf_16[3],
            b"\xff\xfe",
            b"\xfe\xff",
        ],
        "Latin-1": ["ein Märchen".encode("cp1252"), b"\xff"],
        "not a text": [b"\x7fELF\0\0", b"a\0bc\0", b"a" * 600 + b"\0"],
    }.items():
        for content in contents:
            with pytest.raises(EncodingError) as error:
                decode(content)
            assert kind in str(error.value), content
            assert ("save it" in str(error.value)) == (kind != "not a text")
    for text in ("PK %PDF- {\\rtf", "a" * 40 + "%PDF-", chinese):
        assert decode(text.encode()) == text


def test_a_file_is_replaced_while_a_reader_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    replace_file(path, b"old")
    with path.open("rb") as reader:
        replace_file(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    with replacing_file(path) as file:
        file.write(b"abc")
        file.seek(1)
        assert file.read() == b"bc"
        assert path.read_bytes() == b"new"
    assert path.read_bytes() == b"abc"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError()])
def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    expected = OutputError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected), replacing_file(path):
        raise failure

    def fail(_: int) -> NoReturn:
        raise failure

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("check", [check_writable, lambda path: replace_file(path, b"")])
@pytest.mark.parametrize("name", ["none/new", "file/new", "folder", "a\0b", "\ud800"])
def test_a_path_that_cannot_be_written_is_an_error(
    tmp_path: Path, check: Callable[[Path], None], name: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError):
        check(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_the_check_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("content")
    for path in (tmp_path / "old", tmp_path / "new", Path(os.devnull)):
        check_writable(path)
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "content"


@posix_only
@pytest.mark.parametrize("mode", [None, 0o600, 0o640, 0o444])
def test_permissions_are_kept_and_the_temporary_file_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int | None
) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(path)
    if mode is not None:
        path.write_bytes(b"old")
        path.chmod(mode)
    modes: list[int] = []

    def record(_: int) -> None:
        modes.extend(file.stat().st_mode & 0o777 for file in tmp_path.glob(f"{TEMPORARY_PREFIX}*"))

    monkeypatch.setattr(os, "fsync", record)
    before = os.umask(0o027)
    try:
        replace_file(link, b"new")
    finally:
        os.umask(before)
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert modes == [0o640 if mode is None else 0o600]
    assert path.stat().st_mode & 0o777 == (0o640 if mode is None else mode)


@posix_only
def test_special_files_are_written_directly(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        replace_file(tmp_path / "pipe", b"new")
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


KILLED_PROGRAM = """
import os, signal, sys
from textgen_runtime.files import replace_file
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
replace_file(sys.argv[1] + "/file", b"new")
"""


@posix_only
def test_only_temporary_files_of_killed_processes_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "download.partial").touch()
    done = subprocess.run([sys.executable, "-c", KILLED_PROGRAM, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 2
    remove_abandoned(tmp_path)
    assert os.listdir(tmp_path) == ["download.partial"]
    rename = os.replace

    def remove_then_rename(source: str, target: str) -> None:
        remove_abandoned(tmp_path)
        rename(source, target)

    monkeypatch.setattr(os, "replace", remove_then_rename)
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
    assert os.listdir(tmp_path) == ["file"]


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
    temporary = f"{TEMPORARY_PREFIX}0123456789abcdef{TEMPORARY_SUFFIX}"
    (tmp_path / temporary).touch()
    remove_abandoned(tmp_path)
    replace_file(tmp_path / "file", b"new")
    assert sorted(os.listdir(tmp_path)) == [temporary, "file"]


@pytest.mark.parametrize(("is_windows", "refusals"), [(True, 1), (True, 2), (False, 1)])
def test_a_refused_rename_is_tried_once_more_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_windows: bool, refusals: int
) -> None:
    """Windows renames no open file, and replaces none that another program has open."""
    path, rename = tmp_path / "file", os.replace
    path.write_bytes(b"old")
    opened: list[BinaryIO] = []
    waits: list[float] = []

    def remember(file: BinaryIO) -> bool:
        opened.append(file)
        return True

    def refuse_at_first(source: str, target: str) -> None:
        assert opened[0].closed is is_windows
        if len(waits) < refusals:
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        rename(source, target)

    monkeypatch.setattr(files_module, "CAN_REMOVE_OPEN_FILES", not is_windows)
    monkeypatch.setattr(files_module, "_lock", remember)
    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(os, "replace", refuse_at_first)
    if is_windows and refusals == 1:
        replace_file(path, b"new")
    else:
        with pytest.raises(OutputError):
            replace_file(path, b"new")
    assert path.read_bytes() == (b"new" if is_windows and refusals == 1 else b"old")
    assert len(waits) == is_windows
    assert os.listdir(tmp_path) == ["file"]


def test_threads_can_write_the_same_file(tmp_path: Path) -> None:
    contents = [bytes([65 + i]) * 10_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: replace_file(tmp_path / "file", content), contents * 10))
    assert (tmp_path / "file").read_bytes() in contents
    assert os.listdir(tmp_path) == ["file"]


def test_folders_are_made_and_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file stays, so that its use as a folder is an error."""
    monkeypatch.chdir(tmp_path)
    assert existing_folder(Path("a/b")).resolve() == tmp_path
    assert make_folder(Path("a/b")) == [Path("a/b"), Path("a")]
    assert make_folder(Path("a/b")) == []
    Path("file").touch()
    for path in ("a", "file"):
        assert existing_folder(Path(path)) == Path(path)
    for path in ("file", "file/a", "a\0b", "\ud800"):
        with pytest.raises(OutputError):
            make_folder(Path(path))


def test_only_what_a_command_wrote_may_be_replaced(tmp_path: Path, tiny: Model) -> None:
    path = tmp_path / "file"
    assert not is_output(path)
    textgen.save(tiny.start("abc"), path)
    assert is_output(path)
    for start, expected in (
        ('<!doctype html>\n<meta name="generator" content="textgen-train">', True),
        ("/* Written by textgen-embed 0.1 */", True),
        ('{\n "textgen.bench": 1', True),
        ('<!doctype html>\n<meta name="generator" content="another">' + " " * 200 + "textgen-train", False),
        ("My notes on textgen-train", False),
        ("", False),
    ):
        path.write_text(start)
        assert is_output(path) is expected
