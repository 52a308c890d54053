"""The page docs/api.md against the packages."""

import re
from pathlib import Path

import pytest
import textgen_runtime
import textgen_train

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
ENTRY = re.compile(r"^\.\. (?:currentmodule|auto\w+|py:data):: (\w+)", re.MULTILINE)

# The same class under a second name, which the page mentions.
SAME = {"textgen_train.CorpusError"}


def entries() -> list[str]:
    """Every name that has an entry on the page, with its package."""
    found, package = [], ""
    for entry in ENTRY.finditer(PAGE):
        if "currentmodule" in entry[0]:
            package = entry[1]
        else:
            found.append(f"{package}.{entry[1]}")
    return found


def test_every_public_name_has_one_entry() -> None:
    public = {
        f"{package.__name__}.{name}"
        for package in (textgen_runtime, textgen_train)
        for name in package.__all__
    }
    assert sorted(entries()) == sorted(public - SAME)
    assert all(f"`{name}`" in PAGE for name in SAME)


@pytest.mark.parametrize("name", entries())
def test_every_entry_has_a_docstring(name: str) -> None:
    """Values, which have none, are described on the page."""
    package, _, attribute = name.partition(".")
    value = getattr(textgen_runtime if package == "textgen_runtime" else textgen_train, attribute)
    assert isinstance(value, str | dict) or (value.__doc__ or "").strip()
    # A reader of one entry does not know what stands above it, or which arguments the others are.
    assert not re.search("as above|other arguments", value.__doc__ or "", re.IGNORECASE)
