"""Checks of output files before a command starts its work."""

import re
from pathlib import Path

import pytest
from textgen_runtime import OutputError
from textgen_runtime.cli._output_files import check_overwrite, output_folder


def test_only_files_of_the_project_are_replaced(tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("own", "other", "empty", "none")}
    paths["own"].write_text('{"textgen_onnx": "0.1.0"}', encoding="utf-8")
    paths["other"].write_text("a letter about textgen", encoding="utf-8")
    paths["empty"].touch()
    for name in ("own", "empty", "none"):
        check_overwrite("--json", paths[name], "report", "textgen-bench")
    message = f"--json {paths['other']}: the file exists and is not a report of textgen-bench"
    with pytest.raises(OutputError, match=re.escape(message)):
        check_overwrite("--json", paths["other"], "report", "textgen-bench")


@pytest.mark.parametrize("error", [OutputError("the disk is full"), KeyboardInterrupt("full")])
@pytest.mark.parametrize("is_new", [True, False])
def test_after_an_error_only_what_was_there_before_remains(
    tmp_path: Path, is_new: bool, error: BaseException
) -> None:
    folder = tmp_path / "folder"
    if not is_new:
        folder.mkdir()
        (folder / "old").touch()

    def write_and_fail() -> None:
        with output_folder(folder, ["old", "new", "never"]):
            for name in ("old", "new"):
                (folder / name).write_text("new", encoding="utf-8")
            raise error

    with pytest.raises(type(error), match="full"):
        write_and_fail()
    assert list(tmp_path.rglob("*")) == ([] if is_new else [folder, folder / "old"])


def test_what_a_context_wrote_remains(tmp_path: Path) -> None:
    with output_folder(tmp_path / "a" / "b", ["new"]):
        (tmp_path / "a" / "b" / "new").touch()
    assert (tmp_path / "a" / "b" / "new").exists()
