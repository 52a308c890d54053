"""``textgen-embed``: the files that it writes, and what it refuses."""

import os
from pathlib import Path

from textgen_runtime.cli.embed import main

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import TINY
from tests.helpers.programs import run_python

FILES = ["model.c", "model.h", "textgen.c", "textgen.h"]


def test_the_folder_is_created_with_four_files(tmp_path: Path, capsys: Captured) -> None:
    folder = tmp_path / "a" / "b"
    code, text, message = run_here(main, capsys, str(TINY), "-o", str(folder))
    assert (code, text) == (0, "")
    assert message.startswith("wrote textgen.h, textgen.c, model.h, model.c to ")
    assert sorted(os.listdir(folder)) == FILES
    assert all((folder / name).read_text(encoding="utf-8").startswith("/* Written by") for name in FILES)


def test_own_files_are_replaced_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text("int main(void) {}\n", encoding="utf-8")
    assert main([str(TINY), "-o", str(tmp_path)]) == 0
    before = {name: (tmp_path / name).read_bytes() for name in FILES}
    (tmp_path / "textgen.c").write_text("/* Written by textgen-embed 0.0.1. */\nold", encoding="utf-8")
    assert main([str(TINY), "-o", str(tmp_path)]) == 0
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == before
    assert main([str(TINY), "-o", str(tmp_path), "--name", "second"]) == 0
    assert sorted(os.listdir(tmp_path)) == sorted([*FILES, "main.c", "second.c", "second.h"])
    assert "second_data" in (tmp_path / "second.h").read_text(encoding="utf-8")


def test_a_file_of_the_user_is_not_replaced(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "model.c").write_text("mine", encoding="utf-8")
    code, _, error = run_here(main, capsys, str(TINY), "-o", str(tmp_path))
    assert code == 1
    assert "model.c: the file exists" in error
    assert os.listdir(tmp_path) == ["model.c"]


def test_the_command_imports_neither_numpy_nor_onnx(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from textgen_runtime.cli.embed import main\n"
        f"assert main([{str(TINY)!r}, '-o', {str(tmp_path)!r}]) == 0\n"
        "print([name for name in ('numpy', 'torch', 'onnx', 'onnxruntime') if name in sys.modules])"
    )
    assert run_python(program).splitlines()[-1] == "[]"
