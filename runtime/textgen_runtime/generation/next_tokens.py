"""``NextToken``: the likeliest next tokens of a generation."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from textgen_runtime.sampling.sampler import softmax
from textgen_runtime.text.token_texts import token_text

if TYPE_CHECKING:
    from .generation import Generation


class NextToken(NamedTuple):
    r"""A candidate for the next token.

    Attributes:
        text: The text of the token; ``<end>`` for the end of a record. A byte that is not ASCII has a name
            such as ``\xc3``.
        token: The token.
        probability: The probability that the model gives to the token.
        draw_probability: The probability that the next draw gives to the token, with the constraint,
            ``min_length``, the filters and the temperature. 0 if they exclude it.
    """

    text: str
    token: int
    probability: float
    draw_probability: float


def next_tokens(generation: "Generation", count: int) -> list[NextToken]:
    """Return the ``count`` likeliest next tokens, by ``draw_probability`` and then by ``probability``."""
    probabilities = softmax(generation.logits)
    draw_probabilities = generation.sampler.probabilities(generation.masked_logits())
    tokenizer = generation.model.tokenizer
    # The sort is stable: the lowest token comes first among equals.
    order = np.lexsort((-probabilities, -draw_probabilities))[:count]
    return [
        NextToken(
            token_text(tokenizer, token), token, float(probabilities[token]), float(draw_probabilities[token])
        )
        for token in order.tolist()
    ]
