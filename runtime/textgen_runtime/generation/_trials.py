"""``Trial``: a text that is drawn without the mask of its constraint and must meet the constraint."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .batch import BatchChunk
    from .generation import Generation
    from .running_text import Snapshot
else:
    # The modules import this one. Strings would be compiled; see engines/base.py.
    BatchChunk = Generation = Snapshot = object


class Trial(NamedTuple):
    """The unmasked texts of one lane with ``Sampling.resample``: rejection sampling.

    A text that breaks the constraint is rejected, and the lane starts again with the next random numbers. A
    text that is taken is therefore a sample of the model's own distribution, given that the text meets the
    constraint. After the last rejected text, the lane continues with the mask.

    Attributes:
        start_position: The position before the first token.
        length: The maximum number of tokens of a text.
        left: The number of further texts without the mask, with the current one.
        chunks: The chunks of the current text.
    """

    generation: Generation
    start_position: Snapshot
    length: int
    left: int
    chunks: tuple[BatchChunk, ...] = ()

    @classmethod
    def start(cls, generation: "Generation", length: int, finish: bool) -> "Trial | None":
        """Return the first trial of a lane, or None if its text is not complete or not resampled."""
        resample = generation.sampling.resample
        if not finish or not resample or generation.is_complete:
            return None
        return cls(generation, generation.snapshot(), length, resample)

    @property
    def masked(self) -> bool:
        """Whether all texts without the mask were rejected."""
        return self.left == 0

    def restart(self) -> "Trial":
        """Reject the current text, and return the generation to the start of the text."""
        self.generation.restore(self.start_position, random_numbers=False)
        return self._replace(left=self.left - 1, chunks=())

    def extend(self, chunk: "BatchChunk") -> "Trial":
        """Keep a chunk of the current text."""
        return self._replace(chunks=(*self.chunks, chunk))

    def complete(self, last: "BatchChunk") -> "BatchChunk":
        """Return the chunks of the text as one."""
        chunks = (*self.chunks, last)
        logprobs = None
        if last.logprobs is not None:
            logprobs = [value for chunk in chunks for value in chunk.logprobs or ()]
        tokens = sum(chunk.tokens for chunk in chunks)
        text = "".join([chunk.text for chunk in chunks])
        return last._replace(tokens=tokens, text=text, logprobs=logprobs)
