"""Fixtures of the tests of scores."""

import pytest
import textgen_runtime as textgen

from tests.helpers.paths import TINY


@pytest.fixture(scope="session")
def tiny() -> textgen.Model:
    """The tiny model with the native engine. Scores need only the logits of an engine."""
    return textgen.load(TINY)
