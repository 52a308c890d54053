"""A training run: the loop, watched, evaluated now and then, and the best model always in its file."""

import math
import random
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from textgen_runtime.atomic import replace_file
from textgen_runtime.contract import Contract

from .errors import ExportError, TrainingError
from .evaluation import bits, nats_per_character
from .exporter import Exported, build_checked
from .progress import Progress
from .provenance import Provenance
from .report import MODEL_FILE, Evaluation, Report, describe
from .samples import sample_text
from .since_evaluation import SinceEvaluation
from .trainer import Trainer, Update

OWN_PROMPTS = 8

# Characters on which the first evaluation's time is estimated.
PROBE = 1024


class TrainingRun:
    """Runs a trainer and leaves the best model, figures, samples and curves in a folder.

    Args:
        trainer: What trains.
        provenance: What is known of the model's making.
        folder: Where the files go; it must exist.
        progress: What to show it on.
        samples: Whether to write samples at each evaluation.
    """

    def __init__(
        self,
        trainer: Trainer,
        provenance: Provenance,
        folder: Path,
        progress: Progress,
        *,
        samples: bool = True,
    ) -> None:
        self._trainer, self._provenance, self._budget = trainer, provenance, trainer.budget
        self._folder, self._progress, self._samples = folder, progress, samples
        self._randomness = random.Random(provenance.seed)
        self._prompts = tuple(provenance.dataset.snippet(self._randomness) for _ in range(OWN_PROMPTS))
        self._report = Report(
            folder, f"{provenance.corpus.name}, {trainer.model.parameter_count:,} parameters"
        )
        self.best: Evaluation | None = None
        # The update that the report ends with.
        self._reported = 0

    @property
    def files(self) -> list[str]:
        """Names of the files that are in the folder and up to date."""
        return [MODEL_FILE] * (self.best is not None) + self._report.files

    def run(self, check_interrupt: Callable[[], None] = lambda: None) -> None:
        """Train until the budget is used up.

        Args:
            check_interrupt: Called after each update and evaluation; it may raise KeyboardInterrupt.

        Raises:
            KeyboardInterrupt: If interrupted. The model as it stands is evaluated first, and the best model
                is in its file then.
            TrainingError: If the loss is no longer a number; an earlier model is in its file then.
            OutputError: If the model cannot be written.
            ExportError: If the first exported model does not do what the trained one does; later, when an
                earlier one is in its file, that is only warned of.
        """
        if self._budget.minutes is not None:
            self._trainer.reserved_seconds = self._scoring_seconds()
        since = SinceEvaluation()
        try:
            for update in self._trainer.updates():
                since.add(update)
                self._progress.show(
                    update.progress, since.status(self._budget, self._trainer.reserved_seconds)
                )
                if since.is_due(update, self._budget, self._trainer.reserved_seconds):
                    self._evaluate(update, since)
                    since = SinceEvaluation()
                check_interrupt()
            if since.last is not None:
                # The time ran out between an update and the next.
                self._evaluate(since.last, since)
        except KeyboardInterrupt:
            if since.last is not None and since.last.step != self._reported:
                self._progress.warn(
                    "interrupted; scoring and saving the model first (once more to let it go)"
                )
                self._evaluate(since.last, since)
            raise
        finally:
            self._progress.close()

    def _scoring_seconds(self) -> float:
        """About how long scoring the held-out text takes, measured on its beginning."""
        dataset = self._provenance.dataset
        piece = dataset.held_out[:PROBE]
        started = perf_counter()
        nats_per_character(self._trainer.model, dataset.before_held_out, piece)
        return (perf_counter() - started) * len(dataset.held_out) / len(piece)

    def _evaluate(self, update: Update, since: SinceEvaluation) -> None:
        """Score the model, keep it if it is the best, and report."""
        speed = since.characters_per_second
        started = perf_counter()
        dataset = self._provenance.dataset
        held_out_nats = nats_per_character(self._trainer.model, dataset.before_held_out, dataset.held_out)
        if not math.isfinite(held_out_nats):
            raise TrainingError(
                f"the held-out loss is {held_out_nats} at update {update.step}: try lower learning rates"
            )
        evaluation = Evaluation(
            step=update.step,
            epoch=round(update.epochs, 3),
            seconds=round(update.seconds, 3),
            training_nats=since.nats / since.characters,
            held_out_nats=held_out_nats,
            bits_per_character=bits(held_out_nats),
            learning_rate=update.learning_rate,
            characters_per_second=speed,
        )
        training = self._provenance.at(evaluation, self._trainer.model.parameter_count)
        contract = Contract(dataset.vocabulary, dataset.normalization, self._prompts, training)
        exported = self._export(contract)
        if exported and (self.best is None or held_out_nats < self.best.held_out_nats):
            replace_file(self._folder / MODEL_FILE, exported.content)
            self.best = evaluation
        samples = ""
        if exported and self._samples:
            prompt = dataset.snippet(self._randomness)
            samples = sample_text(exported.model, prompt, self._randomness.getrandbits(32))
        self._write_report(evaluation, samples)
        # The last evaluation takes about as long as this one and belongs to the budget.
        self._trainer.reserved_seconds = perf_counter() - started

    def _export(self, contract: Contract) -> Exported | None:
        try:
            return build_checked(self._trainer.model, contract)
        except ExportError as error:
            if self.best is None:
                raise
            # An earlier model is safe, and a later one may be right again.
            self._progress.warn(str(error))
            return None

    def _write_report(self, evaluation: Evaluation, samples: str) -> None:
        self._reported = evaluation.step
        for error in self._report.add(evaluation, samples):
            # The model is what the time was spent on; it is not given up for a picture.
            self._progress.warn(f"{error}; the model is safe")
        best = self.best
        better = f"; the best is {best.held_out_nats:.4f}" if best and best is not evaluation else ""
        self._progress.write(f"{describe(evaluation)}{better}")
        if samples:
            self._progress.write(f"{samples}\n")
