"""An evaluation of the model as it stands: exported, scored, kept if it is the best, and sampled from."""

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from textgen_runtime.model_file.bundled import MODEL_FILE
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.scoring.prediction import BITS_PER_NAT
from textgen_runtime.system.files import replace_file

from textgen_train.errors import ExportError, TrainingError
from textgen_train.export.exporter import Exported, build_checked

from .eval_result import Evaluation
from .held_out_loss import held_out_loss
from .provenance import Provenance
from .samples import Samples
from .trainer import Trainer
from .watcher import Evaluated, Status

# Characters on which the first evaluation's time is estimated.
PROBE = 1024


class Evaluator:
    """Evaluates the model and keeps the best one in its file.

    It draws from no generator of the trainer and leaves the weights as they are.

    Args:
        trainer: Whose model is evaluated.
        provenance: What is known of the model's making.
        metadata: What the model file says, without the training.
        folder: Where the file goes; it must exist.
        warn: Called with a line if a model could not be exported.
        samples: What draws samples at each evaluation; None: there are none.
        threads: How many threads the exported model may use.

    Attributes:
        best: The evaluation of the model in the file; None if there is no file.
        evaluations: All so far.
        refused: Why the last export that failed did.
    """

    def __init__(  # noqa: PLR0913 (each is needed, and two have defaults)
        self,
        trainer: Trainer,
        provenance: Provenance,
        metadata: Metadata,
        folder: Path,
        warn: Callable[[str], None],
        *,
        samples: Samples | None = None,
        threads: int = 1,
    ) -> None:
        self._trainer, self._provenance, self._contract = trainer, provenance, metadata
        self._folder, self._warn, self._samples, self._threads = folder, warn, samples, threads
        self.best: Evaluation | None = None
        self.evaluations: list[Evaluation] = []
        self._texts: list[str] = []
        self.refused: ExportError | None = None

    @property
    def files(self) -> list[str]:
        """The model file's name, if there is one."""
        return [MODEL_FILE] * (self.best is not None)

    @property
    def characters(self) -> int:
        """How many an evaluation scores."""
        return len(self._provenance.dataset.held_out)

    def estimated_seconds(self) -> float:
        """About how long an evaluation takes, measured on the beginning of the held-out text."""
        dataset = self._provenance.dataset
        part = replace(dataset, held_out=dataset.held_out[:PROBE])
        started = perf_counter()
        exported = self._export()
        built = perf_counter()
        if exported:
            held_out_loss(exported.model, part)
        scoring = (perf_counter() - built) * len(dataset.held_out) / len(part.held_out)
        return built - started + scoring

    def evaluate(self, status: Status) -> Evaluated | None:
        """Score the model, keep it if it is the best, and draw samples.

        Args:
            status: Of the updates since the last evaluation.

        Returns:
            None if the exported model does not do what the trained one does, of which a warning tells.

        Raises:
            TrainingError: If the held-out loss is no longer a number.
            OutputError: If the model cannot be written.
        """
        exported = self._export()
        if exported is None:
            return None
        loss = held_out_loss(exported.model, self._provenance.dataset)
        update = status.update
        speed = {f"{status.unit}_per_second": status.speed}
        evaluation = Evaluation(
            step=update.step,
            epoch=round(update.epochs, 3),
            seconds=round(update.seconds, 3),
            training_nats=status.nats,
            held_out_nats=loss,
            bits_per_character=loss * BITS_PER_NAT,
            learning_rate=update.learning_rate,
            **speed,
        )
        best = self.best = self._best_with(exported, evaluation)
        text = self._samples.draw(exported.model) if self._samples else ""
        self.evaluations.append(evaluation)
        self._texts.append(text)
        return Evaluated(tuple(self.evaluations), tuple(self._texts), best)

    def state(self) -> dict[str, Any]:
        """The fields of ``TrainingState`` that are the evaluator's."""
        return {
            "evaluations": [asdict(evaluation) for evaluation in self.evaluations],
            "best": None if self.best is None else asdict(self.best),
            "samples": list(self._texts),
            "samples_rng": self._samples.rng_state() if self._samples else [],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state; the best model's file must be in the folder."""
        self.evaluations = [Evaluation(**evaluation) for evaluation in state["evaluations"]]
        self.best = None if state["best"] is None else Evaluation(**state["best"])
        self._texts = list(state["samples"])
        if self._samples and state["samples_rng"]:
            self._samples.restore_rng(state["samples_rng"])

    def _export(self) -> Exported | None:
        text = self._provenance.dataset.training
        try:
            return build_checked(self._trainer.model, self._contract, text, self._threads)
        except ExportError as error:
            # An earlier model is safe, and a later one may be right again.
            self._warn(f"{error}; the run goes on")
            self.refused = error
            return None

    def _best_with(self, exported: Exported, evaluation: Evaluation) -> Evaluation:
        """The best evaluation, this one included, whose model is written if it is that."""
        if not math.isfinite(evaluation.held_out_nats):
            raise TrainingError(
                f"the held-out loss is {evaluation.held_out_nats} at update {evaluation.step}: try lower "
                "learning rates"
            )
        if self.best is not None and self.best.held_out_nats <= evaluation.held_out_nats:
            return self.best
        training = self._provenance.at(evaluation, self._trainer)
        content = exported.content_with(self._contract._replace(training=training))
        replace_file(self._folder / MODEL_FILE, content)
        return evaluation
