"""Teachers: trained models from whose predictions a run also learns.

G. Hinton, O. Vinyals and J. Dean, Distilling the Knowledge in a Neural Network, arXiv:1503.02531, at
temperature 1.

What the models predict for the training text is computed once, before the run, and stored in a file of the
output folder, which a resumed run reads again. Row i of an array is for token i: the probabilities given all
tokens before it, in units of 1 / 65535. With a large vocabulary, a row has the most likely tokens only. A
row of zeros states nothing.
"""

import contextlib
import hashlib
import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.corpus import PREDICTIONS_FILE
from textgen_runtime.errors import ModelFileError, Name, shorten
from textgen_runtime.files import replacing_file
from textgen_runtime.model import Model, open_model
from textgen_runtime.model_file import MODEL_FILE, read_model
from textgen_runtime.results import State
from textgen_runtime.tokenizer import format_symbols

from .config import Config
from .dataset import Dataset
from .errors import TrainingError

# The largest vocabulary of which all probabilities are stored, and how many are stored of a larger one.
MAX_COMPLETE, LIKELIEST = 256, 64

# The text is predicted in lanes. Each reads so many tokens before its own, which lead to its state.
LANES, CONTEXT = 64, 256

# Tokens that a lane is predicted at a time, as far as so many logits fit into memory.
STEPS, MAX_LOGITS = 256, 2**22


@dataclass(frozen=True)
class Teacher:
    """A trained model.

    Attributes:
        source: Where its file was read from.
    """

    source: str
    model: Model

    @property
    def origin(self) -> dict[str, Any]:
        """What a model file states of a model from which it learned: its name, without other folders."""
        path, training = Path(self.source), self.model.training
        name = "/".join(path.parts[-2:]) if path.name == MODEL_FILE else path.name
        nats = training.get("held_out_nats")
        return {"source": name, "sha256": self.model.sha256, "held_out_nats": nats}


def read_teachers(config: Config, dataset: Dataset) -> list[Teacher]:
    """Read the models of a run.

    Raises:
        ModelFileError: If a file cannot be read or is damaged.
        TrainingError: If a model reads other texts than the run, or has another vocabulary.
    """
    teachers = []
    for source in config.teachers or ():
        try:
            model = open_model(read_model(source))
        except ModelFileError as error:
            raise ModelFileError(f"{shorten(source)}: ", *error.args) from None
        own, wanted = model.tokenizer, dataset.tokenizer
        symbols, others = {*own.symbols, ""}, {*wanted.symbols, ""}
        if (own.level, own.special, own.symbols) != (wanted.level, wanted.special, wanted.symbols):
            parts = [
                f"only {owner} has {format_symbols(sorted(rest))}"
                for owner, rest in (("the model", symbols - others), ("the text", others - symbols))
                if rest
            ]
            difference = " and ".join(parts) or "other levels, records or special tokens"
            raise TrainingError(
                f"the model {shorten(source)} of ",
                Name("teachers"),
                f" has another vocabulary than the text: {difference}; train it on the same text with the "
                "same options",
            )
        teachers.append(Teacher(source, model))
    return teachers


class Predictions:
    """The predictions for the training text of a run, in a file that is mapped to memory.

    Args:
        folder: The output folder.
        dataset: The dataset of the run.
        hashes: SHA-256 of each model.

    Attributes:
        columns: Number of stored probabilities for each token of the text.
        size: Bytes of the file.
    """

    def __init__(self, folder: Path, dataset: Dataset, hashes: Sequence[str]) -> None:
        self._path, self._dataset = folder / PREDICTIONS_FILE, dataset
        self.rows, vocabulary = dataset.tokens.training_tokens, len(dataset.tokenizer)
        self.columns = vocabulary if vocabulary <= MAX_COMPLETE else LIKELIEST
        self._is_complete = self.columns == vocabulary
        self._kind = np.min_scalar_type(vocabulary - 1)
        identity = [dataset.tokens.sha256, dataset.tokens.vocabulary, str(dataset.config.held_out), *hashes]
        # The trainer needs the arrays after it at aligned addresses.
        self._line = f"{hashlib.sha256(chr(10).join(identity).encode()).hexdigest():71}\n".encode()
        self._cells = self.rows * self.columns
        self.size = len(self._line) + self._cells * (2 if self._is_complete else 2 + self._kind.itemsize)

    def read(self) -> tuple[memoryview, memoryview | None] | None:
        """Return the shares, and their tokens unless each row has all; None if there is no such file."""
        try:
            with self._path.open("rb") as file:
                content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError):
            # An empty file cannot be mapped.
            return None
        start = len(self._line)
        if len(content) != self.size or bytes(content[:start]) != self._line:
            return None
        end = start + 2 * self._cells
        return content[start:end], None if self._is_complete else content[end:]

    def write(self, models: Sequence[Model], on_progress: Callable[[float], None]) -> None:
        """Compute the predictions: the mean of the models' probabilities.

        Args:
            models: The models, with the vocabulary of the dataset.
            on_progress: Called with the share that is done. It may raise, and then there is no file.

        Raises:
            TrainingError: If a model predicts something else than numbers.
            OutputError: If the file cannot be written.
        """
        with replacing_file(self._path) as file:
            file.write(self._line)
            file.truncate(self.size)
            self._predict(models, file, on_progress)

    def _predict(
        self,
        models: Sequence[Model],
        file: BinaryIO,
        on_progress: Callable[[float], None],
    ) -> None:
        special = self._dataset.tokenizer.special
        text = np.asarray(self._dataset.tokens.training)
        lanes = min(LANES, max(1, self.rows // (4 * CONTEXT)))
        size = -(-self.rows // lanes)
        starts = np.arange(lanes) * size
        # The first token of a continuous text has nothing before it, and is predicted from itself.
        before = int(text[0]) if special.begin is None else special.begin
        # Each record begins with a token that no text has, and models start there from the initial state.
        steps = max(1, min(STEPS, MAX_LOGITS // (lanes * len(self._dataset.tokenizer))))
        states = [model.engine.initial_state(lanes) for model in models]
        for step in range(-CONTEXT, size, steps):
            count = min(steps, size - step)
            places = starts + step + np.arange(count)[:, np.newaxis]
            inputs = np.where(
                places > 0, text[np.clip(places - 1, 0, self.rows - 1)].astype(np.int64), before
            )
            if special.end is not None:
                inputs[inputs == special.end] = before
            # A record does not know those before it, and a text has nothing before its first token.
            resets = places == 1 if special.begin is None else inputs == special.begin
            mean = np.zeros((), np.float32)
            for number, model in enumerate(models):
                rows, states[number] = self._forward(model, inputs, states[number], resets)
                mean = mean + rows / np.float32(len(models))
            for lane in range(lanes):
                first, last = max(0, -step), min(count, size - step, self.rows - int(starts[lane]) - step)
                if first < last:
                    self._store(int(starts[lane]) + step + first, mean[first:last, lane], file)
            on_progress((step + CONTEXT) / (size + CONTEXT))
        if special.begin is None:
            self._store(0, np.zeros((1, len(self._dataset.tokenizer)), np.float32), file)

    def _forward(
        self, model: Model, inputs: NDArray[np.int64], state: State, resets: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], State]:
        """Return the probabilities after some tokens, shape [time, lanes, vocabulary], and the last state."""
        parts = []
        cuts = [0, *(np.flatnonzero(resets[1:].any(axis=1)) + 1), len(inputs)]
        for first, last in pairwise(cuts):
            for array in map(np.asarray, state.values()):
                array[:, resets[first]] = 0
            logits, state = model.engine.forward(inputs[first:last], state)
            state = State({name: np.array(array, np.float32) for name, array in state.items()})
            parts.append(np.array(logits, np.float32))
        rows = np.concatenate(parts)
        with np.errstate(invalid="ignore"):
            rows -= rows.max(axis=2, keepdims=True)
            np.exp(rows, out=rows)
            rows /= rows.sum(axis=2, keepdims=True)
        if not np.isfinite(rows).all():
            raise TrainingError(
                "a model of ", Name("teachers"), " predicts no finite numbers: train it again"
            )
        return rows, state

    def _store(self, place: int, rows: NDArray[np.float32], file: BinaryIO) -> None:
        start, cell = len(self._line), place * self.columns
        if not self._is_complete:
            likeliest = np.argpartition(rows, -LIKELIEST, axis=1)[:, -LIKELIEST:]
            file.seek(start + 2 * self._cells + cell * self._kind.itemsize)
            file.write(likeliest.astype(self._kind).tobytes())
            rows = np.take_along_axis(rows, likeliest, axis=1)
        file.seek(start + 2 * cell)
        file.write(np.rint(rows * 65535).astype(np.uint16).tobytes())

    def remove(self) -> None:
        """Remove the file, which a complete run does not need."""
        # Windows does not remove a file that is mapped to memory.
        with contextlib.suppress(OSError):
            self._path.unlink()
