"""The losses of an exported model on the held-out text and on a part of the training text."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.model import Model
from textgen_runtime.score import score_logits, score_records

from textgen_train.data.dataset import Dataset
from textgen_train.data.tokens import Tokens, count_characters_after, record_ends, record_parts, release_pages

from .text_parts import TextParts

# Maximum number of tokens of the records that are scored together. A longer record is scored in chunks.
MAX_RECORD_TOKENS = 2**20

# Maximum number of threads for them, because each one needs its own memory for logits.
MAX_RECORD_THREADS = 4

# The maximum number of training tokens that an evaluation scores. They show the overfitting of the
# model, so fewer are sufficient than for the held-out loss.
MAX_TRAINING_TOKENS = 20_000
# Of records, they are taken from this number of positions.
TRAINING_PARTS = 20

# Number of tokens from which the duration of an evaluation is estimated.
ESTIMATE_TOKENS = 4096


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
    parts = TextParts.of(model.engine, dataset.before_held_out, dataset.held_out, threads)
    numbers = np.arange(len(parts.starts))
    firsts = parts._replace(counts=np.minimum(parts.counts, -(-ESTIMATE_TOKENS // len(numbers))))

    def seconds() -> float:
        started = perf_counter()
        if dataset.records is not None:
            held_out_loss(model, part, threads)
            count = len(part.held_out)
        else:
            firsts.run_from(parts.initial_states(len(numbers)), _Nats(dataset.held_out).add, numbers)
            count = int(firsts.counts.sum())
        return (perf_counter() - started) / count

    # The first call also starts threads and imports modules.
    return min(seconds(), seconds())


def _loss(model: Model, before: int, tokens: Tokens, threads: int) -> float:
    """Return the surprisal of tokens of a dataset per character; ``before`` is the token before a text."""
    end = model.tokenizer.special.end
    total = (
        _text_nats(model, before, tokens, threads)
        if end is None
        else math.fsum(_record_nats(model, tokens, end, threads))
    )
    return total / count_characters_after(before, tokens, model.tokenizer)


class _Nats:
    """Adds up the surprisals of the tokens of a text."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        # By the position of the first token. A part that runs again replaces its sums.
        self._sums: dict[int, float] = {}

    def add(
        self, positions: NDArray[np.int64], counts: NDArray[np.int64], logits: NDArray[np.float32]
    ) -> None:
        """Add the surprisals of tokens, of which the logits are given; see ``text_parts.Sink``."""
        places = positions + np.arange(len(logits))[:, np.newaxis]
        targets = self._tokens[places.clip(max=len(self._tokens) - 1)].astype(np.int64)
        surprisals, _ = score_logits(logits, targets)
        for position, count, column in zip(positions.tolist(), counts.tolist(), surprisals.T, strict=True):
            # The last part may be shorter.
            self._sums[position] = math.fsum(column[: max(0, count)])

    @property
    def total(self) -> float:
        """The sum of all surprisals."""
        return math.fsum(self._sums.values())


def _text_nats(model: Model, before: int, tokens: Tokens, threads: int) -> float:
    """Return the sum of the surprisals of a continuous text."""
    nats = _Nats(tokens)
    TextParts.of(model.engine, before, tokens, threads).run(nats.add)
    return nats.total


def _record_nats(model: Model, tokens: Tokens, end: int, threads: int) -> Iterator[float]:
    """Yield the sums of the surprisals of some records each."""
    special = model.tokenizer.special
    for start, stop in record_parts(tokens, end, MAX_RECORD_TOKENS):
        part = tokens[start:stop]
        if len(part) > MAX_RECORD_TOKENS:
            yield _text_nats(model, special.begin or 0, part, threads)
            continue
        records = [record[:-1].tolist() for record in np.split(part, record_ends(part, end)[:-1])]
        count = min(threads, MAX_RECORD_THREADS)
        with ThreadPoolExecutor(count, "textgen-scoring") as pool:
            shares = [records[i::count] for i in range(count)]
            scores = pool.map(lambda share: score_records(model.engine, share, special), shares)
            yield from (score.total_nats for score in scores)
        release_pages(tokens)
