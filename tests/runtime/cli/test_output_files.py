"""Checks of output files before a command starts its work."""

import os
import re
from pathlib import Path

import pytest
from textgen_runtime import OutputError
from textgen_runtime.cli._output_files import check_overwrite, check_writable


def is_own(path: Path) -> bool:
    return path.read_bytes().startswith(b"own")


def test_only_files_of_the_same_kind_are_replaced(tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("own", "other", "empty", "none")}
    for name in ("own", "other"):
        paths[name].write_text(name, encoding="utf-8")
    paths["empty"].touch()
    for name in ("own", "empty", "none"):
        check_overwrite("--json", paths[name], "report", "textgen-bench", is_own)
    message = f"--json {paths['other']}: the file exists and is not a report of textgen-bench"
    with pytest.raises(OutputError, match=re.escape(message)):
        check_overwrite("--json", paths["other"], "report", "textgen-bench", is_own)


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
