"""Fixtures of the tests of the C core."""

from pathlib import Path
from typing import NamedTuple

import pytest
import textgen_runtime as textgen
from filelock import FileLock

from tests.helpers.c_programs import CORE, digest, programs_folder
from tests.helpers.core_install import make
from tests.helpers.paths import ROOT
from tests.helpers.shared_folders import shared_folder

# Of the text below.
PROMPT = "the will to "

# The program that prints how a text ends, and the text.
TEXT_PROGRAM = ROOT / "tests" / "golden" / "golden.c"


@pytest.fixture(scope="session")
def bundled_text() -> str:
    """What Python generates with the bundled model and seed 7. 8-bit weights give this text everywhere."""
    return textgen.load("nietzsche").generate(PROMPT, length=60, temperature=0.5, seed=7)


class Installed(NamedTuple):
    """The installed core, and the folder in which it was built."""

    prefix: Path
    build: Path


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The core and its command, installed. What make has built stays for the next run."""
    build = programs_folder() / f"make-{digest([CORE / 'Makefile'])}"

    def install(folder: Path) -> None:
        build.mkdir(exist_ok=True)
        with FileLock(build / "lock"):
            make("install", f"BUILD={build}", f"PREFIX={folder}", "CFLAGS=-O1")

    return Installed(shared_folder(tmp_path_factory, "installed", install), build)
