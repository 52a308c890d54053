"""``Selection``: which of the drawn texts ``textgen-run --unique`` and ``--novel`` accept."""

import argparse
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from textgen_runtime.generation.model import Model
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.text.levels import BYTE
from textgen_runtime.text.records import split_records

from ._series import PendingText

if TYPE_CHECKING:
    from textgen_runtime.corpora.lookup import CorpusLookup

# After this number of rejected texts in a row, a new one is so rare that the command gives up.
MAX_REJECTED_IN_A_ROW = 1000

# Bytes. With fewer than 2**40 texts, two of them practically never have the same fingerprint.
FINGERPRINT_SIZE = 16


def make_selection(arguments: argparse.Namespace, model: Model) -> "Selection | None":
    """Return the selection that the arguments describe, or None if all texts are accepted.

    Raises:
        CorpusError: If the corpus of ``--novel`` is missing or empty, or is not available.
        TextFileError: If it cannot be read, or is not UTF-8.
    """
    if not arguments.unique and arguments.novel is None:
        return None
    corpus = None
    if arguments.novel is not None:
        text = read_known(model.metadata, arguments.novel, lowercase=arguments.lowercase)
        records = model.metadata.records
        if records is not None:
            return Selection(unique=arguments.unique, corpus=frozenset(split_records(text, records)))
        # Imported on use: most runs need no corpus.
        from textgen_runtime.corpora.lookup import CorpusLookup

        corpus = CorpusLookup(text)
    return Selection(unique=arguments.unique, corpus=corpus)


def read_known(metadata: Metadata, source: str, *, lowercase: bool = False) -> str:
    """Return the text of the corpus of ``--novel``, as the model would generate it.

    Raises:
        CorpusError: If the corpus is missing or empty, or is not available.
        TextFileError: If it cannot be read, or is not UTF-8.
    """
    from textgen_runtime.corpora.corpus import corpus_for

    text = corpus_for(metadata, source).text
    text = metadata.normalize(text.lower() if lowercase else text)
    if metadata.tokenizer.level == BYTE:
        # As in a generated text, a byte that is not UTF-8 is the replacement character.
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text


class Selection:
    """Accepts texts that were not accepted before, or that do not stand in a corpus, or both.

    Args:
        unique: Whether a text is accepted only once.
        corpus: The corpus in which no accepted text stands, or the records that no accepted text equals; or
            None.

    Attributes:
        drawn: The number of texts that were accepted or rejected.
        repeated: The number of texts that were rejected because they were accepted before.
        known: The number of texts that were rejected because they stand in the corpus.
    """

    def __init__(self, *, unique: bool, corpus: "CorpusLookup | AbstractSet[str] | None") -> None:
        self._accepted: set[bytes] | None = set() if unique else None
        self._corpus = corpus
        self.drawn = self.repeated = self.known = 0

    def accepts(self, text: PendingText) -> bool:
        """Whether a complete text is accepted."""
        self.drawn += 1
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
        reasons = [f"{self.repeated:,} repeat another text"] if self._accepted is not None else []
        reasons += [f"{self.known:,} stand in the corpus"] if self._corpus is not None else []
        return f"{found:,} of {self.drawn:,} drawn; {', '.join(reasons)}"

    def shortfall(self, found: int, wanted: int) -> str:
        """Return the message for fewer texts than wanted."""
        reasons = ["repeat another text"] if self._accepted is not None else []
        reasons += ["stand in the corpus"] if self._corpus is not None else []
        return (
            f"found only {found:,} of {wanted:,} texts among {self.drawn:,} drawn, and gave up after "
            f"{MAX_REJECTED_IN_A_ROW:,} in a row that {' or '.join(reasons)}: use a higher --temp, a greater "
            "--length, another prompt or a smaller --count"
        )
