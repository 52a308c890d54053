"""Fixtures of several test modules."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

# torch reads this variable when it is imported, in this process or in a child process. The networks of the
# tests are so small that a second thread is not faster. On a busy machine, torch's threads mostly wait for
# each other.
os.environ["OMP_NUM_THREADS"] = "1"

import onnx
import pytest
import textgen_runtime as textgen

from tests.helpers.c_programs import BUILDS, PROGRAMS, SEVERAL, Build, compile_core, link
from tests.helpers.paths import ROOT, TINY
from tests.helpers.shared_folders import shared_folder
from tests.tiers import load_hypothesis_profile, runs

load_hypothesis_profile()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of later tiers, and those of other targets of make."""

    def is_chosen(item: pytest.Item) -> bool:
        is_here = SEVERAL or not item.get_closest_marker("several_compilers")
        return bool(is_here) and all(runs(mark.args[0]) for mark in item.iter_markers("tier"))

    config.hook.pytest_deselected(items=[item for item in items if not is_chosen(item)])
    items[:] = filter(is_chosen, items)


@pytest.fixture
def tiny_path() -> Path:
    """The path of a model file with random weights, written by ``make_tiny_model``."""
    return TINY


@pytest.fixture(scope="session")
def tiny() -> textgen.Model:
    """The tiny model with the native engine. The tests of the engines compare both."""
    return textgen.load(TINY)


@pytest.fixture
def tiny_proto() -> onnx.ModelProto:
    """The tiny model as a protobuf message that a test can change."""
    return onnx.load(TINY)


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Install Python's handler for SIGINT: a process in the background may ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", params=BUILDS, ids=str)
def build(request: pytest.FixtureRequest) -> Build:
    """Each compiler and set of flags for the C core."""
    chosen = request.param
    assert isinstance(chosen, Build)
    return chosen


@pytest.fixture(scope="session")
def objects(build: Build) -> Path:
    """The folder of the compiled core."""
    return compile_core(build)


@pytest.fixture(scope="session")
def core_reader(build: Build, objects: Path) -> Path:
    """A program that prints what the C core reads from model files."""
    return link(build, objects, PROGRAMS / "reader_check.c")


@pytest.fixture(scope="session")
def quick_compiler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A C compiler that does not optimize, whatever its flags are. It takes a third of the time."""
    if os.name != "posix":
        pytest.skip("the compiler is a script for a POSIX shell")
    path = tmp_path_factory.mktemp("compiler") / "cc"
    path.write_text(f'#!/bin/sh\nexec {sysconfig.get_config_var("CC")} "$@" -O0 -g0\n', encoding="utf-8")
    path.chmod(0o700)
    return path


# What is in a checkout but is no source. A build adds every file that an earlier one listed in egg-info.
NO_SOURCES = shutil.ignore_patterns(
    ".*", "build", "dist", "demo", "node_modules", "__pycache__", "*.egg-info", "*.so", "*.pyd"
)


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory, quick_compiler: Path) -> Path:
    """A folder with the sdist and the wheel built from it.

    The installed build tools make them from a copy of the checkout, which they would change.
    """

    def build(folder: Path) -> None:
        sources = tmp_path_factory.mktemp("sources") / "copy"
        shutil.copytree(ROOT, sources, ignore=NO_SOURCES)
        subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(sources)],
            check=True,
            env=os.environ | {"CC": str(quick_compiler)},
            capture_output=True,
        )

    return shared_folder(tmp_path_factory, "distributions", build)


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    """The built wheel."""
    (built,) = distributions.glob("*.whl")
    return built
