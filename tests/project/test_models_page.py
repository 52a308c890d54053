"""The page docs/models.md, and the outputs of commands that it and other pages show."""

import re

import pytest
import textgen_runtime as textgen

from tests.helpers.examples import import_file
from tests.helpers.paths import ROOT

DOCS = ROOT / "docs"
TEXT = (DOCS / "models.md").read_text(encoding="utf-8")
INT8 = [name for name in textgen.bundled_models() if name != "nietzsche-float32"]

outputs = import_file(DOCS / "write_outputs.py")


@pytest.mark.parametrize("name", outputs.PAGES)
def test_the_outputs_of_a_page_are_those_of_its_commands(name: str) -> None:
    """After a change of the bundled models, run ``python docs/write_outputs.py``."""
    page = (DOCS / name).read_text(encoding="utf-8")
    assert outputs.SHOWN.search(page)
    assert outputs.with_outputs(page) == page


@pytest.mark.parametrize("name", INT8)
def test_each_bundled_model_has_a_section_with_the_text_that_it_was_trained_on(name: str) -> None:
    section = TEXT.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert f"`{textgen.load(name).training['sha256']}`" in section
    assert re.search(f"^textgen-run {name} ", section, re.MULTILINE)


def test_the_page_shows_the_command_of_a_web_page_for_each_bundled_model() -> None:
    """The documentation has the pages that these commands write."""
    assert sorted(re.findall(r"^textgen-web (\S+) --title ", TEXT, re.MULTILINE)) == INT8


def test_make_models_trains_each_bundled_model() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("\nmodels: ")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"--output \$\(MODELS\)/(\S+)", recipe)) == INT8
    (copied,) = re.findall("for name in (.*); do", recipe)
    assert sorted(copied.split()) == INT8
