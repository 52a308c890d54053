"""Training with the predictions of trained models beside the text: ``--teacher``."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any

from textgen_runtime.corpus import PREDICTIONS_FILES, PREDICTIONS_ID
from textgen_runtime.errors import ModelFileError, Name, shorten
from textgen_runtime.files import replacing_file
from textgen_runtime.model import Model, open_model
from textgen_runtime.model_file import MODEL_FILE, find_model_file, read_model
from textgen_runtime.terminal import print_diagnostic, write_stderr
from textgen_runtime.tokenizer import BYTE, format_symbols

from textgen_train.data.dataset import Dataset
from textgen_train.data.predictions import Form, PredictionWriter, identify, map_predictions, read_predictions
from textgen_train.errors import RecipeError, TrainingError
from textgen_train.loop.output_folder import check_room_for_predictions
from textgen_train.loop.ranks import Ranks
from textgen_train.options import PROG, RunOptions

from ._process import deferred_interrupts
from ._texts import SECONDS_BETWEEN_LINES, SECONDS_TO_FIRST_LINE

if TYPE_CHECKING:
    from textgen_train.loop.specification import RunSpecification
    from textgen_train.loop.trainer import Trainer


@dataclass(frozen=True)
class Teacher:
    """A trained model from whose predictions a run learns.

    Attributes:
        source: A model file, a folder that holds one, or the name of a bundled model.
    """

    source: str
    sha256: str
    model: Model

    @property
    def path(self) -> Path:
        """The model file."""
        return Path(find_model_file(self.source))

    @property
    def origin(self) -> dict[str, Any]:
        """What a model file states of a model from which it learned: its name, without other folders."""
        path, training = Path(self.source), self.model.training
        name = "/".join(path.parts[-2:]) if path.name == MODEL_FILE else path.name
        known = {key: training.get(key) for key in ("run", "held_out_nats")}
        return {"source": name, "sha256": self.sha256, **known}

    def check(self, options: RunOptions) -> None:
        """Raise TrainingError if this model reads other texts than the run."""
        metadata, normalization = self.model.metadata, options.normalization
        level = metadata.tokenizer.level
        pairs: dict[str, tuple[object, object]] = {
            "level": (level, options.level),
            "records": (metadata.records, options.records),
        }
        if level != BYTE:
            pairs["lowercase"] = metadata.normalization.lowercase, normalization.lowercase
            pairs["unicode"] = metadata.normalization.unicode, normalization.unicode
        for name, (own, wanted) in pairs.items():
            if own != wanted:
                raise TrainingError(
                    f"the model {shorten(self.source)} was trained with another ",
                    Name(name),
                    f" than this run: {_setting(own)}, not {_setting(wanted)}; both need the same",
                )

    def check_vocabulary(self, dataset: Dataset) -> None:
        """Raise TrainingError if this model has another vocabulary than the dataset."""
        own, wanted = self.model.tokenizer, dataset.tokenizer
        if own == wanted:
            return
        # Special tokens have no symbol.
        symbols, others = {*own.symbols, ""}, {*wanted.symbols, ""}
        parts = [
            f"only {owner} has {format_symbols(sorted(rest))}"
            for owner, rest in (("the model", symbols - others), ("the text", others - symbols))
            if rest
        ]
        difference = " and ".join(parts) or "the symbols have another order, or other special tokens"
        raise TrainingError(
            f"the model {shorten(self.source)} has another vocabulary than the text: {difference}; train it "
            "on the same text with the same options"
        )


def _setting(value: object) -> str:
    return {True: "yes", False: "no", None: "none"}.get(value, str(value))  # type: ignore[call-overload, no-any-return]


def read_teachers(options: RunOptions) -> list[Teacher]:
    """Read the models of ``--teacher``; none without this option.

    Raises:
        ModelFileError: If a file cannot be read or is damaged.
    """
    teachers = []
    for source in options.teachers or ():
        content = read_model(source)
        try:
            model = open_model(content)
        except ModelFileError as error:
            raise ModelFileError(f"{shorten(source)}: ", *error.args) from None
        teachers.append(Teacher(source, hashlib.sha256(content).hexdigest(), model))
    return teachers


def reread_teachers(options: RunOptions, origins: Sequence[Mapping[str, Any]]) -> list[Teacher]:
    """Read the models of a run again, whose predictions are missing.

    Args:
        options: The options of the run.
        origins: What was known of each model when the run began.

    Raises:
        TrainingError: If a file is not the one of the run.
        ModelFileError: As for ``read_teachers``.
    """
    missing = "the predictions of the run are missing or damaged"
    remedy = ("; restore it, or start the run again with ", Name("overwrite"))
    try:
        teachers = read_teachers(options)
    except ModelFileError as error:
        raise ModelFileError(
            f"{missing}, so the run needs the models of --teacher: ", *error.args, *remedy
        ) from None
    for teacher, origin in zip(teachers, origins, strict=True):
        if teacher.sha256 != origin["sha256"]:
            raise TrainingError(
                f"{missing}, and the model {shorten(teacher.source)} of --teacher has changed: its "
                f"SHA-256 is {teacher.sha256[:12]}..., not {origin['sha256'][:12]}...",
                *remedy,
            )
    write_stderr(f"{missing}: computing them again\n")
    return teachers


def check_processes(options: RunOptions, ranks: Ranks) -> None:
    """Raise RecipeError if a run with teachers has several processes."""
    if options.teachers and ranks.size > 1:
        raise RecipeError(Name("teachers"), " is only for a run in one process: start it without torchrun")


def form_of(dataset: Dataset) -> Form:
    """Return how predictions for the training text are stored."""
    return Form(len(dataset.training), len(dataset.tokenizer))


def describe_teachers(options: RunOptions, origins: Sequence[Mapping[str, Any]], dataset: Dataset) -> str:
    """Return a line with the models, and the size of their predictions; "" without models."""
    if not options.teachers:
        return ""
    names = [
        shorten(source) + _describe_loss(origin)
        for source, origin in zip(options.teachers, origins, strict=True)
    ]
    form = form_of(dataset)
    return (
        f"learning from {' and '.join(names)}, weight {options.weight_of_teachers:g}; predictions of "
        f"{form.total_bytes / 1e6:,.1f} MB, {form.total_bytes // form.length} bytes per training token\n"
    )


def _describe_loss(origin: Mapping[str, Any]) -> str:
    loss = origin.get("held_out_nats")
    return f" (held-out loss {loss:.4f} nats)" if isinstance(loss, float) else ""


def teach(
    trainer: "Trainer",
    specification: "RunSpecification",
    folder: Path,
    read: Callable[[], Sequence[Teacher]],
) -> Path | None:
    """Let a trainer learn from the predictions of the models of ``--teacher``, if there are any.

    Predictions in the output folder are used again if they are of the same models and of the same text.
    Otherwise ``read`` returns the models, and they are computed. Those of other runs stay.

    Returns:
        The file of the predictions; None without models.

    Raises:
        KeyboardInterrupt: If interrupted; no file has then changed.
        OutputError: If the predictions cannot be stored.
        TrainingError: If a model predicts something else than numbers, or as for ``read``.
    """
    if not specification.teachers:
        return None
    dataset = specification.dataset
    form = form_of(dataset)
    identity = identify(form, [origin["sha256"] for origin in specification.teachers], dataset.training)
    path = folder / PREDICTIONS_FILES.replace(PREDICTIONS_ID, identity[:16])
    predictions = read_predictions(path, form, identity)
    if predictions is None:
        check_room_for_predictions(folder, form.total_bytes)
        _compute(path, dataset, read(), identity, specification.threads)
        predictions = map_predictions(path, form)
    trainer.learn_from(predictions, specification.options.weight_of_teachers)
    return path


def _compute(path: Path, dataset: Dataset, teachers: Sequence[Teacher], identity: str, threads: int) -> None:
    """Write the predictions of models to a file."""
    from textgen_train.loop.teachers import Teachers, predict

    form = form_of(dataset)
    try:
        with deferred_interrupts() as interrupts, replacing_file(path) as file:
            progress = PredictionProgress(form.length, interrupts.check)
            writer = PredictionWriter(file, form, identity)
            predict(
                Teachers([(teacher.model.engine, teacher.source) for teacher in teachers]),
                dataset,
                writer,
                threads,
                progress.add,
            )
            writer.finish()
            interrupts.check()
    except KeyboardInterrupt:
        print_diagnostic(PROG, "the predictions of --teacher are not complete", "interrupted")
        raise
    progress.finish()


class PredictionProgress:
    """Shows how much of the training text has been predicted. Less than two seconds show nothing.

    Args:
        tokens: Number of tokens of the text.
        check_interrupt: Raises KeyboardInterrupt once if the user wants to end the run.
    """

    def __init__(self, tokens: int, check_interrupt: Callable[[], None]) -> None:
        self._tokens, self._check_interrupt = tokens, check_interrupt
        self._started = perf_counter()
        self._next_line = SECONDS_TO_FIRST_LINE
        self._done, self._is_interrupted = 0, False
        self._lock = Lock()

    def add(self, count: int) -> None:
        """Count tokens, on any thread.

        Raises:
            KeyboardInterrupt: If interrupted, on each thread.
        """
        with self._lock:
            try:
                self._check_interrupt()
            except KeyboardInterrupt:
                self._is_interrupted = True
            if self._is_interrupted:
                raise KeyboardInterrupt
            self._done += count
            seconds = perf_counter() - self._started
            if seconds >= self._next_line:
                self._next_line = seconds + SECONDS_BETWEEN_LINES
                # Tokens that are predicted twice count twice.
                share = min(1.0, self._done / self._tokens)
                write_stderr(f"predicting the training text: {share:.0%} in {seconds:.0f} s\n")

    def finish(self) -> None:
        """Show the total."""
        seconds = perf_counter() - self._started
        if seconds >= SECONDS_TO_FIRST_LINE:
            write_stderr(f"predicted the training text in {seconds:.1f} s\n")
