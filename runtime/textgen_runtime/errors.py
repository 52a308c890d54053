"""What a user can cause to go wrong, as one small family of exceptions.

Every message is one line that says what is wrong, where, and what to do about it. The commands print
it as it stands; anything outside this family is a defect of the project and shows its traceback.
"""


class TextgenError(Exception):
    """Base of everything that a user of the library or of the commands can cause."""


class ModelFileError(TextgenError):
    """A model file that is missing, damaged, or not a text generator that this version reads."""


class PromptError(TextgenError, ValueError):
    """A prompt that is empty or holds characters outside the model's vocabulary."""


class SamplingError(TextgenError, ValueError):
    """A temperature, logits or a distribution from which nothing can be drawn."""


class ScoringError(TextgenError, ValueError):
    """A text in which there is nothing to predict, or logits that say nothing about it."""


class SavedGenerationError(TextgenError):
    """A saved generation that is damaged or belongs to another model."""


class TextFileError(TextgenError):
    """A text that cannot be read, or is not UTF-8."""


class CorpusError(TextgenError):
    """A corpus that cannot be had, or that nothing can be learned from."""


class OutputError(TextgenError):
    """A file that cannot be written."""
