"""Evaluation of the current model: export, held-out loss, samples, and the file of the best model."""

import math
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from textgen_runtime.errors import ModelFileError
from textgen_runtime.files import replace_file
from textgen_runtime.model_file import MODEL_FILE
from textgen_runtime.score import BITS_PER_NAT

from textgen_train.errors import ExportError, LossError
from textgen_train.export.exporter import Exported, build_checked
from textgen_train.export.written_models import read_metadata
from textgen_train.parameters import from_plain

from .checkpoint import TrainingState
from .events import Evaluation, EvaluationHistory, Status
from .held_out_loss import held_out_loss, seconds_per_token, training_loss, training_part_length
from .samples import Samples
from .specification import RunSpecification
from .trainer import Trainer


class Evaluator:
    """Evaluates the model of a trainer and writes the best model to a file.

    An evaluation does not change the weights of the trainer.

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
        export_error: The error of the last export that failed; None without one.
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
        self.export_error: ExportError | None = None

    @property
    def files(self) -> list[str]:
        """The name of the model file if it has been written."""
        return [MODEL_FILE] * (self.best is not None)

    @property
    def history(self) -> EvaluationHistory | None:
        """All evaluations so far; None if there is none, or if the model file is missing."""
        if self.best is None or not self.evaluations:
            return None
        return EvaluationHistory(tuple(self.evaluations), tuple(self._sample_texts), self.best)

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
        """Estimate the duration of an evaluation by exporting the model and scoring a few tokens."""
        # The first export also imports and initializes libraries, which takes several times as long.
        self._export()
        started = perf_counter()
        exported = self._export()
        seconds = perf_counter() - started
        if exported:
            dataset = self._specification.dataset
            seconds += self.scored_tokens * seconds_per_token(exported.model, dataset, self._threads)
        return seconds

    def evaluate(self, status: Status) -> EvaluationHistory | None:
        """Compute the held-out loss of the model, save the model if it is the best so far, and draw samples.

        Before the first update, there is no training loss since the last evaluation, and the loss of the part
        of the training text replaces it.

        Returns:
            All evaluations so far. If the export failed, a warning was given and the result is None.

        Raises:
            LossError: If the held-out loss is NaN or infinite.
            OutputError: If the model is the best so far and cannot be written. The evaluation does not count.
        """
        exported = self._export()
        if exported is None:
            return None
        dataset, update = self._specification.dataset, status.update
        loss = held_out_loss(exported.model, dataset, self._threads)
        training_eval_nats = training_loss(exported.model, dataset, self._threads)
        evaluation = Evaluation(
            step=update.step,
            epoch=round(update.epochs, 3),
            seconds=round(update.seconds, 3),
            training_nats=status.nats if status.updates else training_eval_nats,
            held_out_nats=loss,
            bits_per_character=loss * BITS_PER_NAT,
            learning_rate=update.learning_rate,
            characters_per_second=status.speed if status.updates else None,
            training_eval_nats=training_eval_nats,
        )
        if not math.isfinite(loss):
            raise LossError(f"the held-out loss is {loss} at update {update.step}: try lower learning rates")
        if self.best is None or is_better(evaluation, self.best):
            self._write_model(exported, evaluation)
        samples = self._samples.draw(exported.model, len(self.evaluations)) if self._samples else ""
        self.evaluations.append(evaluation)
        self._sample_texts.append(samples)
        return self.history

    def keep_last(self, step: int) -> None:
        """Write the model again if its file is gone and its evaluation after this step was the last one.

        Raises:
            OutputError: If the file cannot be written.
        """
        if self.best is None and self.evaluations and self.evaluations[-1].step == step:
            exported = self._export()
            if exported:
                self._write_model(exported, self.evaluations[-1])

    def state(self) -> dict[str, Any]:
        """Return the fields of ``TrainingState`` that belong to the evaluator."""
        return {
            "evaluations": list(self.evaluations),
            "samples": list(self._sample_texts),
        }

    def restore(self, state: TrainingState) -> None:
        """Continue from a state, of which only the fields that ``state`` returns are used.

        Only a better model replaces the model file of the run in the folder. If this file is missing or
        damaged, the next evaluation writes its model.
        """
        self.evaluations, self._sample_texts = list(state.evaluations), list(state.samples)
        self.best = self._read_best()

    def _export(self) -> Exported | None:
        text = self._specification.dataset.training
        try:
            return build_checked(self._trainer.model, self._metadata, text, self._threads)
        except ExportError as error:
            # The best model so far is not affected, and the next export may succeed.
            self._warn(f"{error}; training continues")
            self.export_error = error
            return None

    def _read_best(self) -> Evaluation | None:
        """Return the evaluation of the model file; None if it is missing, damaged, or from another run."""
        try:
            training = read_metadata(self._folder / MODEL_FILE).training
            is_own = training.get("run") == self._specification.run
            return from_plain(Evaluation, training.get("evaluation")) if is_own else None
        except (ModelFileError, ValueError):
            return None

    def _write_model(self, exported: Exported, evaluation: Evaluation) -> None:
        training = self._specification.training_metadata(evaluation, self._trainer)
        content = exported.content_with(self._metadata._replace(training=training))
        replace_file(self._folder / MODEL_FILE, content)
        self.best = evaluation


def is_better(evaluation: Evaluation, best: Evaluation) -> bool:
    """Whether the model of an evaluation replaces the best model.

    A resumed run may repeat the evaluation of the best model.
    """
    is_repeated = evaluation.held_out_nats == best.held_out_nats and evaluation.step == best.step
    return evaluation.held_out_nats < best.held_out_nats or is_repeated
