"""What ``runtime/definitions.py`` derives from the definition of the sampling parameters."""

from pathlib import Path

import pytest

from tests.helpers.definitions import definitions
from tests.helpers.paths import ROOT

FILES = definitions.generated(definitions.read_definition())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_generated_files_are_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == FILES[path], "run: python runtime/definitions.py"


@pytest.mark.parametrize("stale", FILES, ids=lambda path: path.name)
def test_a_file_that_is_not_up_to_date_is_told_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stale: Path
) -> None:
    monkeypatch.setattr(definitions, "FOLDER", tmp_path / "runtime")
    for path, content in FILES.items():
        copied = tmp_path / path.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_text(
            content.replace("presence", "absence") if path == stale else content, encoding="utf-8"
        )
    name = stale.relative_to(ROOT)
    assert definitions.main(["--check"]) == 1
    assert capsys.readouterr().out == f"{name} is not up to date: run python runtime/definitions.py\n"
    assert definitions.main([]) == 0
    assert (tmp_path / name).read_text(encoding="utf-8") == FILES[stale]
    assert definitions.main(["--check"]) == 0
