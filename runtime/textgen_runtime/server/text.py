"""The texts that the server generates, and their prompts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from textgen_runtime.engines.base import TextEnding
from textgen_runtime.generation.batch import BatchChunk
from textgen_runtime.generation.generation import Generation
from textgen_runtime.generation.model import Model
from textgen_runtime.text.tokenizer import UnknownPolicy

from .token_scores import TokenScore, TokenScorer

# Tokens of a prompt per call of the engine. Other texts wait for the end of the call.
PIECE = 256


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
        self.position.begin(True)
        self.scores: list[TokenScore] = []
        self._engine = model.engine
        self._size = min(PIECE, model.engine.chunk_length(1))
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
            self._engine.feed(self.position, piece)
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
            if chunk.ending == "end" and end is not None:
                tokens.append(end)
            scores = self._scorer.score(tokens)
        return Update(self, chunk.text, chunk.tokens, scores, chunk.ending, None, chunk.ending is not None)
