"""Checks of output files before a command starts its work."""

import re
from pathlib import Path

import pytest
from textgen_runtime import OutputError
from textgen_runtime.cli._output_files import check_overwrite


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
