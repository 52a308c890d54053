"""The steps of a release that need no tool and no network."""

import io
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from release import check
from release.check import normalize, read_versions
from tests.helpers.paths import ROOT

VERSIONS = read_versions(ROOT)


def test_all_files_state_the_same_version() -> None:
    assert len(set(VERSIONS.values())) == 1, VERSIONS


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("runtime/textgen_runtime/_version.py", '"\\d+.\\d+.\\d+"', '"12.3.4"'),
        ("runtime/core/textgen.h", "(?<=TEXTGEN_VERSION )\\d+", "120304"),
        ("runtime/web/package.json", '(?<="version": )"[^"]+"', '"12.3.4"'),
        ("CHANGELOG.md", "(?<=\n)## [0-9.]+", "## 12.3.4 - 2030-01-31"),
    ],
)
def test_the_version_of_each_file_is_read_or_missed(
    tmp_path: Path, path: str, before: str, after: str
) -> None:
    for name in VERSIONS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    changed, count = re.subn(before, after, (ROOT / path).read_text(encoding="utf-8"), count=1)
    assert count == 1
    (tmp_path / path).write_text(changed, encoding="utf-8")
    assert read_versions(tmp_path) == VERSIONS | {path: "12.3.4"}
    (tmp_path / path).write_text("", encoding="utf-8")
    with pytest.raises(SystemExit, match=f"^{re.escape(path)} states no version: "):
        read_versions(tmp_path)


def test_different_versions_are_an_error() -> None:
    assert check.common_version({"one.py": "0.1.0", "other.h": "0.1.0"}) == "0.1.0"
    with pytest.raises(SystemExit, match=r"^the versions differ: one.py has 0.1.0, other.h has 0.2.0$"):
        check.common_version({"one.py": "0.1.0", "other.h": "0.2.0"})


def test_sdists_of_the_same_files_have_the_same_bytes(tmp_path: Path) -> None:
    modes = {"top/setup.py": (0o644, 0o664), "top/run.sh": (0o755, 0o700)}
    paths = [tmp_path / "first.tar.gz", tmp_path / "second.tar.gz"]
    for number, path in enumerate(paths):
        with tarfile.open(path, "w:gz") as archive:
            for name in sorted(modes, reverse=bool(number)):
                member = tarfile.TarInfo(name)
                member.size, member.mtime, member.mode = 4, 1e9 + number + 0.5, modes[name][number]
                member.uid, member.uname = number, f"user{number}"
                archive.addfile(member, io.BytesIO(b"text"))
        normalize(path, 1_700_000_000)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with tarfile.open(paths[0]) as archive:
        found = [(member.name, member.mode, member.mtime) for member in archive.getmembers()]
    assert found == [("top/run.sh", 0o755, 1_700_000_000), ("top/setup.py", 0o644, 1_700_000_000)]


@pytest.mark.parametrize(
    "workflow", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name
)
def test_a_workflow_pins_each_action_and_has_no_permissions_by_default(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    assert "\npermissions: {}\n" in text
    actions = re.findall(r"uses: (.*)", text)
    assert actions
    for action in actions:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
