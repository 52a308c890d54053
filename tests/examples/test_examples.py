"""All examples."""

import pytest

from tests.helpers.examples import EXAMPLES
from tests.helpers.paths import ROOT

PROGRAMS = sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_examples_have_fewer_than_90_lines(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) < 90


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_documents_list_every_example(name: str) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert f"[`{name}`](../examples/{name})" in page
