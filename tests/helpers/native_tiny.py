"""The tiny model for rooms whose code calls both engines alike. Their ``conftest.py`` imports the fixture."""

import pytest
import textgen_runtime as textgen

from tests.helpers.paths import TINY


@pytest.fixture(scope="session")
def tiny() -> textgen.Model:
    """The tiny model with the native engine. The tests of the engines compare both."""
    return textgen.load(TINY)
