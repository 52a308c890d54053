"""Reading of UTF-8 text."""

import io
import sys
from pathlib import Path

import pytest
from textgen_runtime import TextFileError
from textgen_runtime.system.file_content import decode_utf8, read_text


def test_line_ends_are_kept_and_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("\ufeff\ufeffé\r\n𝄞".encode())
    assert read_text(str(path)) == "\ufeffé\r\n𝄞"


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("é\r\n".encode())))
    assert read_text("-") == "é\r\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"abc\xe9d", r"book is not UTF-8: byte 3 is 0xe9"),
        (b"ab\x00c", r"book is not a text: byte 2 is zero"),
        ("hi".encode("utf-16"), r"byte 3 is zero \(if the text is UTF-16"),
        (b"abc\xc3", r"byte 3 is 0xc3"),
        (b"\xed\xa0\x80", r"byte 0 is 0xed"),
    ],
)
def test_error_states_the_position_of_the_invalid_byte(content: bytes, message: str) -> None:
    with pytest.raises(TextFileError, match=message):
        decode_utf8(content, "book")


def test_missing_and_unreadable_files_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TextFileError, match="No such file"):
        read_text(str(tmp_path / "none"))
    with pytest.raises(TextFileError, match="directory"):
        read_text(str(tmp_path))

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbidden)
    with pytest.raises(TextFileError, match="cannot read secret: Permission denied"):
        read_text("secret")
