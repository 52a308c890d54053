"""The training part and the held-out part of a corpus that is read in chunks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.errors import CorpusError, Name
from textgen_runtime.text.normalization import Normalization
from textgen_runtime.text.records import SEPARATORS, RecordKind, held_out_start, is_held_out, iterate_records

# Number of characters of records that are processed together.
BLOCK_CHARACTERS = 2**20

# A longer record is an error, because records are in memory as a whole.
MAX_RECORD_CHARACTERS = 2**26


class Block(NamedTuple):
    """Consecutive parts of a corpus.

    Attributes:
        training: Records that are trained on; without records, consecutive parts of the training text.
        held_out: The same of the held-out part.
    """

    training: list[str]
    held_out: list[str]


@dataclass(frozen=True)
class Reader:
    """Reads corpora in blocks of normalized text.

    Attributes:
        normalization: Applied to the text; None for bytes, which are never normalized.
        records: The kind of records; None for continuous text.
        on_read: Called with the number of bytes of each chunk that is read.
    """

    normalization: Normalization | None
    records: RecordKind | None = None
    on_read: Callable[[int], None] | None = None

    def blocks(self, corpus: Corpus, share: float = 0.0, characters: int = 0) -> Iterator[Block]:
        """Yield a corpus in blocks. The errors are those of ``Corpus.chunks``.

        Args:
            corpus: The corpus.
            share: Share of the corpus to hold out: the last part of a text, or the records that
                ``is_held_out`` selects.
            characters: Number of characters of a text; not used for records.

        Raises:
            CorpusError: If a record is too long.
            ValueError: If the files of a folder were joined for another kind of records.
        """
        if len(corpus.files) > 1 and corpus.records != self.records:
            raise ValueError(
                f"the files of {corpus.name} were joined for records={corpus.records!r}: pass "
                f"records={self.records!r} to read_corpus"
            )
        chunks = corpus.chunks(self.on_read)
        if self.normalization is not None:
            chunks = self.normalization.apply_chunks(chunks)
        if self.records is None:
            return _text_blocks(chunks, held_out_start(characters, share) if share else None)
        checked = _check_lengths(chunks, SEPARATORS[self.records], corpus.name)
        return _record_blocks(iterate_records(checked, self.records), share)

    def texts(self, corpus: Corpus) -> Iterator[str]:
        """Yield the text of a corpus without what separates records; the errors are those of ``blocks``."""
        return ("".join(block.training) for block in self.blocks(corpus))


def _text_blocks(chunks: Iterable[str], start: int | None) -> Iterator[Block]:
    """Yield a text. If ``start`` is not None, it is the index of the first held-out character."""
    for chunk in chunks:
        cut = len(chunk) if start is None else max(0, min(start, len(chunk)))
        yield Block([chunk[:cut]] if cut else [], [chunk[cut:]] if cut < len(chunk) else [])
        start = None if start is None else start - len(chunk)


def _record_blocks(records: Iterable[str], share: float) -> Iterator[Block]:
    block, characters = Block([], []), 0
    for record in records:
        (block.held_out if share and is_held_out(record, share) else block.training).append(record)
        characters += len(record) + 1
        if characters >= BLOCK_CHARACTERS:
            yield block
            block, characters = Block([], []), 0
    yield block


def _check_lengths(chunks: Iterable[str], separator: str, name: str) -> Iterator[str]:
    length = 0
    for chunk in chunks:
        found = chunk.rfind(separator)
        length = len(chunk) - found if found >= 0 else length + len(chunk)
        if length > MAX_RECORD_CHARACTERS:
            raise CorpusError(
                f"the corpus {name} has a record of more than {MAX_RECORD_CHARACTERS:,} characters: train "
                "without ",
                Name("records"),
                ", or with another kind of records",
            )
        yield chunk
