"""``Continuation``: a text that continues a typed line."""

from collections.abc import Iterator

from textgen_runtime.model import STREAM_CHUNK, Batch, Generation
from textgen_runtime.results import TextEnding
from textgen_runtime.sampling import Sampling

from ._text_selection import MAX_REJECTED_IN_A_ROW, Selection


class Continuation:
    """Continues a generation by one complete text, chunk by chunk, until it is stopped.

    If the generation has a constraint, the text is a new text of it.

    A selection can reject the text. Then another one is drawn, which begins where the text began, with the
    next random numbers. Nothing of a text is returned before it is accepted. If it is stopped before, or if
    ``MAX_REJECTED_IN_A_ROW`` texts are rejected, the generation stands at the beginning.

    Args:
        generation: The generation. It advances with each chunk.
        length: Maximum number of tokens.
        beginning: What the text continues; see ``DrawnText``.
        selection: A new selection, which accepts or rejects the texts. None accepts the first one.

    Attributes:
        beginning: As above.
        echo: Empty: a selection of a session does not compare what is shown before the text.
        ending: Why the text ended, or None if it did not end by itself.
        is_accepted: Whether the text is accepted, so that it is returned as it is drawn.

    Raises:
        SamplingError: If no text of this length meets the constraint.
    """

    def __init__(
        self, generation: Generation, length: int, beginning: str | None, selection: Selection | None
    ) -> None:
        self.beginning, self.echo = beginning, ""
        self.ending: TextEnding | None = None
        self.is_accepted = selection is None
        self._generation, self._length, self._selection = generation, length, selection
        if generation.is_complete and not generation.ended_record:
            # The next text is a new text of the constraint.
            generation.begin_constraint()
        self._start = generation.position
        # What is drawn and not returned.
        self._held: list[str] = []
        self._batch = Batch(generation.model)
        self._batch.add(generation, length)

    @property
    def text(self) -> str:
        """What was drawn and not returned."""
        return "".join(self._held)

    @property
    def sampling(self) -> Sampling:
        """The sampling parameters."""
        return self._generation.sampling

    def chunks(self) -> Iterator[str]:
        """Yield the text. A chunk is empty while its text is not decided, so that the caller can stop.

        Raises:
            TextgenError: If the selection has rejected too many texts.
            SamplingError: If the text cannot continue.
        """
        steps = min(STREAM_CHUNK, self._generation.model.engine.chunk_length(1))
        while self._batch:
            (chunk,) = self._batch.advance(steps)
            self.ending = chunk.ending
            self._held.append(chunk.text)
            self._select()
            yield self._take() if self.is_accepted else ""
            if chunk.error is not None:
                self._return_to_start()
                raise chunk.error

    def _select(self) -> None:
        """Accept or reject the text, if that is possible now. After a rejected text, another one begins."""
        selection = self._selection
        if self.is_accepted or selection is None:
            return
        if self.ending is None:
            selection.accepts_beginning(self)
        elif selection.accepts(self):
            self.is_accepted = True
        else:
            self._return_to_start()
            if selection.drawn == MAX_REJECTED_IN_A_ROW:
                raise selection.shortfall(0, 1)
            self._batch.add(self._generation, self._length)

    def _return_to_start(self) -> None:
        """Take back a text that is not accepted, but not its random numbers."""
        if self.is_accepted:
            return
        self.ending = None
        self._held.clear()
        latest, self._generation.position = self._generation.position, self._start
        self._generation.reseed(latest.seed, latest.substream, latest.drawn)

    def _take(self) -> str:
        text = self.text
        self._held.clear()
        return text

    def stop(self) -> str:
        """End the text after the latest chunk. Return the text that was held back, if it is accepted."""
        if not self._batch:
            return ""
        self._batch.remove(self._generation)
        if self.is_accepted:
            return self._generation.finish()
        self._return_to_start()
        return ""
