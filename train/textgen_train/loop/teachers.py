"""The predictions of trained models for the training text, from which another model learns.

G. Hinton, O. Vinyals and J. Dean, Distilling the Knowledge in a Neural Network, arXiv:1503.02531.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.engine import Engine
from textgen_runtime.errors import shorten
from textgen_runtime.results import State
from textgen_runtime.score import MAX_LANES, MAX_LOGITS, similar_lengths

from textgen_train.data.dataset import Dataset
from textgen_train.data.predictions import PredictionWriter
from textgen_train.data.tokens import record_ends, record_parts, release_pages
from textgen_train.errors import TrainingError

from .held_out_loss import MAX_RECORD_TOKENS
from .text_parts import Sink, TextParts


class Teachers:
    """Several models as one: the mean of their probabilities.

    Args:
        engines: The engine of each model, and its name in messages. All models have the same vocabulary.
    """

    def __init__(self, engines: Sequence[tuple[Engine, str]]) -> None:
        self._engines = engines
        self.vocabulary_size = engines[0][0].vocabulary_size

    def initial_state(self, batch: int = 1) -> State:
        """Return the state of all models before the first token. Each name begins with a number."""
        return _together([engine.initial_state(batch) for engine, _ in self._engines])

    def forward(
        self, tokens: NDArray[np.int64], state: State, *, last_only: bool = False
    ) -> tuple[NDArray[np.float32], State]:
        """Return the probabilities of the tokens that follow; otherwise as ``Engine.forward``.

        Raises:
            TrainingError: If a model predicts something else than numbers.
        """
        mean, states = np.zeros((), np.float32), []
        for number, (engine, name) in enumerate(self._engines):
            start = f"{number} "
            own = {key.removeprefix(start): state[key] for key in state if key.startswith(start)}
            logits, after = engine.forward(tokens, own, last_only=last_only)
            mean = mean + _softmax(logits, name) / np.float32(len(self._engines))
            states.append(after)
        return mean, _together(states)


def predict(
    teachers: Teachers,
    dataset: Dataset,
    writer: PredictionWriter,
    threads: int = 1,
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Write what models predict for each training token, given all tokens before it.

    Each record is predicted from the initial state. Nothing is written for the first token of a continuous
    text, which has nothing before it.

    Args:
        teachers: The models, with the vocabulary of the dataset.
        dataset: Its training text is predicted.
        writer: Writes the predictions.
        threads: Maximum number of threads.
        on_progress: Called with the number of tokens that were predicted since the last call, on any thread.
            It may raise, which ends the work.

    Raises:
        TrainingError: If a model predicts something else than numbers.
    """

    def sink(first: int) -> Sink:
        """Return a sink for a part of the training text that begins at this token."""

        def write(positions: NDArray[np.int64], counts: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
            for lane, (position, count) in enumerate(zip(positions.tolist(), counts.tolist(), strict=True)):
                if count > 0:
                    writer.write(first + position, rows[:count, lane])
                    on_progress(count)

        return write

    tokens, special = dataset.training, dataset.tokenizer.special
    if special.begin is None or special.end is None:
        TextParts.of(teachers, int(tokens[0]), tokens[1:], threads).run(sink(1))
        return
    for start, stop in record_parts(tokens, special.end, MAX_RECORD_TOKENS):
        part = tokens[start:stop]
        if len(part) > MAX_RECORD_TOKENS:
            TextParts.of(teachers, special.begin, part, threads).run(sink(start))
            continue
        ends = record_ends(part, special.end)
        counts = np.diff(ends, prepend=0)
        everything = TextParts(teachers, special.begin, part, ends - counts, counts, threads, special.end)
        for group in _groups(everything):
            group.run_from(group.initial_states(len(group.starts)), sink(start), np.arange(len(group.starts)))
        release_pages(tokens)


def _groups(records: TextParts) -> Iterator[TextParts]:
    """Yield groups of records of similar length."""
    limit = MAX_LOGITS // records.predictor.vocabulary_size
    lanes = max(1, min(MAX_LANES * records.threads, limit))
    for group in similar_lengths(records.counts.tolist(), lanes):
        yield records._replace(starts=records.starts[group], counts=records.counts[group])


def _together(states: Sequence[State]) -> State:
    """Return the arrays of several states in one."""
    return State({f"{number} {name}": state[name] for number, state in enumerate(states) for name in state})


def _softmax(logits: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Return the probabilities of logits of the model of this name, shape [time, batch, vocabulary]."""
    with np.errstate(invalid="ignore"):
        probabilities: NDArray[np.float32] = np.exp(logits - logits.max(axis=2, keepdims=True))
        sums = probabilities.sum(axis=2, keepdims=True)
    if not np.isfinite(sums).all():
        raise TrainingError(
            f"the model {shorten(name)} of --teacher predicts no finite numbers: train it again"
        )
    probabilities /= sums
    return probabilities
