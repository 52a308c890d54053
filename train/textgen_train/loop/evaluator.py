"""Evaluation of the current model: export, held-out loss, samples, and the file of the best model."""

import math
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from textgen_runtime.errors import ModelFileError, OutputError
from textgen_runtime.generation.loading import load
from textgen_runtime.model_file.source import MODEL_FILE
from textgen_runtime.scoring.prediction import BITS_PER_NAT
from textgen_runtime.system.files import replace_file

from textgen_train.errors import ExportError, LossError
from textgen_train.export.exporter import Exported, build_checked
from textgen_train.parameters import from_plain

from .checkpoint import TrainingState, python_rng_from_state, python_rng_state
from .events import Evaluation, EvaluationHistory, Status
from .held_out_loss import held_out_loss, training_loss, training_part_length
from .samples import Samples
from .specification import RunSpecification
from .trainer import Trainer

# Number of held-out tokens from which the duration of an evaluation is estimated.
ESTIMATE_TOKENS = 1024


class Evaluator:
    """Evaluates the model of a trainer and writes the best model to a file.

    An evaluation does not change the weights or the random generators of the trainer.

    Args:
        trainer: The trainer of the model.
        specification: The specification of the run.
        prompts: The default prompts of the model file.
        folder: Folder of the model file; it must exist.
        warn: Called with a message if an export fails.
        samples: Draws the samples; None for no samples.
        threads: Number of threads of the exported model.

    Attributes:
        best: The evaluation of the model in the model file; None if this run has written none. If the run was
            interrupted and resumed, it may be the evaluation at the interrupt.
        evaluations: All evaluations so far.
    """

    def __init__(  # noqa: PLR0913 (all are needed; two have defaults)
        self,
        trainer: Trainer,
        specification: RunSpecification,
        prompts: tuple[str, ...],
        folder: Path,
        warn: Callable[[str], None],
        *,
        samples: Samples | None = None,
        threads: int = 1,
    ) -> None:
        self._trainer, self._specification = trainer, specification
        self._metadata = specification.metadata._replace(prompts=prompts)
        self._folder, self._warn, self._samples, self._threads = folder, warn, samples, threads
        self.best: Evaluation | None = None
        self.evaluations: list[Evaluation] = []
        self._sample_texts: list[str] = []
        self._export_error: ExportError | None = None
        # The best model if it is not in the file: its evaluation and the content of its file, and the reason.
        self._unsaved: tuple[Evaluation, bytes] | None = None
        self._write_error: OutputError | None = None

    @property
    def files(self) -> list[str]:
        """The name of the model file if it has been written."""
        return [MODEL_FILE] * (self.best is not None)

    @property
    def model_error(self) -> OutputError | ExportError | None:
        """The error that keeps the best model out of the model file; None if the best model is there."""
        return self._write_error or (self._export_error if self.best is None else None)

    @property
    def characters_per_token(self) -> float:
        """Mean number of characters of a training token."""
        return self._specification.dataset.characters_per_token

    @property
    def scored_tokens(self) -> int:
        """Number of tokens that an evaluation scores, of the held-out text and of the training text."""
        dataset = self._specification.dataset
        return len(dataset.held_out) + training_part_length(dataset)

    def estimate_seconds(self) -> float:
        """Estimate the duration of an evaluation by scoring the first tokens of the held-out text."""
        dataset = self._specification.dataset
        part = dataset.first_held_out(ESTIMATE_TOKENS)
        # The first export also imports and initializes libraries, which takes several times as long.
        self._export()
        started = perf_counter()
        exported = self._export()
        export_end = perf_counter()
        if exported:
            held_out_loss(exported.model, part)
        scoring_seconds = (perf_counter() - export_end) * self.scored_tokens / len(part.held_out)
        return export_end - started + scoring_seconds

    def evaluate(self, status: Status) -> EvaluationHistory | None:
        """Compute the held-out loss of the model, save the model if it is the best so far, and draw samples.

        Before the first update, there is no training loss since the last evaluation, and the loss of the part
        of the training text replaces it. If the model file cannot be written, a warning is given. The next
        evaluation tries again.

        Returns:
            All evaluations so far. If the export failed, a warning was given and the result is None.

        Raises:
            LossError: If the held-out loss is NaN or infinite.
        """
        exported = self._export()
        if exported is None:
            return None
        loss = held_out_loss(exported.model, self._specification.dataset)
        update = status.update
        training_eval_nats = training_loss(exported.model, self._specification.dataset)
        speed = {f"{status.unit}_per_second": status.speed} if status.updates else {}
        evaluation = Evaluation(
            step=update.step,
            epoch=round(update.epochs, 3),
            seconds=round(update.seconds, 3),
            training_nats=status.nats if status.updates else training_eval_nats,
            held_out_nats=loss,
            bits_per_character=loss * BITS_PER_NAT,
            learning_rate=update.learning_rate,
            training_eval_nats=training_eval_nats,
            **speed,
        )
        best = self._keep_best(exported, evaluation)
        samples = self._samples.draw(exported.model) if self._samples else ""
        self.evaluations.append(evaluation)
        self._sample_texts.append(samples)
        return EvaluationHistory(tuple(self.evaluations), tuple(self._sample_texts), best)

    def state(self) -> dict[str, Any]:
        """Return the fields of ``TrainingState`` that belong to the evaluator."""
        return {
            "evaluations": list(self.evaluations),
            "samples": list(self._sample_texts),
            "samples_rng": python_rng_state(self._samples.rng) if self._samples else [],
        }

    def restore(self, state: TrainingState) -> None:
        """Continue from a state, of which only the fields that ``state`` returns are used.

        Only a better model replaces the model file of the run in the folder. If this file is missing or
        damaged, the next evaluation writes its model.
        """
        if self._samples and state.samples_rng:
            self._samples.rng = python_rng_from_state(state.samples_rng)
        self.evaluations, self._sample_texts = list(state.evaluations), list(state.samples)
        self.best = self._read_best()

    def _export(self) -> Exported | None:
        text = self._specification.dataset.training
        try:
            return build_checked(self._trainer.model, self._metadata, text, self._threads)
        except ExportError as error:
            # The best model so far is not affected, and the next export may succeed.
            self._warn(f"{error}; training continues")
            self._export_error = error
            return None

    def _read_best(self) -> Evaluation | None:
        """Return the evaluation of the model file; None if it is missing, damaged, or from another run."""
        try:
            training = load(self._folder / MODEL_FILE).training
            is_own = training.get("run") == self._specification.run
            return from_plain(Evaluation, training.get("evaluation")) if is_own else None
        except (ModelFileError, ValueError):
            return None

    def _keep_best(self, exported: Exported, evaluation: Evaluation) -> Evaluation:
        """Write the model if it is the best so far. Return the evaluation of the best model."""
        if not math.isfinite(evaluation.held_out_nats):
            raise LossError(
                f"the held-out loss is {evaluation.held_out_nats} at update {evaluation.step}: try lower "
                "learning rates"
            )
        best = self._unsaved[0] if self._unsaved else self.best
        if best is None or _is_better(evaluation, best):
            training = self._specification.training_metadata(evaluation, self._trainer)
            self._unsaved = (evaluation, exported.content_with(self._metadata._replace(training=training)))
            best = evaluation
        if self._unsaved:
            self._write_model(*self._unsaved)
        return best

    def _write_model(self, evaluation: Evaluation, content: bytes) -> None:
        try:
            replace_file(self._folder / MODEL_FILE, content)
        except OutputError as error:
            if self.best is not None and _is_repeated(evaluation, self.best):
                # The file already has this model.
                self._unsaved = None
                return
            if self._write_error is None:
                self._warn(f"{error}; training continues, and the next evaluation tries again")
            self._write_error = error
        else:
            self.best, self._unsaved, self._write_error = evaluation, None, None


def _is_better(evaluation: Evaluation, best: Evaluation) -> bool:
    """Whether the model of an evaluation replaces the best model.

    A resumed run may repeat the evaluation of the best model.
    """
    return evaluation.held_out_nats < best.held_out_nats or _is_repeated(evaluation, best)


def _is_repeated(evaluation: Evaluation, best: Evaluation) -> bool:
    """Whether an evaluation repeats that of the best model, so that both are of the same model."""
    return evaluation.held_out_nats == best.held_out_nats and evaluation.step == best.step
