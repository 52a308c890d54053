"""Fixtures of the tests of generation."""

from tests.helpers.native_tiny import tiny

__all__ = ["tiny"]
