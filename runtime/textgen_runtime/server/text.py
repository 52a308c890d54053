"""The texts that the server generates, their prompts, and the log-probabilities of their tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# Imported at the start of the server: the first request would wait for a tenth of a second.
import numpy as np
from numpy.typing import NDArray

from textgen_runtime.model import BatchChunk, Generation, Model, feed_chunk
from textgen_runtime.results import FloatBuffer, State, TextEnding
from textgen_runtime.tokenizer import UnknownPolicy

# Tokens per call of the engine. Other texts wait for the end of the call, and the logits of all tokens that
# are scored are in memory at the same time.
PIECE_TOKENS = 256


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
        for start in range(0, len(tokens), PIECE_TOKENS):
            scores += self._score_piece(list(tokens[start : start + PIECE_TOKENS]))
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


class Prompt:
    """A prompt, which is fed in pieces, and once for all texts that continue it.

    Args:
        model: The model.
        text: The text, which is normalized as the model's training text was.
        unknown: What to do with characters outside the vocabulary, as for ``Model.start``.
        alternatives: Number of alternatives per token in ``scores``, or None to score nothing.

    Attributes:
        text: The normalized text without skipped characters.
        tokens: The tokens of the text, after the begin of the record if the model has records.
        position: The text after the tokens that were fed.
        scores: The scores of the tokens that were fed.

    Raises:
        PromptError: As for ``Model.start``.
    """

    def __init__(
        self, model: Model, text: str, unknown: UnknownPolicy = "error", alternatives: int | None = None
    ) -> None:
        self.tokens = model.encode_prompt(text, unknown, is_start=True)
        self.text = model.tokenizer.decode(self.tokens)
        self.position = model.engine.new_stream()
        self.scores: list[TokenScore] = []
        self._size = min(PIECE_TOKENS, model.engine.chunk_length(1))
        self._fed = 0
        self._scorer = None
        if alternatives is not None:
            self._scorer = TokenScorer(model, alternatives, self.position.state, drawn=False)

    @property
    def pieces(self) -> int:
        """Number of pieces that were not fed yet."""
        return -((self._fed - len(self.tokens)) // self._size)

    def feed(self) -> bool:
        """Feed the next piece, and return whether the prompt is complete."""
        if self._fed < len(self.tokens):
            piece = self.tokens[self._fed : self._fed + self._size]
            feed_chunk(self.position, piece, is_first=self._fed == 0, restart=True)
            self._fed += len(piece)
            if self._scorer:
                self.scores += self._scorer.score(piece)
        return self._fed == len(self.tokens)


class Update(NamedTuple):
    """What a chunk added to a text.

    Attributes:
        text: The text that it belongs to.
        chunk: The characters that were added.
        tokens: Number of tokens that were added.
        scores: The scores of these tokens; empty if the request did not ask for them.
        ending: Why the text ended, or None if it continues.
        error: Why the text failed, or None.
        last: Whether this is the last update of the text.
    """

    text: "Text"
    chunk: str = ""
    tokens: int = 0
    scores: Sequence[TokenScore] = ()
    ending: TextEnding | None = None
    error: Exception | None = None
    last: bool = False


@dataclass(eq=False)
class Text:
    """One text of a request. It waits, its prompt is fed, it is a lane of the batch, and it ends.

    After the text was submitted, only the worker uses the attributes that change.

    Attributes:
        prompt: The prompt.
        generation: The generation. It continues the prompt after ``start``.
        choice: The index of the text in the response.
        remaining: Maximum number of tokens; later the number that may still be generated.
        alternatives: Number of alternatives per token, or None for no scores.
        deliver: Called with each update in the thread of the event loop.
    """

    prompt: Prompt
    generation: Generation
    choice: int
    remaining: int
    alternatives: int | None
    deliver: "Callable[[Update], None]"
    _scorer: TokenScorer | None = field(default=None, init=False)

    def start(self) -> None:
        """Let the generation continue the prompt, which must be complete."""
        generation, prompt = self.generation, self.prompt.position
        generation.position.continue_from(prompt)
        if self.alternatives is not None:
            logits = generation.logits.copy()
            self._scorer = TokenScorer(generation.model, self.alternatives, prompt.state, logits)

    def update(self, chunk: BatchChunk) -> Update:
        """Return the update for a chunk of the batch."""
        self.remaining -= chunk.tokens
        scores: Sequence[TokenScore] = ()
        if self._scorer:
            tokenizer = self.generation.model.tokenizer
            tokens = tokenizer.encode(chunk.text)
            end = tokenizer.special.end
            if self.generation.ended_record and end is not None:
                tokens.append(end)
            scores = self._scorer.score(tokens)
        is_last = chunk.ending is not None or chunk.error is not None
        return Update(self, chunk.text, chunk.tokens, scores, chunk.ending, chunk.error, is_last)


def count_prompt_tokens(texts: Sequence[Text]) -> int:
    """Return the number of tokens of the prompts of texts. One that several texts continue counts once."""
    return sum(len(prompt.tokens) for prompt in {text.prompt for text in texts})
