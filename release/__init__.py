"""The steps of a release, as programs."""
