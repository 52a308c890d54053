"""``Novel``: the corpus that the texts of a model must not copy."""

from typing import TYPE_CHECKING

from textgen_runtime.errors import Name, SamplingError
from textgen_runtime.text.tokenizer import WORD, Tokenizer

if TYPE_CHECKING:
    from textgen_runtime._core import Spans

# Hexadecimal digits of a digest.
DIGEST_LENGTH = 16


class Novel:
    """A corpus that texts must not copy, and the latest table of its spans. Threads may share it.

    Args:
        text: The corpus, normalized as the texts are.
        tokenizer: The tokenizer of the model.

    Attributes:
        text: As above.
    """

    __slots__ = ("_digest", "_spans", "_tokenizer", "text")

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.text = text
        self._tokenizer = tokenizer
        self._spans: Spans | None = None
        self._digest = ""

    def spans(self, max_copy: int) -> "Spans":
        """Return the table for a value of ``max_copy``.

        The latest table is kept. More of them would take too much memory: up to 20 bytes for each token.

        Raises:
            SamplingError: If the model is one of words, which can be spelled in other tokens than the corpus.
        """
        if self._tokenizer.level == WORD:
            raise SamplingError(Name("max_copy"), " needs a model of characters or bytes")
        # Imported on use: most texts need no tables.
        from textgen_runtime._core import Spans

        spans = self._spans
        if spans is None or spans.max_copy != max_copy:
            # The old table is released before the new one is made, unless a text still follows it.
            self._spans = spans = None
            spans = Spans(self._tokenizer.encode_known(self.text), max_copy, len(self._tokenizer))
            self._spans = spans
        return spans

    @property
    def digest(self) -> str:
        """A hash of the corpus, in hexadecimal: a saved text must continue with the same corpus."""
        if not self._digest:
            from hashlib import sha256

            self._digest = sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_LENGTH]
        return self._digest
