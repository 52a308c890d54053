"""A model file as a C array."""

import re

import pytest
from textgen_runtime.embedding.amalgamation import core_folder
from textgen_runtime.embedding.c_array import array_header, array_source, is_array_name


@pytest.mark.parametrize("content", [b"\x01", b"12345678", bytes(range(256)) * 3 + b"\xff\x00\x00"])
def test_the_array_has_the_bytes_of_the_content(content: bytes) -> None:
    source = array_source("poems", "A title", "/* mark */", content)
    (size,) = re.findall(r"const size_t poems_size = (\d+);", source)
    _, _, numbers = source.partition("const uint64_t poems_data[] = {")
    words = [int(word, 16) for word in re.findall(r"0x[0-9a-f]+", numbers)]
    assert b"".join(word.to_bytes(8, "little") for word in words)[: int(size)] == content
    assert len(words) * 8 - len(content) in range(8)
    assert max(map(len, source.splitlines())) <= 110


def test_both_files_begin_with_the_mark_and_a_title() -> None:
    for text in (
        array_header("a", "A title", "/* mark */"),
        array_source("a", "A title", "/* mark */", b"b"),
    ):
        assert text.startswith("/* mark */\n/* A title.")


@pytest.mark.parametrize("name", ["model", "a", "Poems_2", "x" * 60])
def test_names_of_c_are_names_of_arrays(name: str) -> None:
    assert is_array_name(name)


@pytest.mark.parametrize(
    "name", ["", "2a", "_a", "a-b", "a.c", "é", "a b", "a\n", "textgen", "Textgen_model", "x" * 61, "../a"]
)
def test_other_names_are_refused(name: str) -> None:
    assert not is_array_name(name)


@pytest.mark.parametrize("name", ["math", "stdint", "String", "float", "limits", "unistd"])
def test_names_of_system_headers_are_refused(name: str) -> None:
    assert not is_array_name(name)
    assert is_array_name(f"{name}_model")


def test_no_header_that_the_core_includes_is_a_name() -> None:
    core = core_folder()
    text = "".join(path.read_text(encoding="utf-8") for path in core.rglob("*.[ch]"))
    headers = re.findall(r"#include <(\w+)\.h>", text)
    assert "math" in headers
    assert not [name for name in headers if is_array_name(name)]
