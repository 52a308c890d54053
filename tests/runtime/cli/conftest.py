"""Fixtures of the tests of the commands."""

import pytest
import textgen_runtime as textgen

from tests.helpers.paths import TINY


@pytest.fixture(scope="session")
def tiny() -> textgen.Model:
    """The tiny model with the native engine, which is the default of the commands."""
    return textgen.load(TINY)
