"""The losses of an exported model on the held-out text and on a part of the training text."""

import math
from collections.abc import Iterator

import numpy as np
from textgen_runtime.engines.base import Engine
from textgen_runtime.generation.model import Model
from textgen_runtime.scoring.surprisals import score_records, surprisal_chunks

from textgen_train.data.dataset import Dataset
from textgen_train.data.tokens import Tokens, count_characters_after, record_ends, record_parts, release_pages

# Maximum number of tokens of the records that are scored together. A longer record is scored in chunks.
MAX_RECORD_TOKENS = 2**20

# The maximum number of training tokens that an evaluation scores. They show the overfitting of the
# model, so fewer are sufficient than for the held-out loss.
MAX_TRAINING_TOKENS = 20_000
# Of records, they are taken from this number of positions.
TRAINING_PARTS = 20


def held_out_loss(model: Model, dataset: Dataset) -> float:
    """Return the mean negative log-likelihood of the held-out text, in nats per character.

    It is the sum over all tokens, divided by the number of their characters, so that levels can be compared.
    The end of a record counts as one character. A text is one lane: each token is predicted once, and the
    state is carried from the first to the last. Each record starts from the initial state. The loss is
    computed by the engine of the exported model, so it is the loss that users of the file get. For a single
    lane the native engine is several times faster than torch.

    The vocabulary of the model must be that of the dataset.
    """
    return _loss(model, dataset.before_held_out, dataset.held_out)


def training_loss(model: Model, dataset: Dataset) -> float:
    """Return the mean negative log-likelihood of a part of the training text, in nats per character.

    It is computed like ``held_out_loss``. The part is the end of the training text. It is as long as the
    held-out text, but has at most 20,000 tokens. Of records, the part is evenly spread over all of them,
    because the end of a sorted list differs from the rest. The difference of both losses shows how much the
    model is overfitted.
    """
    if dataset.records is not None:
        return _loss(model, dataset.before_held_out, _spread_records(dataset))
    start = len(dataset.training) - training_part_length(dataset)
    return _loss(model, int(dataset.training[start - 1]), dataset.training[start:])


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


def _loss(model: Model, before: int, tokens: Tokens) -> float:
    """Return the surprisal of tokens of a dataset per character; ``before`` is the token before a text."""
    end = model.tokenizer.special.end
    totals = _text_nats(model.engine, before, tokens) if end is None else _record_nats(model, tokens, end)
    return math.fsum(totals) / count_characters_after(before, tokens, model.tokenizer)


def _text_nats(engine: Engine, before: int, tokens: Tokens) -> Iterator[float]:
    """Yield the sums of the surprisals of the parts of a text."""
    for surprisals, _ in surprisal_chunks(engine, np.array([before]), tokens[:, np.newaxis]):
        yield math.fsum(surprisals[:, 0])
    release_pages(tokens)


def _record_nats(model: Model, tokens: Tokens, end: int) -> Iterator[float]:
    """Yield the sums of the surprisals of some records each."""
    special = model.tokenizer.special
    for start, stop in record_parts(tokens, end, MAX_RECORD_TOKENS):
        part = tokens[start:stop]
        if len(part) > MAX_RECORD_TOKENS:
            yield from _text_nats(model.engine, special.begin or 0, part)
            continue
        records = [record[:-1].tolist() for record in np.split(part, record_ends(part, end)[:-1])]
        yield score_records(model.engine, records, special).total_nats
        release_pages(tokens)
