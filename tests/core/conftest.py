"""Fixtures of the tests of the C core."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.core_install import make


class Installed(NamedTuple):
    """The installed core, and the folder in which it was built."""

    prefix: Path
    build: Path


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The core and its command, installed in a folder of their own."""
    folder = tmp_path_factory.mktemp("installed")
    made = Installed(folder / "prefix", folder / "build")
    make("install", f"BUILD={made.build}", f"PREFIX={made.prefix}", "CFLAGS=-O1")
    return made
