"""Fixtures of the tests of the server."""

from tests.helpers.native_tiny import tiny

__all__ = ["tiny"]
