"""Log-probabilities of the tokens of a text, and of their likeliest alternatives."""

from collections.abc import Sequence
from typing import NamedTuple

# Imported at the start of the server: the first request would wait for a tenth of a second.
import numpy as np
from numpy.typing import NDArray

from textgen_runtime.engines.base import FloatBuffer, State
from textgen_runtime.generation.model import Model

# Tokens per call of the engine: the logits of all of them are in memory at the same time.
PIECE = 256


class TokenScore(NamedTuple):
    """The score of one token.

    Attributes:
        token: The text of the token; empty for the unknown symbol and the end of a record.
        logprob: The natural logarithm of the model's probability; None for the first token of a prompt.
        alternatives: The logarithms of the likeliest tokens and of this token, by text; None where
            ``logprob`` is None.
    """

    token: str
    logprob: float | None
    alternatives: dict[str, float] | None


class TokenScorer:
    """Scores a text, part by part, by running the network over it.

    The probabilities are those of the model: the softmax of its logits, at temperature 1, before any filter.

    Args:
        model: The model.
        alternatives: Number of alternatives per token, 0 or more.
        state: The state before the text, of batch size 1.
        logits: The logits of the first token, of shape [vocabulary]; None if no text comes before it.
        drawn: Whether the text was drawn, so that it cannot contain the unknown symbol. A prompt contains no
            end of a record.
    """

    def __init__(
        self,
        model: Model,
        alternatives: int,
        state: State,
        logits: FloatBuffer | None = None,
        *,
        drawn: bool = True,
    ) -> None:
        self._model = model
        self._alternatives = alternatives
        self._state = state
        self._logits = logits
        special = model.tokenizer.special
        self._never_drawn = list(special.never_drawn) if drawn else []
        self._hidden = {special.begin} if drawn else {special.begin, special.end}

    def score(self, tokens: Sequence[int]) -> list[TokenScore]:
        """Return the scores of the next tokens of the text."""
        scores: list[TokenScore] = []
        for start in range(0, len(tokens), PIECE):
            scores += self._score_piece(list(tokens[start : start + PIECE]))
        return scores

    def _score_piece(self, tokens: list[int]) -> list[TokenScore]:
        after, self._state = self._model.engine.forward(
            np.array(tokens, np.int64).reshape(-1, 1), self._state
        )
        rows = after[:, 0, :].astype(np.float64)
        before, self._logits = self._logits, rows[-1]
        if before is None:
            # The begin of a record is no part of the text.
            is_begin = tokens[0] == self._model.tokenizer.special.begin
            first = [] if is_begin else [TokenScore(self._text(tokens[0]), None, None)]
            return [*first, *self._scores_of(tokens[1:], rows[:-1])]
        return self._scores_of(tokens, np.concatenate([np.array(before, np.float64, ndmin=2), rows[:-1]]))

    def _scores_of(self, tokens: list[int], logits: NDArray[np.float64]) -> list[TokenScore]:
        """Return the scores of tokens from their logits, of shape [tokens, vocabulary]."""
        logits[:, self._never_drawn] = -np.inf
        shifted = logits - logits.max(axis=1, keepdims=True)
        logprobs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        # A stable sort, so that of equal tokens the lowest is first.
        best = np.argsort(-logprobs, axis=1, kind="stable")[:, : self._alternatives]
        scores = []
        for token, row, likeliest in zip(tokens, logprobs, best.tolist(), strict=True):
            # JSON has no -inf, the logarithm of the unknown symbol.
            shown = [
                other for other in [*likeliest, token] if row[other] > -np.inf and other not in self._hidden
            ]
            alternatives = {self._text(other): float(row[other]) for other in shown}
            scores.append(TokenScore(self._text(token), float(row[token]), alternatives))
        return scores

    def _text(self, token: int) -> str:
        return self._model.tokenizer.symbols[token]
