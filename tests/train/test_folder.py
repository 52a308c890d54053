"""The output folder: checkpoint, lock, and what is never overwritten."""

import json
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from textgen_runtime.corpus import CHECKPOINT_FILE, PREDICTIONS_FILE, RUN_FILES
from textgen_runtime.errors import OutputError
from textgen_runtime.model_file import MODEL_FILE
from textgen_train import folder as module
from textgen_train.errors import TrainingError
from textgen_train.folder import (
    BYTES_PER_PARAMETER,
    FORMAT,
    LOCK_FILE,
    REPORT_BYTES,
    check_folder,
    check_room,
    is_locked,
    locked_folder,
    output_folder,
    read_checkpoint,
    remove_earlier,
    write_checkpoint,
)

STATE = {"seconds": 1.5, "name": "é\n\ud800", "list": [1, None, {}]}
BLOCK = bytes(range(256)) * 3


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    for block in (b"", b"\n\n", BLOCK):
        write_checkpoint(tmp_path, STATE, block)
        assert read_checkpoint(tmp_path) == (STATE, block)


def test_a_damaged_or_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, STATE, BLOCK)
    path = tmp_path / CHECKPOINT_FILE
    content = path.read_bytes()
    # Byte 10 is the space before the line.
    for place in (
        *range(10),
        *range(11, len(content) - len(BLOCK)),
        len(content) - len(BLOCK) + 9,
        len(content) - 1,
    ):
        for bit in (1, 0x80):
            path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
            with pytest.raises(TrainingError):
                read_checkpoint(tmp_path)
    for size in (*range(0, len(content), 7), len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(TrainingError):
            read_checkpoint(tmp_path)
    path.write_bytes(content + b"\0")
    with pytest.raises(TrainingError):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "7",
        "{}",
        "[" * 100000,
        json.dumps({"format": FORMAT, "state": []}),
        json.dumps({"format": FORMAT}),
        json.dumps({"format": "textgen checkpoint 1", "state": {}}),
        '{"format": NaN}',
        "ÿ",
    ],
    ids=range(9),
)
def test_a_checkpoint_of_another_program_or_version_is_refused(tmp_path: Path, line: str) -> None:
    content = line.encode("latin-1")
    (tmp_path / CHECKPOINT_FILE).write_bytes(f"{zlib.crc32(content):010} ".encode() + content + b"\n")
    with pytest.raises(TrainingError):
        read_checkpoint(tmp_path)


def test_no_checkpoint(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(TrainingError):
            read_checkpoint(folder)
    (tmp_path / CHECKPOINT_FILE).mkdir()
    with pytest.raises(TrainingError):
        read_checkpoint(tmp_path)


def test_a_lock_excludes_another_process_and_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.01)
    program = (
        "import sys, pathlib\nfrom textgen_train.folder import locked_folder\n"
        "with locked_folder(pathlib.Path(sys.argv[1])):\n"
        "    print('locked', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    assert not is_locked(tmp_path)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"locked\n"
        assert is_locked(tmp_path)
        for context in (locked_folder(tmp_path), output_folder(tmp_path, [], overwrite=True)):
            with pytest.raises(OutputError), context:
                pass
        other.kill()
    assert not is_locked(tmp_path)
    with locked_folder(tmp_path):
        assert is_locked(tmp_path)


@pytest.mark.parametrize("has_teachers", [False, True])
@pytest.mark.parametrize("name", sorted(RUN_FILES))
def test_files_of_a_run_are_replaced_only_with_permission(
    tmp_path: Path, name: str, has_teachers: bool
) -> None:
    check_folder(tmp_path, [], overwrite=False)
    (tmp_path / name).write_bytes(b"old")
    with pytest.raises(OutputError):
        check_folder(tmp_path, [], overwrite=False)
    with pytest.raises(OutputError), output_folder(tmp_path, [], overwrite=False):
        pass
    check_folder(tmp_path, [], overwrite=True)
    # An input is never overwritten, whatever its path is.
    link = tmp_path / "link"
    link.symlink_to(tmp_path / name)
    for path in (tmp_path / name, link):
        with pytest.raises(OutputError):
            check_folder(tmp_path, [path], overwrite=True)
        with pytest.raises(OutputError), output_folder(tmp_path, [path], overwrite=True):
            pass
    check_folder(tmp_path, [tmp_path / "other", Path(__file__)], overwrite=True)
    assert (tmp_path / name).read_bytes() == b"old"
    remove_earlier(tmp_path, has_teachers=has_teachers)
    assert (tmp_path / name).exists() == (name == MODEL_FILE or (has_teachers and name == PREDICTIONS_FILE))


def test_a_new_folder_that_stays_empty_disappears(tmp_path: Path) -> None:
    def fail(folder: Path, file: str | None) -> None:
        with output_folder(folder, [], overwrite=False):
            assert is_locked(folder)
            if file:
                (folder / file).touch()
            raise KeyboardInterrupt

    for file, kept in ((None, False), ("metrics.jsonl", True)):
        with pytest.raises(KeyboardInterrupt):
            fail(tmp_path / "a" / "b", file)
        assert (tmp_path / "a" / "b").exists() == (tmp_path / "a").exists() == kept
    (tmp_path / "old").mkdir()
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path / "old", None)
    assert (tmp_path / "old" / LOCK_FILE).exists()


def test_a_path_that_is_no_writable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError), output_folder(tmp_path / "file", [], overwrite=True):
        pass
    with pytest.raises(OutputError):
        check_folder(tmp_path / "file", [], overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_room_that_a_run_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of an earlier run make room, except for its model."""
    free = 0
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    needed = 1000 * BYTES_PER_PARAMETER + REPORT_BYTES + 50
    (tmp_path / CHECKPOINT_FILE).write_bytes(bytes(300))
    (tmp_path / MODEL_FILE).write_bytes(bytes(500))
    free = needed - 300
    check_room(tmp_path, 1000, 50)
    check_room(tmp_path / "new" / "one", 1000, -300)
    free -= 1
    with pytest.raises(OutputError):
        check_room(tmp_path, 1000, 50)
