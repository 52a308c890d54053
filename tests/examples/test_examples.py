"""All examples."""

import pytest

from tests.helpers.commands import Captured
from tests.helpers.examples import EXAMPLES, run_example
from tests.helpers.paths import ROOT

PROGRAMS = sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_documents_list_every_example(name: str) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert f"[`{name}`](../examples/{name})" in page


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_without_arguments_shows_its_usage(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    code, _ = run_example(name.removesuffix(".py"), monkeypatch, capsys)
    assert code == 2 or f"python examples/{name} " in str(code)
