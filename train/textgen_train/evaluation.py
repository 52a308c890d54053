"""The honest score of a model: every character of a text predicted once, from all that came before it."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .model import CharLSTM

# Long enough that the LSTM runs as one call, short enough that its logits stay small.
PIECE = 2048


@torch.no_grad()
def nats_per_character(model: CharLSTM, before: int, text: NDArray[np.int64]) -> float:
    """Mean negative log-probability of a text's characters.

    The text is read once, as one stream, with the state carried from its first character to its last.

    Args:
        model: Evaluated in float32 and without dropout, as it will be exported.
        before: The token that stands before the text, from which its first character is predicted.
        text: Shape [characters], int64.

    Returns:
        Natural-log loss per character; divide by ln 2 for bits.
    """
    was_training = model.training
    model.eval()
    try:
        tokens = torch.from_numpy(np.concatenate([np.array([before], np.int64), text]))
        state = model.initial_state(batch=1)
        total = 0.0
        for start in range(0, len(text), PIECE):
            piece = tokens[start : start + PIECE + 1]
            logits, state = model(piece[:-1, None], state)
            total += nn.functional.cross_entropy(logits[:, 0], piece[1:], reduction="sum").item()
    finally:
        model.train(was_training)
    return total / len(text)


def bits(nats: float) -> float:
    """Nats to bits."""
    return nats / math.log(2)
