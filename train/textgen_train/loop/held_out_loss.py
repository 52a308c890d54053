"""The losses of an exported model on the held-out text and on a part of the training text.

The parts of a text are scored at the same time, because one pass over the weights serves all of them. Each
part starts from the state after the last tokens before it. Earlier tokens hardly matter to this state. Where
they do, the part is scored again.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.engines.base import Engine
from textgen_runtime.engines.results import State
from textgen_runtime.generation.model import Model
from textgen_runtime.scoring.surprisals import MAX_LOGITS, score_logits, score_records

from textgen_train.data.dataset import Dataset
from textgen_train.data.tokens import Tokens, count_characters_after, record_ends, record_parts, release_pages

# Maximum number of tokens of the records that are scored together. A longer record is scored in chunks.
MAX_RECORD_TOKENS = 2**20

# Maximum number of threads for them, because each one needs its own memory for logits.
MAX_RECORD_THREADS = 4

# The maximum number of training tokens that an evaluation scores. They show the overfitting of the
# model, so fewer are sufficient than for the held-out loss.
MAX_TRAINING_TOKENS = 20_000
# Of records, they are taken from this number of positions.
TRAINING_PARTS = 20

# Maximum number of parts of a text. More are not faster.
MAX_PARTS = 32
# Number of tokens before a part from which its first state is computed. In trained models, 128 are sufficient
# for the state of a single pass, apart from rounding errors.
CONTEXT = 256
# Minimum number of tokens of a part, so that the contexts take at most a fifth of the time.
MIN_PART = 1024
# Maximum difference of a value of these states.
MAX_STATE_DIFFERENCE = 1e-3

# Maximum number of steps of a forward call.
CHUNK = 256

# Number of tokens from which the duration of an evaluation is estimated.
ESTIMATE_TOKENS = 1024

# The arrays of a state by name. The second dimension of each is the part.
Arrays: TypeAlias = dict[str, NDArray[np.float32]]


def held_out_loss(model: Model, dataset: Dataset, threads: int = 1) -> float:
    """Return the mean negative log-likelihood of the held-out text, in nats per character.

    It is the sum over all tokens, divided by the number of their characters, so that levels can be compared.
    The end of a record counts as one character. Each token is predicted once, from all tokens before it: a
    text is a single sequence, and each record starts from the initial state. The loss is computed by the
    engine of the exported model, so it is the loss that users of the file get. It is that of a single pass
    within ``MAX_STATE_DIFFERENCE`` of the states at the parts of a text, and much less in trained models.

    The vocabulary of the model must be that of the dataset. The loss of a text does not depend on the number
    of threads with the native engine. That of records depends on it only by the rounding of the sum.
    """
    return _loss(model, dataset.before_held_out, dataset.held_out, threads)


def training_loss(model: Model, dataset: Dataset, threads: int = 1) -> float:
    """Return the mean negative log-likelihood of a part of the training text, in nats per character.

    It is computed like ``held_out_loss``. The part is the end of the training text. It is as long as the
    held-out text, but has at most 20,000 tokens. Of records, the part is evenly spread over all of them,
    because the end of a sorted list differs from the rest. The difference of both losses shows how much the
    model is overfitted.
    """
    if dataset.records is not None:
        return _loss(model, dataset.before_held_out, _spread_records(dataset), threads)
    start = len(dataset.training) - training_part_length(dataset)
    return _loss(model, int(dataset.training[start - 1]), dataset.training[start:], threads)


def training_part_length(dataset: Dataset) -> int:
    """Return about how many tokens of the training text ``training_loss`` scores."""
    return min(len(dataset.held_out), MAX_TRAINING_TOKENS, len(dataset.training) - 1)


def _spread_records(dataset: Dataset) -> Tokens:
    """Return complete training records from evenly spread positions."""
    tokens, end = dataset.training, dataset.tokenizer.special.end
    size = -(-training_part_length(dataset) // TRAINING_PARTS)
    parts = []
    for start in np.linspace(0, len(tokens) - size, TRAINING_PARTS).astype(int).tolist():
        part = tokens[start : start + size]
        ends = np.flatnonzero(part == end)
        # Before the first end, the part may have the rest of a record only.
        first = 0 if not start else int(ends[0]) + 1 if len(ends) else len(part)
        last = int(ends[-1]) + 1 if len(ends) else 0
        parts.append(part[first:last])
    spread = np.concatenate(parts)
    # Very long records may not fit into a part.
    return spread if len(spread) else tokens[: next(record_parts(tokens, end or 0, size))[1]]


def seconds_per_token(model: Model, dataset: Dataset, threads: int = 1) -> float:
    """Estimate how long the scoring of a token of the held-out text takes, from a few of its tokens."""
    part = dataset.first_held_out(ESTIMATE_TOKENS)
    parts = _Parts.of(model.engine, dataset.before_held_out, dataset.held_out, threads)
    steps = min(parts.size, -(-ESTIMATE_TOKENS // len(parts.starts)))

    def seconds() -> float:
        started = perf_counter()
        if dataset.records is not None:
            held_out_loss(model, part, threads)
            count = len(part.held_out)
        else:
            parts.score(steps, context=0)
            count = steps * len(parts.starts)
        return (perf_counter() - started) / count

    # The first call also starts threads and imports modules.
    return min(seconds(), seconds())


def _loss(model: Model, before: int, tokens: Tokens, threads: int) -> float:
    """Return the surprisal of tokens of a dataset per character; ``before`` is the token before a text."""
    end = model.tokenizer.special.end
    totals = (
        _Parts.of(model.engine, before, tokens, threads).nats()
        if end is None
        else _record_nats(model, tokens, end, threads)
    )
    return math.fsum(totals) / count_characters_after(before, tokens, model.tokenizer)


class _Scores(NamedTuple):
    """The scores of some parts.

    Attributes:
        nats: The sum of the surprisals of each part.
        begins: The states from which the parts started.
        ends: The states after the parts.
    """

    nats: list[float]
    begins: Arrays
    ends: Arrays


class _Parts(NamedTuple):
    """A text in parts of about equal length.

    Attributes:
        engine: The engine of the model.
        before: The token before the text.
        tokens: The tokens of the text, each of which is scored.
        starts: The positions of the first token of each part, int64.
        size: Number of tokens of a part. The last one may be shorter.
        threads: Maximum number of threads. Each scores some of the parts.
    """

    engine: Engine
    before: int
    tokens: Tokens
    starts: NDArray[np.int64]
    size: int
    threads: int

    @classmethod
    def of(cls, engine: Engine, before: int, tokens: Tokens, threads: int) -> "_Parts":
        """Divide a text of at least one token."""
        count = min(MAX_PARTS, -(-len(tokens) // MIN_PART))
        size = -(-len(tokens) // count)
        return cls(engine, before, tokens, np.arange(0, len(tokens), size), size, threads)

    def nats(self) -> list[float]:
        """Return the sum of the surprisals of each part, given all tokens before it."""
        nats, begins, ends = self.score(self.size)
        # The first part starts from the right state. In order, each part that started from another state than
        # that in which the part before it ends is scored again, at most once.
        for part in range(1, len(self.starts)):
            previous, started = _selected(ends, [part - 1]), _selected(begins, [part])
            if any(np.abs(previous[name] - started[name]).max() > MAX_STATE_DIFFERENCE for name in ends):
                again = self._score_from(self.starts[[part]], previous, self.size)
                nats[part] = again.nats[0]
                for name, array in ends.items():
                    array[:, [part]] = again.ends[name]
        release_pages(self.tokens)
        return nats

    def score(self, size: int, context: int = CONTEXT) -> _Scores:
        """Score the first tokens of all parts on several threads.

        Args:
            size: Number of tokens of each part.
            context: Number of tokens before a part that are fed to a new state first.
        """
        shares = np.array_split(self.starts, min(self.threads, len(self.starts)))
        with ThreadPoolExecutor(len(shares), "textgen-scoring") as pool:
            scores = list(
                pool.map(
                    lambda starts: self._score_from(starts, self._states_before(starts, context), size),
                    shares,
                )
            )
        return _Scores(
            [nats for score in scores for nats in score.nats],
            _joined([score.begins for score in scores]),
            _joined([score.ends for score in scores]),
        )

    def _states_before(self, starts: NDArray[np.int64], context: int) -> Arrays:
        """Return the states after the contexts of some parts. Before the text, it is the initial state."""
        state = self.engine.initial_state(len(starts))
        if context:
            tokens = self._tokens_at(starts - context - 1, context)
            state = self.engine.forward(tokens, state, last_only=True)[1]
        states = _arrays(state)
        for array in states.values():
            array[:, starts == 0] = 0
        return states

    def _score_from(self, starts: NDArray[np.int64], begins: Arrays, size: int) -> _Scores:
        """Score the first ``size`` tokens of some parts from some states, on this thread."""
        sums: list[list[float]] = [[] for _ in starts]
        state = State(begins)
        # The logits of all threads together are limited.
        steps = max(1, min(CHUNK, MAX_LOGITS // (len(self.starts) * self.engine.vocabulary_size)))
        for offset in range(0, size, steps):
            count = min(steps, size - offset)
            logits, state = self.engine.forward(self._tokens_at(starts + offset - 1, count), state)
            surprisals, _ = score_logits(logits, self._tokens_at(starts + offset, count))
            for start, part_sums, column in zip(starts + offset, sums, surprisals.T, strict=True):
                # The last part may be shorter.
                part_sums.append(math.fsum(column[: max(0, len(self.tokens) - start)]))
        return _Scores([math.fsum(part_sums) for part_sums in sums], begins, _arrays(state))

    def _tokens_at(self, positions: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Return the tokens from some positions on, shape [count, positions].

        Before the text, it is the token before it, and after its end, it is the last token.
        """
        rows = positions + np.arange(count)[:, np.newaxis]
        found: NDArray[np.int64] = self.tokens[rows.clip(0, len(self.tokens) - 1)].astype(np.int64)
        found[rows < 0] = self.before
        return found


def _arrays(state: State) -> Arrays:
    """Return a copy of the arrays of a state, which an engine may have as other buffers."""
    return {name: np.array(buffer, np.float32) for name, buffer in state.buffers.items()}


def _selected(states: Arrays, parts: list[int]) -> Arrays:
    """Return a contiguous copy of the states of some parts."""
    return {name: np.ascontiguousarray(array[:, parts]) for name, array in states.items()}


def _joined(states: Sequence[Arrays]) -> Arrays:
    """Return the states of several groups of parts as one."""
    return {name: np.concatenate([state[name] for state in states], axis=1) for name in states[0]}


def _record_nats(model: Model, tokens: Tokens, end: int, threads: int) -> Iterator[float]:
    """Yield the sums of the surprisals of some records each."""
    special = model.tokenizer.special
    for start, stop in record_parts(tokens, end, MAX_RECORD_TOKENS):
        part = tokens[start:stop]
        if len(part) > MAX_RECORD_TOKENS:
            yield from _Parts.of(model.engine, special.begin or 0, part, threads).nats()
            continue
        records = [record[:-1].tolist() for record in np.split(part, record_ends(part, end)[:-1])]
        count = min(threads, MAX_RECORD_THREADS)
        with ThreadPoolExecutor(count, "textgen-scoring") as pool:
            shares = [records[i::count] for i in range(count)]
            scores = pool.map(lambda share: score_records(model.engine, share, special), shares)
            yield from (score.total_nats for score in scores)
        release_pages(tokens)
