"""The tiers of the tests: what runs before each commit, before each push, and before a release.

A later tier runs the tests of the earlier ones too. ``TEXTGEN_TEST_TIER`` names the tier; ``make`` sets it
from ``TIER``. A test of a later tier has the mark ``tier("push")`` or ``tier("release")``. The tier also sets
the number of examples of property tests, and the sets of compiler flags in ``helpers/c_programs.py``.
"""

import os

from hypothesis import settings

# Each with the number of examples of a property test.
TIERS = {"commit": 30, "push": 100, "release": 2000}

TIER = os.environ.get("TEXTGEN_TEST_TIER", "commit")
if TIER not in TIERS:
    raise ValueError(f"TEXTGEN_TEST_TIER must be one of {', '.join(TIERS)}, not {TIER!r}")


def runs(tier: str) -> bool:
    """Return whether the tests of a tier run."""
    names = list(TIERS)
    return names.index(tier) <= names.index(TIER)


def load_hypothesis_profile() -> None:
    """Choose the examples of property tests: new ones before a release, and the same ones otherwise.

    A failure before a commit or a push then comes from the change. An example may take any time.
    """
    settings.register_profile(TIER, deadline=None, max_examples=TIERS[TIER], derandomize=not runs("release"))
    settings.load_profile(TIER)
