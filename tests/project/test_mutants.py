"""The lists of mutants fit the code."""

from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from tests.mutants.__main__ import FOLDER, read_mutants


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_each_mutant_changes_one_place_and_names_tests_that_exist(path: Path) -> None:
    mutants = list(read_mutants(path))
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        for test in mutant.tests:
            file, _, name = test.partition("::")
            text = (ROOT / file).read_text(encoding="utf-8") if "." in file else ""
            assert (ROOT / file).exists(), mutant.name
            assert not name or f"def {name.partition('[')[0]}(" in text, mutant.name
