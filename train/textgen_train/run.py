"""A training run: the loop, watched, evaluated now and then, and the best model always in its file."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from textgen_runtime.atomic import replace_file
from textgen_runtime.contract import Contract

from .errors import ExportError, TrainingError
from .eval_schedule import EvalSchedule
from .evaluation import bits, held_out_loss
from .exporter import Exported, build_checked
from .loop.trainer import Trainer
from .loop.update import Update
from .progress import Progress, clock
from .provenance import Provenance
from .report import MODEL_FILE, Evaluation, Report, describe
from .samples import sample_text
from .since_evaluation import SinceEvaluation

OWN_PROMPTS = 8

# Characters on which the first evaluation's time is estimated.
PROBE = 1024

# After so many updates, a loss above that of guessing by so many nats means that training has diverged.
UPDATES_TO_LEARN_SOMETHING = 50
DIVERGED_BY = 0.1


class TrainingRun:
    """Runs a trainer and leaves the best model, figures, samples and curves in a folder.

    Args:
        trainer: What trains.
        provenance: What is known of the model's making.
        folder: Where the files go; it must exist.
        progress: What to show it on.
        samples: Whether to write samples at each evaluation.
        threads: How many threads evaluations and samples may use.
    """

    def __init__(  # noqa: PLR0913 (each is needed, and two have defaults)
        self,
        trainer: Trainer,
        provenance: Provenance,
        folder: Path,
        progress: Progress,
        *,
        samples: bool = True,
        threads: int = 1,
    ) -> None:
        self._trainer, self._provenance = trainer, provenance
        self._folder, self._progress, self._samples, self._threads = folder, progress, samples, threads
        dataset = provenance.dataset
        self._randomness = random.Random(provenance.seed)
        prompts = tuple(dataset.snippet(self._randomness) for _ in range(OWN_PROMPTS))
        self._contract = Contract(dataset.vocabulary, dataset.normalization, prompts)
        self._report = Report(
            folder, f"{provenance.corpus.name}, {trainer.model.parameter_count:,} parameters"
        )
        self._schedule = EvalSchedule(
            trainer.budget, trainer.updates_an_epoch, trainer.characters_an_epoch, len(dataset.held_out)
        )
        self.best: Evaluation | None = None
        # The update that the report ends with.
        self._reported = 0
        self._refused: ExportError | None = None
        self._diverged = False

    @property
    def files(self) -> list[str]:
        """Names of the files that are in the folder and up to date."""
        return [MODEL_FILE] * (self.best is not None) + self._report.files

    def run(self, check_interrupt: Callable[[], None] = lambda: None) -> None:
        """Train until the budget is used up.

        Args:
            check_interrupt: Called before the first update, and after each update and its evaluation; it may
                raise KeyboardInterrupt.

        Raises:
            KeyboardInterrupt: If interrupted. The model as it stands is evaluated first, and the best model
                is in its file then.
            TrainingError: If the loss is no longer a number; an earlier model is in its file then.
            OutputError: If the model cannot be written.
            ExportError: If at the end no exported model did what the trained one does; one that does not is
                warned of, and the run goes on.
        """
        since = SinceEvaluation()
        try:
            if self._trainer.budget.minutes is not None:
                self._estimate_evaluation()
            check_interrupt()
            since = SinceEvaluation()
            for update in self._trainer.updates():
                since.add(update)
                self._progress.show(update.progress, self._status(update, since))
                if self._schedule.is_due(update):
                    self._evaluate(update, since)
                    since = SinceEvaluation()
                check_interrupt()
            if since.last is not None:
                # The time ran out between an update and the next.
                self._evaluate(since.last, since)
        except KeyboardInterrupt:
            if since.last is not None and since.last.step != self._reported:
                self._progress.warn(
                    "interrupted; scoring and saving the model first (press Ctrl-C again to discard it)"
                )
                self._evaluate(since.last, since)
            raise
        finally:
            self._progress.close()
        if self.best is None and self._refused is not None:
            raise self._refused

    def _status(self, update: Update, since: SinceEvaluation) -> str:
        """A line for the progress display: loss, speed, time left."""
        left = clock(self._schedule.seconds_left(update))
        return f"{since.nats:.3f} nats  {since.speed:,.0f} {self._trainer.unit}/s  {left} left"

    def _estimate_evaluation(self) -> None:
        """Estimate how long an evaluation takes, on the beginning of the held-out text."""
        dataset = self._provenance.dataset
        part = replace(dataset, held_out=dataset.held_out[:PROBE])
        started = perf_counter()
        exported = self._export()
        built = perf_counter()
        if exported:
            held_out_loss(exported.model, part)
        scoring = (perf_counter() - built) * len(dataset.held_out) / len(part.held_out)
        self._expect_evaluation(built - started + scoring)

    def _expect_evaluation(self, seconds: float) -> None:
        """Keep as much of the budget for the last evaluation as this one took."""
        self._schedule.evaluation_seconds = self._trainer.reserved_seconds = seconds

    def _evaluate(self, update: Update, since: SinceEvaluation) -> None:
        """Score the model, keep it if it is the best, and report."""
        speed = {f"{self._trainer.unit}_per_second": since.speed}
        started = perf_counter()
        self._warn_if_diverged(since)
        exported = self._export()
        if exported:
            loss = held_out_loss(exported.model, self._provenance.dataset)
            evaluation = Evaluation(
                step=update.step,
                epoch=round(update.epochs, 3),
                seconds=round(update.seconds, 3),
                training_nats=since.nats,
                held_out_nats=loss,
                bits_per_character=bits(loss),
                learning_rate=update.learning_rate,
                **speed,
            )
            self._keep_if_best(exported, evaluation)
            self._write_report(evaluation, self._sample(exported))
        seconds = perf_counter() - started
        self._schedule.evaluated(update, seconds)
        self._expect_evaluation(seconds)

    def _warn_if_diverged(self, since: SinceEvaluation) -> None:
        guessing = math.log(len(self._contract.vocabulary))
        # On a text without any pattern a healthy loss stands just above that of guessing.
        diverged = since.updates >= UPDATES_TO_LEARN_SOMETHING and since.nats > guessing + DIVERGED_BY
        if diverged and not self._diverged:
            self._progress.warn(
                f"training has diverged: try lower learning rates (its loss is {since.nats:.2f} nats, and "
                f"guessing costs {guessing:.2f})"
            )
        self._diverged = diverged

    def _export(self) -> Exported | None:
        text = self._provenance.dataset.training
        try:
            return build_checked(self._trainer.model, self._contract, text, self._threads)
        except ExportError as error:
            # An earlier model is safe, and a later one may be right again.
            self._progress.warn(f"{error}; the run goes on")
            self._refused = error
            return None

    def _keep_if_best(self, exported: Exported, evaluation: Evaluation) -> None:
        if not math.isfinite(evaluation.held_out_nats):
            raise TrainingError(
                f"the held-out loss is {evaluation.held_out_nats} at update {evaluation.step}: try lower "
                "learning rates"
            )
        if self.best is None or evaluation.held_out_nats < self.best.held_out_nats:
            training = self._provenance.at(evaluation, self._trainer)
            content = exported.content_with(replace(self._contract, training=training))
            replace_file(self._folder / MODEL_FILE, content)
            self.best = evaluation

    def _sample(self, exported: Exported) -> str:
        if not self._samples:
            return ""
        prompt = self._provenance.dataset.snippet(self._randomness)
        return sample_text(exported.model, prompt, self._randomness.getrandbits(32))

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
