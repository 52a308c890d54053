"""The source distribution: its files, and its tests in the unpacked folder."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

# What only a clone needs.
LEFT_OUT = (".ci/", ".git", ".clang-format")


@pytest.fixture(scope="module")
def unpacked(distributions: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked sdist, with the extensions that were built from it."""
    (sdist,) = distributions.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    with zipfile.ZipFile(wheel) as built:
        for name in built.namelist():
            if name.endswith((".so", ".pyd")):
                built.extract(name, top / ("train" if name.startswith("textgen_train") else "runtime"))
    return top


def run_unpacked_pytest(unpacked: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the unpacked tests with the unpacked packages."""
    # It is no process of this run.
    environment = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    python_path = os.pathsep.join(str(unpacked / part) for part in ("runtime", "train"))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=unpacked,
        env=environment | {"PYTHONPATH": python_path, "TEXTGEN_TEST_TIER": "release"},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the files of a clone are those that git has")
def test_the_sdist_contains_every_file_of_the_clone(unpacked: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    expected = [name for name in listed.stdout.split("\0") if name and not name.startswith(LEFT_OUT)]
    assert len(expected) > 100
    assert [name for name in expected if (ROOT / name).exists() and not (unpacked / name).exists()] == []


@pytest.mark.tier("push")
def test_all_unpacked_tests_can_be_collected(unpacked: Path) -> None:
    done = run_unpacked_pytest(unpacked, "--collect-only")
    assert (done.returncode, done.stderr) == (0, "")
    expected = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert expected == {Path(line.split("::")[0]).name for line in done.stdout.splitlines() if "::" in line}


@pytest.mark.tier("push")
def test_some_unpacked_tests_pass_with_the_unpacked_code(unpacked: Path) -> None:
    program = "import textgen_runtime, textgen_train; print(textgen_runtime.__file__, textgen_train.__file__)"
    extra = unpacked / "tests" / "test_unpacked.py"
    extra.write_text(f"def test_place():\n    {program}\n", encoding="utf-8")
    chosen = ("runtime/engines/test_int8", "benchmarks/test_run_small", "test_unpacked")
    done = run_unpacked_pytest(unpacked, "-rP", *(f"tests/{name}.py" for name in chosen))
    extra.unlink()
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(str(unpacked / "runtime")) == done.stdout.count(str(unpacked / "train")) == 1
