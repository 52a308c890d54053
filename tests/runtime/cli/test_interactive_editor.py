"""The lines of the interactive mode, and their history: private, small, and never a reason to fail."""

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from textgen_runtime.cli import _interactive_editor
from textgen_runtime.cli._interactive_editor import MAX_LINES, Editor, History, history_path, matching_paths

from tests.helpers.programs import posix_only


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_lines_are_read_by_the_next_session(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "history"
    assert History(path).load() == []
    for line in ("abc", "", "é /x", "two\nlines"):
        History(path).append(line)
    assert History(path).load() == ["abc", "é /x"]


@posix_only
def test_only_the_owner_can_read_the_history(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "history"
    old = os.umask(0)
    try:
        History(path).append("abc")
    finally:
        os.umask(old)
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    path.chmod(0o644)
    History(path).append("def")
    assert mode(path) == 0o600


def test_windows_keeps_a_history_without_modes_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fchmod", raising=False)
    monkeypatch.delattr(os, "O_NONBLOCK", raising=False)
    # Without O_BINARY, Windows writes the line ends of its texts.
    monkeypatch.setattr(
        os, "write", lambda file, line, write=os.write: write(file, line.replace(b"\n", b"\r\n"))
    )
    history = History(tmp_path / "history")
    history.append("abc")
    history.append("def")
    assert history.load() == ["abc", "def"]


@posix_only
def test_a_long_history_is_shortened(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("".join(f"line {i}\n" for i in range(MAX_LINES + 5)), encoding="utf-8")
    path.chmod(0o600)
    assert History(path).load() == [f"line {i}" for i in range(5, MAX_LINES + 5)]
    assert path.read_text(encoding="utf-8").count("\n") == MAX_LINES
    assert mode(path) == 0o600


def test_a_line_that_utf_8_cannot_encode_is_kept_without_its_surrogate(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    history.append("a\udcffb")
    assert history.load() == ["a?b"]


@posix_only
@pytest.mark.parametrize("kind", ["folder", "device", "below a file", "pipe", "none"])
def test_a_history_that_cannot_be_kept_is_no_error(tmp_path: Path, kind: str) -> None:
    path: Path | None = tmp_path / "history"
    assert path
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/null")
    elif kind == "below a file":
        path.write_text("", encoding="utf-8")
        path /= "file"
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path = None
    history = History(path)
    assert history.load() == []
    history.append("abc")
    assert history.load() == []


def test_the_history_is_in_the_state_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    assert history_path() == home / "state/textgen-onnx/interactive-history"
    monkeypatch.setattr("sys.platform", "linux")
    for ignored in ("", "relative/path"):
        monkeypatch.setenv("XDG_STATE_HOME", ignored)
        assert history_path() == home / ".local/state/textgen-onnx/interactive-history"
    for system in ("darwin", "win32"):
        monkeypatch.setattr("sys.platform", system)
        assert history_path() is None


def test_a_user_without_a_home_has_no_history(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(_: Path) -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", no_home)
    assert history_path() is None


def test_paths_are_completed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "saved.gen").touch()
    (home / "same").mkdir()
    (home / "other").touch()
    monkeypatch.chdir(home)
    assert matching_paths("sa") == ["same/", "saved.gen"]
    assert matching_paths("same/") == []
    assert matching_paths(f"{home}/sav") == [f"{home}/saved.gen"]
    assert matching_paths("~/o") == ["~/other"]
    assert matching_paths("missing/a") == []


def test_the_terminal_keeps_its_own_mode_after_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may be suspended, and go on, before the session uses the line."""
    pytest.importorskip("readline", reason="the terminal has no other mode")
    editor = Editor(History(None), [])

    def read(_: str) -> str:
        editor._start_line()
        return "abc"

    modes = SimpleNamespace(tcgetattr=lambda _: [], tcsetattr=lambda *_: pytest.fail("the mode changed"))
    monkeypatch.setattr(_interactive_editor, "termios", modes)
    monkeypatch.setattr("builtins.input", read)
    assert editor.read("> ") == "abc"
    assert editor.resume() == ""
