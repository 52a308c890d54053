"""Normalization of a text before it is encoded."""

import re
from typing import Literal, NamedTuple, TypeAlias

UnicodeForm: TypeAlias = Literal["NFC", "NFD", "NFKC", "NFKD"]
UNICODE_FORMS: tuple[UnicodeForm, ...] = ("NFC", "NFD", "NFKC", "NFKD")

# Runs of at least this many combining marks are sorted before unicodedata.normalize sees them.
MIN_LONG_RUN = 31


class Normalization(NamedTuple):
    r"""The normalization of a model's corpus, which is also applied to every prompt.

    Line ends always become ``\n``, and a byte-order mark at the start is removed.

    Attributes:
        lowercase: Whether to convert the text to lower case.
        unicode: A Unicode normalization form, or None to keep code points unchanged.
    """

    lowercase: bool = False
    unicode: UnicodeForm | None = "NFC"

    def apply(self, text: str) -> str:
        """Return the normalized text. Normalizing a text twice gives the same text as once.

        Raises:
            TypeError: If ``text`` is not a string.
        """
        if not isinstance(text, str):
            raise TypeError(f"the text must be a str, not {type(text).__name__}")
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        if text.isascii():
            # No Unicode form changes ASCII, so the import of unicodedata is saved.
            return text.lower() if self.lowercase else text
        while True:
            # Each step can undo the other: lower case may separate a letter from its accent, and the
            # compatibility form of a symbol may contain capitals.
            before = text
            if self.lowercase:
                text = text.lower()
            if self.unicode:
                import unicodedata

                text = unicodedata.normalize(self.unicode, sort_marks(text, self.unicode))
            if text == before:
                return text


def sort_marks(text: str, form: UnicodeForm) -> str:
    """Sort long runs of combining marks into canonical order.

    A letter may be followed by any number of marks. ``unicodedata.normalize`` sorts them by insertion, in
    quadratic time: 80,000 marks took 16 seconds, during which no interrupt was handled. Sorted marks take
    linear time. The normal form stays the same, because it does not depend on the order of marks of different
    combining classes (Unicode Standard, section 3.11, canonical ordering).

    Args:
        text: Any text.
        form: The normal form that the caller will apply.

    Returns:
        The text, with each run of more than 30 marks decomposed and in canonical order. 30 is the limit of
        Unicode's Stream-Safe Text Format (UAX #15).
    """
    if text.isascii():
        return text
    import unicodedata

    decomposed: Literal["NFD", "NFKD"] = "NFKD" if "K" in form else "NFD"

    def sort_run(run: re.Match[str]) -> str:
        marks = "".join([unicodedata.normalize(decomposed, mark) for mark in run[0]])
        return "".join(sorted(marks, key=unicodedata.combining))

    # Some marks, such as U+0F73, have combining class 0, but their decomposition has another class.
    marks = [mark for mark in set(text) if unicodedata.combining(unicodedata.normalize(decomposed, mark)[0])]
    return re.sub(f"[{''.join(marks)}]{{{MIN_LONG_RUN},}}", sort_run, text) if marks else text


def as_unicode_form(value: object) -> UnicodeForm | None:
    """Return a value read from a file as a Unicode normalization form.

    Raises:
        ValueError: If the value is neither None nor the name of a Unicode normalization form.
    """
    if value is not None and value not in UNICODE_FORMS:
        raise ValueError(f"{value!r} is not a Unicode normalization form ({', '.join(UNICODE_FORMS)})")
    return value
