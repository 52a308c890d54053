"""Lanes of one model that are continued side by side, and come and go between chunks."""

import sys
from collections.abc import Iterator, Mapping
from operator import index
from typing import TYPE_CHECKING, NamedTuple

from textgen_runtime.engines.base import Ending, Generated, Measurements

if TYPE_CHECKING:
    from .generation import Generation, Mark
    from .model import Model


LENGTH: Ending = "length"


class BatchChunk(NamedTuple):
    """What a chunk added to one lane.

    Attributes:
        generation: The lane.
        tokens: How many were added.
        text: What they add to the text, which is not one character for each token with every tokenizer.
        ending: Why the lane ended, which has left the batch then; None if it goes on.
    """

    generation: "Generation"
    tokens: int
    text: str
    ending: Ending | None


class _Wanted(NamedTuple):
    """What is still wanted of a lane: tokens, and whether its text ends with the last of them."""

    tokens: int
    finish: bool


class _Place(NamedTuple):
    """Where a batch stands: what is wanted of its lanes, and where each of them stands."""

    lanes: "dict[Generation, _Wanted]"
    marks: "Mapping[Generation, Mark]"


class Batch:
    """Generations of one model, continued together a chunk at a time.

    The engine reads the weights once for all lanes. A lane's text does not depend on the others, and each
    has its own sampling, length and ending. Not to be shared between threads.

    Args:
        model: The model of all lanes.
        measurements: Where to add up what all lanes take, or None to save the effort.
    """

    def __init__(self, model: "Model", measurements: Measurements | None = None) -> None:
        self.model = model
        self.measurements = measurements
        self._lanes: dict[Generation, _Wanted] = {}

    def __len__(self) -> int:
        """How many lanes have not ended."""
        return len(self._lanes)

    def __iter__(self) -> "Iterator[Generation]":
        """The lanes that have not ended, in the order in which they were added."""
        return iter(tuple(self._lanes))

    def add(self, generation: "Generation", length: int, *, finish: bool = True) -> None:
        """Let a generation take part from the next chunk on.

        Args:
            generation: Of the batch's model. Its sampling may be set between chunks.
            length: How many tokens are wanted of it.
            finish: Whether its text ends with them, so that text which the decoder holds back is made at
                the end. False where the generation goes on later.

        Raises:
            ValueError: If ``length`` is negative, the generation is of another model, or it is there already.
            TypeError: If ``length`` is not a whole number.
        """
        if index(length) < 0:
            raise ValueError(f"length must be 0 or more, not {length}")
        if generation in self._lanes:
            raise ValueError("the generation is a lane of this batch already")
        if generation.model != self.model:
            raise ValueError("the generation is of another model than the batch")
        self._lanes[generation] = _Wanted(index(length), finish)

    def remove(self, generation: "Generation") -> None:
        """Let a lane leave; it stands behind the last chunk, and can be continued anywhere.

        Raises:
            KeyError: If it is no lane of the batch, as after it has ended.
        """
        del self._lanes[generation]

    def advance(self, steps: int | None = None) -> list[BatchChunk]:
        """Continue every lane by a chunk.

        After an error or an interrupt every lane stands where it stood before the chunk.

        Args:
            steps: How many tokens of each lane at most, 1 or more; None takes as many as the engine makes of
                all lanes in some milliseconds.

        Returns:
            What was added to each lane, in the order in which they were added.

        Raises:
            SamplingError: If the model's logits are not finite, or a lane's random numbers are used up.
            ValueError: If ``steps`` is less than 1.
            TypeError: If ``steps`` is not a whole number.
        """
        if steps is not None and index(steps) < 1:
            raise ValueError(f"steps must be 1 or more, not {steps}")
        place = self._place()
        lanes = place.lanes
        try:
            made = self._make(steps)
            self._lanes = {
                each.generation: _Wanted(
                    lanes[each.generation].tokens - each.tokens, lanes[each.generation].finish
                )
                for each in made
                if each.ending is None
            }
        except BaseException:
            # An interrupt included: what was drawn was not handed on, and is drawn again.
            self._go_back(place)
            raise
        return made

    def complete(self) -> list[str]:
        """Continue until all lanes have ended; their texts, in the order in which they were added.

        After an error or an interrupt every lane stands where it stood before the call.

        Raises:
            SamplingError: As ``advance``, of which it is as many calls as it takes.
        """
        place = self._place()
        texts: dict[Generation, list[str]] = {generation: [] for generation in self}
        try:
            while self:
                for made in self.advance():
                    texts[made.generation].append(made.text)
            return ["".join(chunks) for chunks in texts.values()]
        except BaseException:
            # The chunks before this one are lost as well.
            self._go_back(place)
            raise

    def _place(self) -> _Place:
        return _Place(self._lanes, {generation: generation.mark() for generation in self._lanes})

    def _go_back(self, place: _Place) -> None:
        for generation, mark in place.marks.items():
            generation.reset(mark)
        self._lanes = place.lanes

    def _make(self, steps: int | None) -> list[BatchChunk]:
        engine = self.model.engine
        running = [generation for generation, wanted in self._lanes.items() if wanted.tokens]
        generated: dict[Generation, Generated] = {}
        if running:
            found = engine.generate(
                [generation.lane(self._lanes[generation].tokens) for generation in running],
                # An engine counts in 64 bits.
                engine.chunk(len(running)) if steps is None else min(index(steps), sys.maxsize),
                self.measurements,
            )
            generated = dict(zip(running, found, strict=True))
        made = []
        for generation, wanted in self._lanes.items():
            tokens, text = 0, ""
            ending: Ending | None = LENGTH
            if generation in generated:
                one = generated[generation]
                tokens, text, ending = len(one.tokens), generation.accept(one), one.ending
            if ending is not None and wanted.finish:
                text += generation.finish()
            made.append(BatchChunk(generation, tokens, text, ending))
        return made
