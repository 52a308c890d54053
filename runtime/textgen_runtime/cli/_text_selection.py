"""Which texts ``textgen-run`` writes: those that are new, among the others or in a corpus, and not empty."""

import math
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from textgen_runtime.generation.model import Model
from textgen_runtime.generation.raw_text import is_raw
from textgen_runtime.text.records import RecordKind, split_records
from textgen_runtime.text.tokenizer import WORD

from ._requested_texts import PendingText

if TYPE_CHECKING:
    from textgen_runtime.corpora.corpus import CorpusLookup

# After this number of rejected texts in a row, a new one is so rare that the command gives up.
MAX_REJECTED_IN_A_ROW = 1000

# Bytes. With fewer than 2**40 texts, two of them practically never have the same fingerprint.
FINGERPRINT_SIZE = 16


def make_selection(model: Model, *, unique: bool, max_copy: int = 0) -> "Selection | None":
    """Return a selection of texts, or None if all are accepted.

    Args:
        model: The model that generates them. No text that stands in its corpus ``novel`` is accepted.
        unique: Whether a text is accepted only once.
        max_copy: That of the sampling.
    """
    if model.novel is None:
        needed = unique or model.metadata.records is not None
        return Selection(unique=unique, corpus=None) if needed else None
    # With --raw, texts keep the bytes that are not UTF-8.
    novel = model.novel if is_raw(model) else _as_generated(model.novel)
    if model.metadata.records is not None:
        corpus = frozenset(split_records(novel, model.metadata.records))
        return Selection(unique=unique, corpus=corpus)
    # Imported on use: most runs need no corpus.
    from textgen_runtime.corpora.corpus import CorpusLookup

    # The tokens of a word can differ from those that the corpus has for it.
    short = 0 if model.tokenizer.level == WORD else max_copy
    return Selection(unique=unique, corpus=CorpusLookup(novel), max_copy=short)


def with_novel(model: Model, source: str | None, *, lowercase: bool = False) -> Model:
    """Return the model with the corpus of ``--novel``, if there is one.

    Raises:
        CorpusError: If the corpus is missing or empty, or is not available.
        TextFileError: If it cannot be read, or is not UTF-8.
    """
    if source is None:
        return model
    # Imported on use: most runs need no corpus.
    from textgen_runtime.corpora.corpus import corpus_for

    text = corpus_for(model.metadata, source).text
    return model.with_novel(text.lower() if lowercase else text)


def corpus_records(text: str, records: RecordKind) -> frozenset[str]:
    """Return the records of a corpus, which is normalized."""
    return frozenset(split_records(_as_generated(text), records))


def _as_generated(text: str) -> str:
    """Return a text in which a byte that is not UTF-8 is the replacement character, as in a generated one."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Selection:
    """Accepts texts that were not accepted before, or that do not stand in a corpus, or both.

    It accepts no empty record. No corpus has one, but a model can write it.

    Args:
        unique: Whether a text is accepted only once.
        corpus: The corpus in which no accepted text stands, or the records that no accepted text equals; or
            None.
        max_copy: A number of characters: no longer part of a text stands in the corpus. 0 if it is not known.

    Attributes:
        drawn: The number of texts that were accepted or rejected.
        repeated: The number of texts that were rejected because they were accepted before.
        known: The number of texts that were rejected because they stand in the corpus.
        empty: The number of records that were rejected because they are empty.
    """

    def __init__(
        self,
        *,
        unique: bool,
        corpus: "CorpusLookup | AbstractSet[str] | None",
        max_copy: int = 0,
    ) -> None:
        self._accepted: set[bytes] | None = set() if unique else None
        self._corpus = corpus
        # A longer text is accepted, unless it must be unique.
        self._longest = 0 if corpus is None else max_copy or math.inf
        self.drawn = self.repeated = self.known = self.empty = 0
        # What could help to find more texts: it depends on how the latest rejected text began and ended.
        self._remedies: list[str] = []

    def accepts_beginning(self, text: PendingText) -> bool:
        """Whether a text is accepted whatever follows, so that it can be written while it is drawn."""
        if self._accepted is None and self._longest < len(text.text):
            text.is_accepted = True
        return text.is_accepted

    def accepts(self, text: PendingText) -> bool:
        """Whether a complete text is accepted."""
        self.drawn += 1
        if self.accepts_beginning(text):
            return True
        if not self._is_new(text):
            self._remedies = list(_remedies(text))
            return False
        return True

    def _is_new(self, text: PendingText) -> bool:
        if text.ending == "end" and not text.generation.prompt + text.text:
            self.empty += 1
            return False
        if self._corpus is not None and self._stands_in(self._corpus, text):
            self.known += 1
            return False
        if self._accepted is not None:
            fingerprint = self._fingerprint(text)
            if fingerprint in self._accepted:
                self.repeated += 1
                return False
            self._accepted.add(fingerprint)
        return True

    @staticmethod
    def _stands_in(corpus: "CorpusLookup | AbstractSet[str]", text: PendingText) -> bool:
        """Whether the corpus has the text.

        A text that is a complete line, as with ``--until-newline``, stands in the corpus if the corpus has
        this line. The part of the prompt after its last line end belongs to the line. Any other text stands
        in the corpus if it occurs anywhere in it.
        """
        content = text.text
        if isinstance(corpus, AbstractSet):
            return text.generation.prompt + content in corpus
        # After a stop text such as ".\n", the line in the corpus has more than the text.
        end_at_lines = all(set(stop) == {"\n"} for stop in text.series.sampling.stop)
        are_lines = text.series.are_lines and end_at_lines
        if text.ending == "length" or not (are_lines or content.endswith("\n")):
            return corpus.has(content)
        _, _, beginning = text.generation.prompt.rpartition("\n")
        return corpus.has_lines(beginning + content.removesuffix("\n"))

    @staticmethod
    def _fingerprint(text: PendingText) -> bytes:
        # Imported on use: the import takes milliseconds, and most runs do not need it.
        from hashlib import blake2b

        output = text.echo + text.text
        return blake2b(output.encode("utf-8", "surrogatepass"), digest_size=FINGERPRINT_SIZE).digest()

    def describe(self, found: int) -> str:
        """Return how many texts were found among the drawn ones, and why the others were rejected."""
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self._rejected().items())
        return f"{found:,} of {self.drawn:,} drawn" + f"; {reasons}" * bool(reasons)

    def shortfall(self, found: int, wanted: int) -> str:
        """Return the message for fewer texts than wanted."""
        return (
            f"found only {found:,} of {wanted:,} texts among {self.drawn:,} drawn, and gave up after "
            f"{MAX_REJECTED_IN_A_ROW:,} in a row that {' or '.join(self._rejected())}: use "
            f"{', '.join(['a higher --temp', *self._remedies])} or a smaller --count"
        )

    def _rejected(self) -> dict[str, int]:
        """Return the reasons to reject a text, with the number of the texts."""
        reasons = {"repeat another text": self.repeated} if self._accepted is not None else {}
        reasons |= {"stand in the corpus": self.known} if self._corpus is not None else {}
        return reasons | ({"are empty": self.empty} if self.empty else {})


def _remedies(text: PendingText) -> Iterator[str]:
    """Yield what else could make a text like this one new, besides a higher temperature."""
    if text.ending == "length":
        yield "a greater --length"
    elif text.ending == "end":
        # A record ends by itself, and a longer one is rarer.
        yield "a greater --min-length"
    if text.generation.prompt:
        yield "another prompt"
