"""The source distribution: its tests can be run where it is unpacked."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT


@pytest.fixture(scope="module")
def unpacked(distributions: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked sdist, with the extensions that were built from it in their places."""
    (sdist,) = distributions.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    with zipfile.ZipFile(wheel) as built:
        extensions = [name for name in built.namelist() if name.endswith((".so", ".pyd"))]
        built.extractall(top / "runtime", extensions)  # noqa: S202 (an archive of our own making)
    return top


def pytest_there(unpacked: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the unpacked tests, on the unpacked packages."""
    paths = os.pathsep.join(str(unpacked / part) for part in ("runtime", "train"))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=unpacked,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )


def test_it_holds_every_file_that_is_worked_on(unpacked: Path) -> None:
    patterns = (
        "Makefile",
        "CONTRIBUTING.md",
        "tests/**/*.py",
        "tests/core/*",
        "tests/data/*",
        "benchmarks/**/*.py",
        "benchmarks/**/*.c",
        "examples/*",
        "docs/*",
        "docs/_extensions/*.py",
        "docs/images/*",
        "runtime/**/*.pyx",
        "runtime/**/*.pxd",
        "runtime/core/**/*.[ch]",
    )
    for pattern in patterns:
        here = {path.relative_to(ROOT) for path in ROOT.glob(pattern)}
        assert here
        assert here <= {path.relative_to(unpacked) for path in unpacked.glob(pattern)}


def test_all_tests_can_be_collected_there(unpacked: Path) -> None:
    done = pytest_there(unpacked, "--collect-only")
    assert (done.returncode, done.stderr) == (0, "")
    here = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert here == {Path(line.split("::")[0]).name for line in done.stdout.splitlines() if "::" in line}


def test_tests_pass_there(unpacked: Path) -> None:
    """Those that read the tiny model, the benchmarks and the code that was unpacked."""
    program = "import textgen_runtime, textgen_train; print(textgen_runtime.__file__, textgen_train.__file__)"
    some = unpacked / "tests" / "test_unpacked.py"
    some.write_text(f"def test_place():\n    {program}\n", encoding="utf-8")
    chosen = ("runtime/engines/test_engines", "benchmarks/test_kneser_ney", "test_unpacked")
    done = pytest_there(unpacked, "-rP", *(f"tests/{name}.py" for name in chosen))
    some.unlink()
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(str(unpacked / "runtime")) == done.stdout.count(str(unpacked / "train")) == 1
