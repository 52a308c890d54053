"""The continuation of one line: generated chunk by chunk, and stopped at any chunk."""

from collections.abc import Iterator

from textgen_runtime.engines.base import TextEnding
from textgen_runtime.generation.batch import Batch
from textgen_runtime.generation.generation import STREAM_CHUNK, Generation


class Continuation:
    """Continues a generation by one complete text.

    If the generation has a constraint, the text is a new text of it.

    Args:
        generation: The generation. It advances with each chunk.
        length: Maximum number of tokens.

    Attributes:
        ending: Why the text ended, or None if it did not end by itself.

    Raises:
        SamplingError: If no text of this length meets the constraint.
    """

    def __init__(self, generation: Generation, length: int) -> None:
        self.ending: TextEnding | None = None
        self._generation = generation
        if generation.is_complete and not generation.ended_record:
            # The next text is a new text of the constraint.
            generation.position.begin_constraint()
        self._start = generation.copy()
        self._batch = Batch(generation.model)
        self._batch.add(generation, length)
        self._has_text = False

    def chunks(self) -> Iterator[str]:
        """Yield the text. A chunk is empty while its text is not decided, so that the caller can stop."""
        steps = min(STREAM_CHUNK, self._generation.model.engine.chunk_length(1))
        while self._batch:
            (chunk,) = self._batch.advance(steps)
            self.ending = chunk.ending
            self._has_text = self._has_text or bool(chunk.text)
            yield chunk.text

    def stop(self) -> str:
        """End the text after the latest chunk. Return the text that was held back."""
        if not self._batch:
            return ""
        self._batch.remove(self._generation)
        if self._has_text:
            return self._generation.finish()
        # The tokens drawn so far may belong to a text that would have been rejected.
        generation, start = self._generation, self._start
        start.reseed(generation.seed, generation.substream, generation.drawn)
        generation.position = start.position
        return ""
