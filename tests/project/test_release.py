"""What a release needs and can be checked without its tools."""

import re
from pathlib import Path

import pytest

from release.check import read_versions
from tests.helpers.paths import ROOT


def test_all_files_state_the_same_version() -> None:
    versions = {*read_versions().values()}
    assert len(versions) == 1
    assert re.fullmatch(r"\d+\.\d+\.\d+", versions.pop())


@pytest.mark.parametrize(
    "workflow", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name
)
def test_a_workflow_pins_each_action_and_has_no_permissions_by_default(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    assert "\npermissions: {}\n" in text
    actions = re.findall(r"uses: (.*)", text)
    assert actions
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in actions)
