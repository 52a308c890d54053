"""The amalgamation of small sources, a model file as a C array, and the command ``textgen-embed``.

tests/core/test_core_embedding.py compiles the amalgamation of the core.
"""

import os
import re
from pathlib import Path

import pytest
from textgen_runtime.cli.embed import main
from textgen_runtime.embed import amalgamate, array_source, is_array_name, source_folders

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import TINY

HEADER = "#ifndef A_H\n#define A_H\nTEXTGEN_API int textgen_public(void);\n#endif\n"


@pytest.fixture
def core(tmp_path: Path) -> Path:
    """A folder with what each core has: a public header, and the settings of the compiler."""
    (tmp_path / "kernels").mkdir()
    (tmp_path / "textgen.h").write_text(HEADER, encoding="utf-8")
    (tmp_path / "exact.h").write_text("#ifndef EXACT_H\n#define EXACT_H\n#endif\n", encoding="utf-8")
    return tmp_path


def write(core: Path, **files: str) -> str:
    for name, content in files.items():
        stem, _, suffix = name.rpartition("_")
        (core / f"{stem}.{suffix}").write_text(content, encoding="utf-8")
    return amalgamate([core])["textgen.c"]


def test_a_header_is_inserted_once(core: Path) -> None:
    header = "#ifndef B_H\n#define B_H\nint textgen_b(int);\n#endif\n"
    text = write(core, b_h=header, one_c='#include "b.h"\n', two_c='#include "b.h"\n')
    assert text.count("static int textgen_b(int);") == 1
    assert '"b.h"' not in text


def test_a_template_is_inserted_each_time(core: Path) -> None:
    source = '#define NAME(x) x##_one\n#include "body.h"\n#define NAME(x) x##_two\n#include "body.h"\n'
    text = write(core, body_h="int NAME(textgen_f)(void) { return 1; }\n#undef NAME\n", one_c=source)
    assert text.count("static int NAME(textgen_f)(void) { return 1; }") == 2


def test_everything_but_the_public_functions_becomes_static(core: Path) -> None:
    source = (
        '#include "textgen.h"\n'
        "int textgen_public(void) { return 1; }\n"
        "const char *textgen_private(int a,\n    int b) { return 0; }\n"
        'const char *const textgen_names[2] = {"a", "b"};\n'
    )
    text = write(core, one_c=source)
    assert "\nint textgen_public(void)" in text
    assert "\nstatic const char *textgen_private(int a," in text
    assert "\nstatic const char *const textgen_names[2] = {" in text
    assert text.count('#include "textgen.h"') == 1


def test_names_that_two_sources_use_are_kept_apart(core: Path) -> None:
    one = "typedef struct {\n    int a;\n} layout;\nenum { MOST = 3 };\nstatic int find(void) { return 3; }\n"
    other = "static const int layout[] = {1};\nstatic int find(void) { return 4; }\nenum { MOST, LAST };\n"
    between = "static int unique(void) { return 5; }\n"
    text = write(core, one_c=one, onto_c=between, other_c=other)
    for name in ("layout", "find", "MOST"):
        assert text.count(f"#define {name} other_{name}\n") == text.count(f"#undef {name}\n") == 1
    assert "#define LAST" not in text


def test_a_macro_ends_with_its_source(core: Path) -> None:
    text = write(core, one_c="#define SIZE 1\n", other_c="#define SIZE 2\n")
    assert text.index("#define SIZE 1") < text.index("#undef SIZE") < text.index("#define SIZE 2")


def test_settings_of_the_system_come_first(core: Path) -> None:
    setting = "/* Why. */\n#ifndef _WIN32\n#define _POSIX_C_SOURCE 200809L\n#endif\n"
    text = write(core, one_c="#include <stdio.h>\n", two_c=f"{setting}\n#include <time.h>\n")
    assert text.startswith(setting)
    assert text.count("_POSIX_C_SOURCE") == 1


@pytest.mark.parametrize("content", [b"\x01", b"12345678", bytes(range(256)) * 3 + b"\xff\x00\x00"])
def test_the_array_has_the_bytes_of_the_content(content: bytes) -> None:
    source = array_source("poems", "A title", "/* mark */", content)
    (size,) = re.findall(r"const size_t poems_size = (\d+);", source)
    _, _, numbers = source.partition("const uint64_t poems_data[] = {")
    words = [int(word, 16) for word in re.findall(r"0x[0-9a-f]+", numbers)]
    assert b"".join(word.to_bytes(8, "little") for word in words)[: int(size)] == content
    assert len(words) * 8 - len(content) in range(8)
    assert max(map(len, source.splitlines())) <= 110


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("model", "a", "Poems_2", "x" * 60, "math_model"), True),
        (("", "2a", "_a", "a-b", "a.c", "é", "a b", "a\n", "Textgen_model", "x" * 61, "../a"), False),
        (("math", "stdint", "String", "float", "limits", "unistd"), False),
    ],
)
def test_an_array_has_a_name_of_c_that_is_no_header_of_the_system(
    names: tuple[str, ...], expected: bool
) -> None:
    assert [is_array_name(name) for name in names] == [expected] * len(names)


def test_no_header_that_the_core_includes_is_a_name() -> None:
    files = [path for folder in source_folders(trainer=True) for path in folder.rglob("*.[ch]")]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    headers = re.findall(r"#include <(\w+)\.h>", text)
    assert "math" in headers
    assert not [name for name in headers if is_array_name(name)]


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
