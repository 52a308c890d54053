"""Normalization of a text before it is encoded."""

import re
from itertools import groupby
from typing import Literal, NamedTuple, TypeAlias, get_args

from .files import BYTE_ORDER_MARK

UnicodeForm: TypeAlias = Literal["NFC", "NFD", "NFKC", "NFKD"]
UNICODE_FORMS: tuple[UnicodeForm, ...] = ("NFC", "NFD", "NFKC", "NFKD")

# Runs of at least this many combining marks are sorted before unicodedata.normalize sees them.
MIN_LONG_RUN = 31

# A run of so many characters of ranges that have combining marks. Most texts have none. It is compiled on its
# first use, because that takes longer than generating a short text.
POSSIBLE_LONG_RUN = (
    "[^\x00-\u02ff\u0370-\u0482\u048a-\u0590\u2010-\u2027\u2e80-\u3029\u3030-\u3098\u309b-\ua000"
    f"\uac00-\ud7ff\uff00-\uff9d]{{{MIN_LONG_RUN}}}"
)


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
        text = text.removeprefix(BYTE_ORDER_MARK).replace("\r\n", "\n").replace("\r", "\n")
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
                text = _normalize_lines(text, self.unicode)
            if text == before or not self.lowercase:
                return text


def _normalize_lines(text: str, form: UnicodeForm) -> str:
    """Return the normal form of a text. A line end does not combine with other characters."""
    import unicodedata

    return "\n".join(
        [
            line if line.isascii() else unicodedata.normalize(form, sort_marks(line, form))
            for line in text.split("\n")
        ]
    )


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
    if not re.search(POSSIBLE_LONG_RUN, text):
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
    """Return the value of an option as a Unicode normalization form.

    Raises:
        ValueError: If the value is neither None nor the name of a Unicode normalization form.
    """
    if value is not None and value not in UNICODE_FORMS:
        raise ValueError(f"{value!r} is not a Unicode normalization form ({', '.join(UNICODE_FORMS)})")
    return value


RecordKind: TypeAlias = Literal["lines", "blank"]
RECORD_KINDS: tuple[RecordKind, ...] = get_args(RecordKind)

# What stands between the records of a text.
SEPARATORS: dict[RecordKind, str] = {"lines": "\n", "blank": "\n\n"}

_HASH_BYTES = 8
_HASH_RANGE = 2.0 ** (8 * _HASH_BYTES)


def split_records(text: str, kind: RecordKind) -> list[str]:
    r"""Return the records of a normalized text.

    Args:
        text: Any text. With the level of bytes, its line ends may be ``\\r\\n``.
        kind: ``"lines"``: each line is a record, without its line end. Lines that have only white space are
            dropped. ``"blank"``: lines that have only white space separate the records. The end of the last
            line of a record is dropped.
    """
    lines = [f"{line}\n" for line in text.split("\n")]
    if kind == "lines":
        return [_without_line_end(line) for line in lines if not line.isspace()]
    paragraphs = groupby(lines, str.isspace)
    return [_without_line_end("".join(found)) for is_blank, found in paragraphs if not is_blank]


def held_out_start(length: int, share: float) -> int:
    """Return the index of the first held-out character.

    Training and ``textgen-eval --last`` use the same function, so equal shares select equal parts.

    Args:
        length: Number of characters in the text.
        share: Share of the text to hold out, at its end, in [0, 1].
    """
    return length - round(length * share)


def is_held_out(record: str, share: float) -> bool:
    """Return whether a record belongs to the held-out part.

    The decision depends only on the content of the record, so equal records are on the same side, and
    ``textgen-eval --last`` selects the same records as training.

    Args:
        record: The record, as it is returned by ``split_records``.
        share: Share of all records to hold out, in [0, 1]. A hash of the record, as a number in [0, 1), is
            compared with it.
    """
    # Imported on use: generation does not need it.
    from hashlib import blake2b

    # The bytes of the corpus, also if they are not UTF-8. A corpus has no other halves of surrogate pairs.
    try:
        content = record.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        content = record.encode("utf-8", "surrogatepass")
    digest = blake2b(content, digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest, "big") < share * _HASH_RANGE


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
