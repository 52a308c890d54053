"""The training loop: updates, evaluations, samples and checkpoints, until the budget is used.

``train`` reads from top to bottom. What a run is, and what a checkpoint keeps of the loop, stands before it.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from textgen_runtime.corpus import CHECKPOINT_FILE, METRICS_FILE, REPORT_FILE, SAMPLES_FILE
from textgen_runtime.errors import ModelFileError, OutputError
from textgen_runtime.files import replace_file
from textgen_runtime.json_text import from_json, to_json
from textgen_runtime.model_file import MODEL_FILE, TRAINING_KEY, open_metadata

from .config import REGULARIZATION, Config, restore
from .dataset import Dataset
from .errors import LossError
from .evaluate import (
    BITS_PER_NAT,
    Evaluation,
    Learner,
    Origin,
    Sample,
    describe_training,
    draw_sample,
    open_written,
)
from .folder import write_checkpoint
from .page import References, write_report
from .progress import Display

# Evaluations take at most this share of a run, and there are so many at most. To score a token takes this
# share of the time to learn it.
EVALUATION_SHARE, MAX_EVALUATIONS, SCORING_COST = 0.03, 20, 0.4

# The first evaluation is after so many seconds, or with a budget of epochs after an epoch or this share of
# them. If it would be later than the first sample should be, there is a sample without an evaluation.
FIRST_SECONDS, FIRST_SHARE, SAMPLE_SECONDS = 2.0, 0.05, 5.0

# Training gets at least this share of a budget of minutes, even if the last evaluation then ends after it.
MIN_TRAINING_SHARE = 0.5

# How many epochs a budget of minutes gives is known after so many seconds.
MEASURED_SECONDS = 1.0

# A run stops early after this share of its budget and so many epochs, if it has learned the training text by
# heart: the loss there is below the best held-out loss, which was so many evaluations ago, and the held-out
# loss is now above it by this factor. The learning rate falls at the end, and then a small excess may
# disappear.
EARLY_SHARE, EARLY_EPOCHS, EARLY_EVALUATIONS, EARLY_FACTOR = 0.25, 3.0, 4, 1.1

# Checkpoints take at most this share of the time, and have so many seconds between them.
CHECKPOINT_SHARE, CHECKPOINT_SECONDS = 0.01, 10.0

# Training has diverged if its loss is above that of a uniform guess by so many nats per token.
DIVERGED_NATS = 0.5


@dataclass
class State:
    """What a checkpoint keeps of the loop, beside the block of the learner.

    Attributes:
        seconds: Duration of the run so far, with reading and evaluations.
        progress: The share of the budget that is used, in [0, 1].
        evaluated: The progress at the last evaluation.
        expected_epochs: The epochs that the run will have; None until they are known.
        recipe: The hyperparameters.
        evaluation_seconds: Duration of the last evaluation.
        tokens, nats, training_seconds: Since the last evaluation: learned tokens, the sum of their losses,
            and the time.
        evaluations: All evaluations so far.
        samples: Those of some evaluations, by their numbers.
        is_complete: Whether the run has ended, and all its files are written.
    """

    recipe: dict[str, Any]
    seconds: float = 0.0
    progress: float = 0.0
    evaluated: float = 0.0
    expected_epochs: float | None = None
    evaluation_seconds: float = 0.0
    tokens: float = 0.0
    nats: float = 0.0
    training_seconds: float = 0.0
    evaluations: list[Evaluation] = field(default_factory=list)
    samples: dict[int, Sample] = field(default_factory=dict)
    is_complete: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the state as a checkpoint stores it."""
        values = asdict(self)
        values["samples"] = [[number, asdict(sample)] for number, sample in self.samples.items()]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "State":
        """Return the state of the result of ``as_json``; ValueError or another error if it is none."""
        evaluations = [restore(Evaluation, evaluation) for evaluation in values["evaluations"]]
        samples = {number: restore(Sample, sample) for number, sample in values["samples"]}
        if not samples.keys() <= {*range(len(evaluations))}:
            raise ValueError("there is a sample without an evaluation")
        return restore(cls, {**values, "evaluations": evaluations, "samples": samples})


@dataclass
class Run:
    """A run.

    Attributes:
        started: When the time of a budget of minutes began, by ``perf_counter``.
        hardware: What the learner runs on, in words.
        references: The losses of simple models.
        check_interrupt: Raises KeyboardInterrupt if there was an interrupt.
        copied: At the end, the share of the model's texts that is copied, by temperature.
        best: The evaluation of the network in the model file, the best so far. It may be one at an interrupt,
            which the run that goes on does not have.
        has_sample: Whether there was a sample without an evaluation.
        saved, save_seconds: When the last checkpoint was written, and how long it took.
        failed_files: Files that could not be written.
    """

    config: Config
    dataset: Dataset
    learner: Learner
    hardware: str
    folder: Path
    origin: Origin
    state: State
    display: Display
    started: float
    references: References
    check_interrupt: Callable[[], None] = lambda: None
    copied: dict[float, float] = field(default_factory=dict)
    best: Evaluation | None = None
    has_sample: bool = False
    saved: float = 0.0
    save_seconds: float = 0.0
    failed_files: set[str] = field(default_factory=set)

    def checkpoint(self) -> dict[str, Any]:
        """Return all of the run that the block of the learner does not have, and what its text must be."""
        tokens, held_out = self.dataset.tokens, self.dataset.held_out
        return {
            # A run that is resumed keeps the precision that was measured.
            "config": {**self.config.as_json(), "precision": self.learner.precision},
            "origin": asdict(self.origin),
            "state": self.state.as_json(),
            "sha256": [self.dataset.source.sha256, held_out and held_out.sha256],
            "vocabulary": [tokens.vocabulary, tokens.special],
            "hardware": self.hardware,
        }


def train(run: Run) -> None:  # noqa: C901 (the order of what a run does, in one place)
    """Train until the budget is used, the loss only rises, or an interrupt.

    Raises:
        KeyboardInterrupt: After an interrupt. The run is saved, and the network is evaluated.
        LossError: If training has diverged. The model file has the best network so far.
        OutputError: If the model file cannot be written.
    """
    state = run.state
    try:
        if not state.evaluations and not state.progress:
            begin(run)
        elif state.tokens and is_due(run):
            # The run was saved between an update and its evaluation.
            evaluate(run)
        while state.progress < 1.0 and not overfits(run):
            update(run)
            if knows_speed(run):
                choose_regularization(run)
            if is_due(run):
                evaluate(run)
            elif needs_sample(run):
                show_sample(run)
            if must_save(run):
                save(run)
            run.check_interrupt()
        if run.best is None or state.tokens:
            evaluate(run)
    except OutputError:
        # The model file cannot be written, but perhaps the checkpoint.
        save(run)
        raise
    except KeyboardInterrupt:
        # The run goes on from here, as if there were no evaluation.
        save(run)
        if state.tokens:
            run.display.warn("interrupted; evaluating the network (press Ctrl-C again to discard it)")
            evaluate(run, is_interrupt=True)
        raise


def begin(run: Run) -> None:
    """Save the run before the first update, so that it can be resumed, and evaluate a network of --from."""
    save(run)
    if run.origin.parent is not None:
        evaluate(run)


def update(run: Run) -> None:
    """Make an update, and count it.

    Raises:
        LossError: If the loss is not finite.
    """
    started = perf_counter()
    nats = run.learner.update(run.state.progress)
    if not math.isfinite(nats):
        raise LossError(f"the loss is {nats} after update {run.learner.step}: lower the learning rates")
    advance(run, nats, perf_counter() - started)


def advance(run: Run, nats: float, seconds: float) -> None:
    """Count an update, and show the progress."""
    config, state, learner = run.config, run.state, run.learner
    tokens = run.dataset.tokens.training_tokens / learner.per_epoch
    state.tokens, state.nats = state.tokens + tokens, state.nats + tokens * nats
    state.training_seconds += seconds
    state.seconds = perf_counter() - run.started
    if config.minutes is not None:
        # The last evaluation and the last check belong to the budget.
        scoring = SCORING_COST * run.dataset.tokens.held_out_tokens / state.tokens * state.training_seconds
        budget = 60 * config.minutes
        budget = max(budget - 2 * (state.evaluation_seconds or scoring), MIN_TRAINING_SHARE * budget)
        state.progress = min(1.0, state.seconds / budget)
        left = 60 * config.minutes - state.seconds
    else:
        state.progress = min(1.0, learner.step / ((config.epochs or 1) * learner.per_epoch))
        # The time before the first update, such as that of teachers, does not come again.
        left = state.training_seconds * (1.0 - state.progress) / (state.progress - state.evaluated)
    characters = run.dataset.characters_per_token
    run.display.show(
        state.progress,
        state.nats / state.tokens / characters,
        state.tokens * characters / max(state.training_seconds, 1e-9),
        max(0.0, left),
    )


def knows_speed(run: Run) -> bool:
    """Return whether the epochs of a budget of minutes can be estimated now, and were not before."""
    state = run.state
    return (
        run.config.minutes is not None
        and state.expected_epochs is None
        and state.training_seconds >= MEASURED_SECONDS
    )


def choose_regularization(run: Run) -> None:
    """Set what acts against overfitting to the preset for the epochs that a budget of minutes gives."""
    config, state = run.config, run.state
    # Reading belongs to the budget, but its time does not come again.
    left = (1.0 - state.progress) * (state.seconds / state.progress)
    state.expected_epochs = run.learner.epoch * (1.0 + left / state.training_seconds)
    recipe = config.choose_recipe(*run.dataset.sizes, state.expected_epochs)
    state.recipe |= {name: recipe[name] for name in REGULARIZATION if name in recipe}
    run.learner.regularize(state.recipe)
    usual = config.choose_recipe()
    run.display.show_changes(state.expected_epochs, usual, state.recipe)


def is_due(run: Run) -> bool:
    """Return whether an evaluation is due. They are evenly spread over a run, but the first one is early."""
    config, state, tokens = run.config, run.state, run.dataset.tokens
    if state.progress >= 1.0:
        return True
    epochs = config.epochs or state.expected_epochs
    if epochs is None:
        return False
    learned = epochs * tokens.training_tokens
    count = EVALUATION_SHARE * learned / (SCORING_COST * tokens.held_out_tokens)
    count = max(1, min(MAX_EVALUATIONS, int(count)))
    if int(state.progress * count) > int(state.evaluated * count):
        return True
    # The first one is early, unless it would take more than its share.
    if state.evaluated or count < 2:  # noqa: PLR2004 (only the last one)
        return False
    if config.minutes is not None:
        return state.seconds >= FIRST_SECONDS
    return run.learner.step >= min(run.learner.per_epoch, FIRST_SHARE * epochs * run.learner.per_epoch)


def overfits(run: Run) -> bool:
    """Return whether the evaluations show that the rest of the run would only make the network worse."""
    config, state, best = run.config, run.state, run.best
    if best is None or config.no_early_stopping or state.evaluated < EARLY_SHARE:
        return False
    last, later = state.evaluations[-1], sum(item.step > best.step for item in state.evaluations)
    return (
        later >= EARLY_EVALUATIONS
        and last.epoch >= EARLY_EPOCHS
        and last.held_out_nats > EARLY_FACTOR * best.held_out_nats
        and (last.training_nats or math.inf) < best.held_out_nats
    )


def evaluate(run: Run, *, is_interrupt: bool = False) -> None:
    """Measure the held-out loss, write the model file if it is the best one, draw samples, and report.

    Args:
        run: The run.
        is_interrupt: Whether the run ends with an interrupt. The checkpoint is then already written.

    Raises:
        LossError: If the loss is not finite.
        OutputError: If the model file cannot be written.
    """
    state, learner, dataset = run.state, run.learner, run.dataset
    started = perf_counter()
    loss = learner.score()
    if not math.isfinite(loss):
        raise LossError(f"the held-out loss is {loss} at update {learner.step}: lower the learning rates")
    characters = state.tokens * dataset.characters_per_token
    evaluation = Evaluation(
        learner.step,
        round(learner.epoch, 3),
        round(perf_counter() - run.started, 3),
        loss,
        loss * BITS_PER_NAT,
        state.nats / characters if characters else None,
        characters / max(state.training_seconds, 1e-9) if characters else None,
    )
    is_best = run.best is None or loss < run.best.held_out_nats
    wants_sample = not run.config.no_samples
    content = learner.model(describe(run, evaluation)) if is_best or wants_sample else b""
    if is_best:
        replace_file(run.folder / MODEL_FILE, content)
        run.best = evaluation
    sample = None
    if wants_sample:
        sample = draw_sample(open_written(content), dataset, run.config.seed, len(state.evaluations))
    if sample:
        state.samples[len(state.evaluations)] = sample
    state.evaluations.append(evaluation)
    uniform = math.log(len(dataset.tokenizer))
    if state.tokens and state.nats / state.tokens > uniform + DIVERGED_NATS:
        run.display.warn(
            f"training has diverged: the loss is {state.nats / state.tokens:.2f} nats per token, and a "
            f"uniform guess has {uniform:.2f}; lower the learning rates"
        )
    state.evaluated, state.tokens, state.nats, state.training_seconds = state.progress, 0.0, 0.0, 0.0
    best = run.best
    note = "" if is_best or best is None else f"; best so far {best.held_out_nats:.4f}"
    run.display.write(f"{evaluation}{note}")
    # The first samples differ most, so only the first, second, fourth and so on are shown. A file has all.
    if sample and (len(state.evaluations).bit_count() == 1 or state.progress >= 1.0 or run.config.recipe):
        run.display.write(f"{sample}\n")
    # Not before the first evaluation, because it takes the time of the first updates.
    run.references.start()
    write_files(run, "interrupted" if is_interrupt else "running")
    state.seconds = perf_counter() - run.started
    state.evaluation_seconds = perf_counter() - started


def describe(run: Run, evaluation: Evaluation) -> str:
    """Return what the model file says of the training."""
    parts = run.config, run.dataset, run.state.recipe, run.origin, run.learner, run.hardware
    return describe_training(*parts, evaluation)


def needs_sample(run: Run) -> bool:
    """Return whether a person has waited long for a first sample, because evaluations take long."""
    state = run.state
    return not (run.has_sample or state.samples or run.config.no_samples) and state.seconds >= SAMPLE_SECONDS


def show_sample(run: Run) -> None:
    """Show what the network generates before its first evaluation."""
    run.has_sample = True
    nats = run.state.nats / max(run.state.tokens, 1.0) / run.dataset.characters_per_token
    now = Evaluation(run.learner.step, run.learner.epoch, run.state.seconds, nats, nats * BITS_PER_NAT)
    sample = draw_sample(open_written(run.learner.model(describe(run, now))), run.dataset, run.config.seed, 0)
    if sample:
        run.display.write(f"{sample}\n")


def write_files(run: Run, status: str) -> None:
    """Write the metrics, the samples and the report. A file that cannot be written is a warning."""
    state = run.state
    metrics = [
        to_json({name: value for name, value in asdict(evaluation).items() if value is not None})
        for evaluation in state.evaluations
    ]
    samples = [f"{state.evaluations[number]}\n\n{sample}\n\n" for number, sample in state.samples.items()]
    for name, write in (
        (METRICS_FILE, lambda path: replace_file(path, "".join(f"{line}\n" for line in metrics).encode())),
        (SAMPLES_FILE, lambda path: replace_file(path, "\n".join(samples).encode()) if samples else None),
        (REPORT_FILE, lambda path: write_report(run, status, path)),
    ):
        attempt(run, name, write)


def must_save(run: Run) -> bool:
    """Return whether the last checkpoint is old."""
    return perf_counter() - run.saved >= max(CHECKPOINT_SECONDS, run.save_seconds / CHECKPOINT_SHARE)


def save(run: Run) -> None:
    """Write the checkpoint. A failure is a warning."""
    started = perf_counter()
    state, block = run.checkpoint(), run.learner.save()
    attempt(run, CHECKPOINT_FILE, lambda _: write_checkpoint(run.folder, state, block))
    run.saved = perf_counter()
    run.save_seconds = run.saved - started


def attempt(run: Run, name: str, write: Callable[[Path], None]) -> None:
    """Write a file. The run goes on without it; the first of several failures is a warning."""
    try:
        write(run.folder / name)
        run.failed_files.discard(name)
    except OutputError as error:
        if name not in run.failed_files:
            run.display.warn(f"{error}; training continues")
        run.failed_files.add(name)


def read_written(folder: Path, origin: Origin) -> Evaluation | None:
    """Return the evaluation of the model file of a folder; None if it is not there, or of another run."""
    try:
        core = open_metadata((folder / MODEL_FILE).read_bytes())
        training = from_json(core.metadata(TRAINING_KEY) or "{}")
        return restore(Evaluation, training["evaluation"]) if training["run"] == origin.name else None
    except (OSError, ModelFileError, KeyError, TypeError, ValueError):
        # Whatever another program has put there.
        return None
