"""Which texts ``textgen-run`` writes: no empty record, none twice with ``--unique``, none of ``--novel``."""

import math
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Protocol, TypeAlias

from textgen_runtime.errors import Name, TextgenError
from textgen_runtime.model import Model
from textgen_runtime.results import TextEnding
from textgen_runtime.sampling import Sampling
from textgen_runtime.text import RecordKind, split_records
from textgen_runtime.tokenizer import format_symbols

if TYPE_CHECKING:
    from textgen_runtime.corpora.corpus import CorpusLookup

    # The corpus in which no accepted text stands, or the records that no accepted text equals.
    KnownTexts: TypeAlias = CorpusLookup | AbstractSet[str]

# After this number of rejected texts in a row, a new one is so rare that the command gives up.
MAX_REJECTED_IN_A_ROW = 1000

# Bytes. With fewer than 2**40 texts, two of them practically never have the same fingerprint.
FINGERPRINT_SIZE = 16


def make_selection(
    model: Model, known: "KnownTexts | None", *, unique: bool, max_copy: int
) -> "Selection | None":
    """Return a selection of texts, or None if all are accepted.

    Args:
        model: The model that generates them.
        known: What ``known_texts`` returns for the model: no text that stands there is accepted.
        unique: Whether a text is accepted only once.
        max_copy: That of the sampling.
    """
    has_records = model.metadata.records is not None
    if known is None and not unique and not has_records:
        return None
    # Records are compared as a whole.
    is_limited = known is not None and not has_records
    return Selection(unique=unique, corpus=known, max_copy=max_copy if is_limited else 0)


def known_texts(model: Model) -> "KnownTexts | None":
    """Return what the corpus ``novel`` of a model has, or None if there is no corpus."""
    if model.novel is None:
        return None
    # With --raw, texts keep the bytes that are not UTF-8.
    novel = model.novel if model.is_raw else _as_generated(model.novel)
    if model.metadata.records is not None:
        return frozenset(split_records(novel, model.metadata.records))
    # Imported on use: most runs need no corpus.
    from textgen_runtime.corpora.corpus import CorpusLookup

    return CorpusLookup(novel)


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


def novel_warnings(model: Model) -> list[str]:
    """Return a warning if the corpus of ``--novel`` has only lines, or records, that no text can equal."""
    if model.novel is None:
        return []
    kind, tokenizer = model.metadata.records, model.tokenizer
    texts = split_records(model.novel, kind or "lines")
    if any(map(tokenizer.can_encode, texts)):
        return []
    unknown = format_symbols(sorted(tokenizer.count_unknown("".join(texts))))
    name = "record" if kind else "line"
    return [
        f"each {name} of the corpus has characters outside the vocabulary, so no text equals it: {unknown}"
    ]


def corpus_records(text: str, records: RecordKind) -> frozenset[str]:
    """Return the records of a corpus, which is normalized."""
    return frozenset(split_records(_as_generated(text), records))


def _as_generated(text: str) -> str:
    """Return a text in which a byte that is not UTF-8 is the replacement character, as in a generated one."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class DrawnText(Protocol):
    """A text that is drawn, and then accepted or rejected.

    Attributes:
        text: The text so far, without what was written already.
        beginning: The text that it continues, such as the prompt. What belongs to the same record, or to the
            same line, is complete. None if it is not known: then the text is compared alone, and is no empty
            record.
        echo: What is written before the text.
        ending: Why the text ended, or None while it continues.
        sampling: The sampling parameters.
        is_accepted: Whether the text was accepted before its end.
    """

    is_accepted: bool

    @property
    def text(self) -> str: ...

    @property
    def beginning(self) -> str | None: ...

    @property
    def echo(self) -> str: ...

    @property
    def ending(self) -> TextEnding | None: ...

    @property
    def sampling(self) -> Sampling: ...


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

    def __init__(self, *, unique: bool, corpus: "KnownTexts | None", max_copy: int) -> None:
        self._accepted: set[bytes] | None = set() if unique else None
        self._corpus = corpus
        # A longer text is accepted, unless it must be unique.
        self._longest = 0 if corpus is None else max_copy or math.inf
        self.drawn = self.repeated = self.known = self.empty = 0
        # What could help to find more texts: it depends on how the latest rejected text began and ended.
        self._remedies: list[tuple[str, ...]] = []

    def accepts_beginning(self, text: DrawnText) -> bool:
        """Whether a text is accepted whatever follows, so that it can be written while it is drawn."""
        if self._accepted is None and self._longest < len(text.text):
            text.is_accepted = True
        return text.is_accepted

    def accepts(self, text: DrawnText) -> bool:
        """Whether a complete text is accepted."""
        self.drawn += 1
        if self.accepts_beginning(text):
            return True
        if not self._is_new(text):
            self._remedies = list(_remedies(text))
            return False
        return True

    def _is_new(self, text: DrawnText) -> bool:
        if text.ending == "end" and text.beginning is not None and not text.beginning + text.text:
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
    def _stands_in(corpus: "KnownTexts", text: DrawnText) -> bool:
        """Whether the corpus has the text.

        A text that is a complete line, as with ``--until-newline``, stands in the corpus if the corpus has
        this line. The part of the beginning after its last line end belongs to the line. Any other text
        stands in the corpus if it occurs anywhere in it.
        """
        content, beginning = text.text, text.beginning or ""
        if isinstance(corpus, AbstractSet):
            return beginning + content in corpus
        # After a stop text such as ".\n", the line in the corpus has more than the text.
        stop = text.sampling.stop
        are_lines = bool(stop) and all(set(one) == {"\n"} for one in stop)
        if text.ending == "length" or not (are_lines or content.endswith("\n")):
            return corpus.has(content)
        _, _, line = beginning.rpartition("\n")
        return corpus.has_lines(line + content.removesuffix("\n"))

    @staticmethod
    def _fingerprint(text: DrawnText) -> bytes:
        # Imported on use: the import takes milliseconds, and most runs do not need it.
        from hashlib import blake2b

        output = text.echo + text.text
        return blake2b(output.encode("utf-8", "surrogatepass"), digest_size=FINGERPRINT_SIZE).digest()

    def describe(self, found: int) -> str:
        """Return how many texts were found among the drawn ones, and why the others were rejected."""
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self._rejected().items())
        return f"{found:,} of {self.drawn:,} drawn" + f"; {reasons}" * bool(reasons)

    def shortfall(self, found: int, wanted: int) -> TextgenError:
        """Return the error for fewer texts than wanted."""
        remedies = [*self._remedies, ("a smaller ", Name("count"))] if wanted > 1 else self._remedies
        reasons = " or ".join(reason for reason, count in self._rejected().items() if count)
        return TextgenError(
            f"found only {found:,} of {wanted:,} texts" if wanted > 1 else "found no new text",
            f", because {MAX_REJECTED_IN_A_ROW:,} drawn in a row {reasons}: ",
            "use a higher ",
            Name("temperature"),
            *_listed(remedies),
        )

    def _rejected(self) -> dict[str, int]:
        """Return the reasons to reject a text, with the number of the texts."""
        reasons = {"repeat another text": self.repeated} if self._accepted is not None else {}
        reasons |= {"stand in the corpus": self.known} if self._corpus is not None else {}
        return reasons | ({"are empty": self.empty} if self.empty else {})


def _remedies(text: DrawnText) -> Iterator[tuple[str, ...]]:
    """Yield what else could make a text like this one new, besides a higher temperature."""
    if text.ending == "length":
        yield "a greater ", Name("length")
    elif text.ending == "end":
        # A record ends by itself, and a longer one is rarer.
        yield "a greater ", Name("min_length")
    if text.beginning:
        yield ("another prompt",)


def _listed(items: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield the parts of the further items of a list, with commas and "or"."""
    for item in items:
        yield " or " if item is items[-1] else ", "
        yield from item
