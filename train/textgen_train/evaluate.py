"""Evaluations of a run: the held-out loss, the model file of the best network, and samples."""

import math
import platform
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from textgen_runtime import __version__
from textgen_runtime.errors import UnknownGraphError
from textgen_runtime.json_text import to_json
from textgen_runtime.model import Batch, Model, open_model
from textgen_runtime.sampling import TEMPERATURES
from textgen_runtime.text import SEPARATORS

from .config import Config
from .dataset import Dataset
from .errors import ExportError

BITS_PER_NAT = 1.0 / math.log(2)

# Characters of a sample, and how many new records there are at each temperature, and the longest one.
SAMPLE_LENGTH, SAMPLE_RECORDS, MAX_RECORD = 200, 5, 2000

# The last check: so many tokens of the held-out text, and how much the losses of the model file and of the
# network may differ, in nats per token. Products in bfloat16 explain 0.005.
CHECKED_TOKENS, MAX_LOSS_DIFFERENCE = 10_000, 0.02
# The same for the logits of the two engines, whose products are in float32.
COMPARED_TOKENS, MAX_LOGIT_DIFFERENCE = 500, 1e-3


class Learner(Protocol):
    """What makes updates: the trainer in C, or torch. ``_core.pyx`` describes the methods."""

    parameters: int
    per_epoch: int
    step: int
    epoch: float

    @property
    def precision(self) -> str | None: ...
    def regularize(self, values: Mapping[str, Any]) -> None: ...
    def update(self, progress: float) -> float: ...
    def score(self) -> float: ...
    def score_start(self, tokens: int) -> float: ...
    def model(self, training: str) -> bytes: ...
    def save(self) -> bytes: ...


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: a line of ``metrics.jsonl``.

    Attributes:
        step: Number of updates so far.
        epoch: Number of epochs so far, which may be fractional.
        seconds: Time since the run began.
        training_nats: Mean loss per character since the evaluation before, with dropout; None at first.
        held_out_nats: Mean loss per character of the held-out text.
        bits_per_character: The same in bits.
        characters_per_second: Of training, since the evaluation before; None without updates.
    """

    step: int
    epoch: float
    seconds: float
    held_out_nats: float
    bits_per_character: float
    training_nats: float | None = None
    characters_per_second: float | None = None

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch:.1f}, {self.seconds:.0f} s: held-out loss {self.held_out_nats:.4f} nats "
            f"({self.bits_per_character:.3f} bits per character)"
        )


@dataclass(frozen=True)
class Sample:
    """What a model generates at each temperature.

    Attributes:
        prompt: The excerpt that the texts continue; empty for new records.
        texts: The text of each of ``TEMPERATURES``, without the prompt.
    """

    prompt: str
    texts: Sequence[str]

    def __str__(self) -> str:
        lines = [f"--- generating from: {self.prompt!r}" if self.prompt else "--- new records"]
        for temperature, text in zip(TEMPERATURES, self.texts, strict=True):
            lines += [f"------ temperature: {temperature}", text]
        return "\n".join(lines)


@dataclass(frozen=True)
class Origin:
    """What a run is besides its options, as a checkpoint stores it.

    Attributes:
        command: The words of the command that started the run.
        parent: What is known of the model whose weights it started from; None for random weights.
        teachers: What is known of each model from whose predictions it learns.
        name: A random name, by which a resumed run recognizes its model file.
    """

    command: Sequence[str] = ()
    parent: dict[str, Any] | None = None
    teachers: Sequence[dict[str, Any]] = ()
    name: str = field(default_factory=lambda: secrets.token_hex(8))


def describe_training(  # noqa: PLR0913, PLR0917 (each is a part of the description)
    config: Config,
    dataset: Dataset,
    recipe: dict[str, Any],
    origin: Origin,
    learner: Learner,
    hardware: str,
    evaluation: Evaluation,
) -> str:
    """Return what the metadata of a model file says of its training: JSON text of ``textgen.training``."""
    description: dict[str, Any] = {
        "corpus": dataset.source.name,
        "sha256": dataset.source.sha256,
        "characters": dataset.source.characters,
        "split": dataset.describe_split(),
        "parameters": learner.parameters,
        "run": origin.name,
        "held_out_nats": evaluation.held_out_nats,
        "evaluation": {name: value for name, value in asdict(evaluation).items() if value is not None},
        "recipe": {"name": config.recipe or "default", **recipe, "seed": config.seed},
        "budget": {"minutes": config.minutes, "epochs": config.epochs},
        "hardware": hardware,
        "versions": {"textgen-onnx": __version__, "python": platform.python_version()},
        "date": datetime.now(UTC).date().isoformat(),
    }
    if origin.parent is not None:
        description["parent"] = origin.parent
    if origin.teachers:
        description |= {"teachers": list(origin.teachers), "teacher_weight": config.weight_of_teachers}
    return to_json(description, ascii_only=False)


def open_written(content: bytes) -> Model:
    """Return the model of a file that a learner wrote, in the engine that can run it."""
    try:
        return open_model(content)
    except UnknownGraphError:
        return open_model(content, "onnxruntime")


def draw_sample(model: Model, dataset: Dataset, seed: int, number: int) -> Sample | None:
    """Return what a model generates from an excerpt of the training text, or new records.

    Args:
        model: The model.
        dataset: The dataset of its run.
        seed: Seed of the run. Each number of an evaluation has other random numbers, and another excerpt.
        number: The number of the evaluation.

    Returns:
        The sample; None if the bytes of a file that is no text have no excerpts.
    """
    batch, seed = Batch(model), (seed * 1_000_003 + number) % 2**64
    if dataset.config.records is not None:
        for i, temperature in enumerate(TEMPERATURES):
            for k in range(SAMPLE_RECORDS):
                generation = model.start(temperature=temperature, seed=seed, substream=SAMPLE_RECORDS * i + k)
                batch.add(generation, MAX_RECORD)
        texts, separator = batch.complete(), SEPARATORS[dataset.config.records]
        groups = [texts[i : i + SAMPLE_RECORDS] for i in range(0, len(texts), SAMPLE_RECORDS)]
        return Sample("", [separator.join(group) for group in groups])
    prompts = dataset.prompts
    if not prompts:
        return None
    prompt = prompts[number % len(prompts)]
    for temperature in TEMPERATURES:
        generation = model.start(prompt, temperature=temperature, seed=seed)
        batch.add(generation, math.ceil(SAMPLE_LENGTH / dataset.characters_per_token))
    return Sample(prompt, batch.complete())


def check_file(path: Path, learner: Learner, dataset: Dataset, *, is_current: bool) -> Model:
    """Check that a model file does what the network does, and that every engine agrees. Return the model.

    Args:
        path: The model file.
        learner: Its network has the weights of the file, if ``is_current``.
        dataset: The start of its held-out text is what is compared.
        is_current: Whether the file is that of the last update. Otherwise only the engines are compared.

    Raises:
        ExportError: If the losses, or the logits of the engines, differ.
    """
    import numpy as np

    content = path.read_bytes()
    model = open_written(content)
    tokens = np.array(dataset.tokens.held_out[:CHECKED_TOKENS], np.int64)
    if is_current:
        loss, expected = start_loss(model, dataset, len(tokens)), learner.score_start(len(tokens))
        if not abs(loss - expected) <= MAX_LOSS_DIFFERENCE:
            raise ExportError(
                f"{path} has a loss of {loss:.4f} nats per token, and the network {expected:.4f}"
            )
    if find_spec("onnxruntime") is None:
        # Some systems have no wheel of it. The native engine has computed the loss of the network.
        return model
    other, part = open_model(content, "onnxruntime"), tokens[:COMPARED_TOKENS, np.newaxis]
    logits = [one.engine.forward(part, one.engine.initial_state(1))[0] for one in (model, other)]
    difference = float(np.abs(logits[0] - logits[1]).max() / max(1.0, np.abs(logits[1]).max()))
    if not difference <= MAX_LOGIT_DIFFERENCE:
        raise ExportError(f"the engines compute other logits from {path}: they differ by {difference:.2g}")
    return model


def start_loss(model: Model, dataset: Dataset, count: int) -> float:
    """Return the mean loss of the tokens that ``score_start`` scores, in nats."""
    import numpy as np
    from textgen_runtime.score import score_records, surprisals

    special, tokens = dataset.tokenizer.special, np.array(dataset.tokens.held_out, np.int64)
    if special.end is None:
        return float(surprisals(model.engine, np.append(dataset.tokens.before, tokens[:count]))[0].mean())
    ends = np.flatnonzero(tokens == special.end)
    ends = ends[: int(np.searchsorted(ends, count - 1)) + 1]
    records = [record[:-1].tolist() for record in np.split(tokens[: ends[-1] + 1], ends[:-1] + 1)]
    score = score_records(model.engine, records, special)
    return score.total_nats / score.positions
