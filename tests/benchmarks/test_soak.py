"""The soak of long texts, with a short one."""

from pathlib import Path

import pytest

from benchmarks import soak
from tests.helpers.commands import Captured
from tests.helpers.paths import TINY


def test_a_model_may_have_a_relative_path(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.onnx").write_bytes(TINY.read_bytes())
    assert soak.main(["--bytes", "1000", "--languages", "python", "--model", "tiny.onnx"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[-1].startswith("largest growth ")
