"""What a user can cause to go wrong while training; all of it is a ``TextgenError``."""

from textgen_runtime.errors import TextgenError


class CorpusError(TextgenError):
    """A corpus that cannot be had, or that nothing can be learned from."""


class RecipeError(TextgenError, ValueError):
    """A recipe with a number that is outside its range, or not one of its own."""


class TrainingError(TextgenError):
    """A training run that cannot go on."""


class ExportError(TextgenError):
    """An exported model that does not do what the trained one does."""
