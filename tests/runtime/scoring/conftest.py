"""Fixtures of the tests of scoring."""

from tests.helpers.native_tiny import tiny

__all__ = ["tiny"]
