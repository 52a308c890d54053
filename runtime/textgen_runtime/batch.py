"""Several generations of one model, continued side by side."""

from collections.abc import Iterator, Sequence
from operator import index
from typing import TYPE_CHECKING

import numpy as np

from .engine import join_states, select_streams

if TYPE_CHECKING:
    from .generator import Generation


def stream_together(generations: "Sequence[Generation]", length: int, piece: int) -> Iterator[list[str]]:
    """Yield the next ``length`` characters of several generations of one model, a piece of each at a time.

    Args:
        generations: Of the same model, each with a sampler of its own.
        length: How many characters of each.
        piece: How many of them at a time; after each piece every generation stands behind it.

    Raises:
        ValueError: If ``length`` is negative.
        SamplingError: If the model's logits are not finite.
    """
    if index(length) < 0:
        raise ValueError(f"length must be 0 or more, not {length}")
    return _pieces_together(generations, length, piece)


def _pieces_together(generations: "Sequence[Generation]", length: int, piece: int) -> Iterator[list[str]]:
    model = generations[0].model
    for start in range(0, length, piece):
        positions = [generation.sampler.position for generation in generations]
        try:
            decoded = model.engine.decode(
                [generation.sampler for generation in generations],
                np.stack([generation.logits for generation in generations]),
                join_states([generation.state for generation in generations]),
                min(piece, length - start),
                generations[0].measurements,
            )
        except BaseException:
            # An interrupt included: what was drawn was never read, and is drawn again.
            for generation, position in zip(generations, positions, strict=True):
                generation.sampler.position = position
            raise
        for i, generation in enumerate(generations):
            generation.logits = decoded.logits[i]
            generation.state = select_streams(decoded.state, slice(i, i + 1))
        yield [model.vocabulary.decode(tokens) for tokens in decoded.tokens.T.tolist()]
