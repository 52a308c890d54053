"""The form that a text is brought into before it is encoded."""

import re
from typing import Literal, NamedTuple, TypeAlias

UnicodeForm: TypeAlias = Literal["NFC", "NFD", "NFKC", "NFKD"]
UNICODE_FORMS: tuple[UnicodeForm, ...] = ("NFC", "NFD", "NFKC", "NFKD")

# A run of combining marks that is this long is put into order first.
LONG_RUN = 31


class Normalization(NamedTuple):
    r"""The form that a model's corpus was brought into, and every prompt after it.

    Line ends always become ``\n`` and a byte-order mark at the start is dropped.

    Attributes:
        lowercase: Whether upper-case letters become lower-case ones.
        unicode: A Unicode normalisation form, or None to leave code points as they are.
    """

    lowercase: bool = False
    unicode: UnicodeForm | None = "NFC"

    def apply(self, text: str) -> str:
        """The text in that form; a text that is in it already stays as it is.

        Raises:
            TypeError: If it is not a string.
        """
        if not isinstance(text, str):
            raise TypeError(f"the text must be a str, not {type(text).__name__}")
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        if text.isascii():
            # Every Unicode form leaves ASCII as it is, and so unicodedata need not be imported.
            return text.lower() if self.lowercase else text
        while True:
            # Each can undo the other: a letter in lower case may part from its accent, and the compatible
            # form of a sign may be a capital.
            before = text
            if self.lowercase:
                text = text.lower()
            if self.unicode:
                import unicodedata

                text = unicodedata.normalize(self.unicode, order_marks(text, self.unicode))
            if text == before:
                return text


def order_marks(text: str, form: UnicodeForm) -> str:
    """Put long runs of combining marks into the order that ``unicodedata.normalize`` would give them.

    A text may hold any number of marks after a letter. ``unicodedata.normalize`` sorts them by insertion,
    which takes time with the square of their number: 80,000 took 16 seconds, in which no interrupt was seen.
    Marks that are in order already take it no time. The normal form stays the same, because it does not
    depend on the order of marks of different combining classes (Unicode Standard, section 3.11, canonical
    ordering).

    Args:
        text: Any text.
        form: The normal form that the text is about to be brought into.

    Returns:
        The same text, but runs of more than 30 marks, the limit of Unicode's Stream-Safe Text Format (UAX
        #15), are decomposed and in canonical order.
    """
    if text.isascii():
        return text
    import unicodedata

    decomposed: Literal["NFD", "NFKD"] = "NFKD" if "K" in form else "NFD"

    def in_order(run: re.Match[str]) -> str:
        marks = "".join([unicodedata.normalize(decomposed, mark) for mark in run[0]])
        return "".join(sorted(marks, key=unicodedata.combining))

    # Some marks, such as U+0F73, are of class 0 themselves and only their decomposition is not.
    marks = [mark for mark in set(text) if unicodedata.combining(unicodedata.normalize(decomposed, mark)[0])]
    return re.sub(f"[{''.join(marks)}]{{{LONG_RUN},}}", in_order, text) if marks else text


def as_unicode_form(value: object) -> UnicodeForm | None:
    """Check a value read from a file.

    Raises:
        ValueError: If it is neither None nor the name of a Unicode normalisation form.
    """
    if value is not None and value not in UNICODE_FORMS:
        raise ValueError(f"{value!r} is no Unicode normalisation form")
    return value
