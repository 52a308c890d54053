"""Records: the texts of a corpus that are sequences of their own, such as the names of a list.

A part of a corpus is held out: some of its records, or the end of a continuous text.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias, get_args

RecordKind: TypeAlias = Literal["lines", "blank"]
RECORD_KINDS: tuple[RecordKind, ...] = get_args(RecordKind)

# What stands between the records of a text.
SEPARATORS: dict[RecordKind, str] = {"lines": "\n", "blank": "\n\n"}

_HASH_BYTES = 8
_HASH_RANGE = 2.0 ** (8 * _HASH_BYTES)


def split_records(text: str, kind: RecordKind) -> list[str]:
    """Return the records of a normalized text; see ``iterate_records``."""
    return list(iterate_records((text,), kind))


def iterate_records(chunks: Iterable[str], kind: RecordKind) -> Iterator[str]:
    r"""Iterate over the records of a text that is read in chunks.

    Args:
        chunks: Consecutive parts of the text, of any size.
        kind: ``"lines"``: each line is a record, without its line end, which is ``\\n`` or ``\\r\\n``. Lines
            that have only white space are dropped. ``"blank"``: lines that have only white space separate the
            records. The end of the last line of a record is dropped.
    """
    lines = _iterate_lines(chunks)
    if kind == "lines":
        return (_without_line_end(line) for line in lines if not line.isspace())
    return _iterate_paragraphs(lines)


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

    digest = blake2b(record.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest, "big") < share * _HASH_RANGE


def _iterate_lines(chunks: Iterable[str]) -> Iterator[str]:
    """Iterate over the lines of a text with their line ends."""
    held: list[str] = []
    for chunk in chunks:
        first, *others = chunk.split("\n")
        held.append(first)
        for following in others:
            held.append("\n")
            yield "".join(held)
            held = [following]
    if last := "".join(held):
        yield last


def _iterate_paragraphs(lines: Iterator[str]) -> Iterator[str]:
    paragraph: list[str] = []
    for line in lines:
        if not line.isspace():
            paragraph.append(line)
        elif paragraph:
            yield _without_line_end("".join(paragraph))
            paragraph = []
    if paragraph:
        yield _without_line_end("".join(paragraph))


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
