"""The soak of long texts, with a short one."""

from pathlib import Path

import pytest
import textgen_runtime as textgen

from benchmarks import soak
from tests.helpers.commands import Captured
from tests.helpers.paths import FORMAT_2, TINY


def test_a_model_may_have_a_relative_path(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.onnx").write_bytes(TINY.read_bytes())
    assert soak.main(["--bytes", "1000", "--languages", "python", "--model", "tiny.onnx"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[-1].startswith("largest growth ")


def test_a_character_of_the_default_model_is_a_byte(tmp_path: Path) -> None:
    model = textgen.load(soak.small_model(tmp_path))
    assert all(symbol.isascii() for symbol in model.metadata.tokenizer.symbols)


def test_a_model_without_prompts_is_refused(capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        soak.main(["--model", str(FORMAT_2 / "records.onnx")])
    assert capsys.readouterr().err.endswith("records.onnx has no prompts\n")
