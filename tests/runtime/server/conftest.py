"""Fixtures of the tests of the server."""

import pytest
import textgen_runtime as textgen

from tests.helpers.paths import TINY


@pytest.fixture(scope="session")
def tiny() -> textgen.Model:
    """The tiny model with the native engine: the server calls both engines alike."""
    return textgen.load(TINY)
