"""Fixtures of the tests of the commands."""

from tests.helpers.native_tiny import tiny

__all__ = ["tiny"]
