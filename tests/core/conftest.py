"""Fixtures of the tests of the C core."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.core_install import make
from tests.helpers.shared_folders import shared_folder


class Installed(NamedTuple):
    """The installed core, and the folder in which it was built."""

    prefix: Path
    build: Path


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The core and its command, installed in a folder of their own."""

    def install(folder: Path) -> None:
        make("install", f"BUILD={folder}/build", f"PREFIX={folder}/prefix", "CFLAGS=-O1")

    folder = shared_folder(tmp_path_factory, "installed", install)
    return Installed(folder / "prefix", folder / "build")
