"""What happens in a training run: updates and evaluations, and the watchers that receive them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Self


@dataclass(frozen=True)
class Update:
    """An update of the weights.

    Attributes:
        step: Number of updates so far, including this one.
        epochs: Number of epochs so far, which may be fractional.
        seconds: Time since the first update began.
        progress: Fraction of the budget used, in [0, 1].
        learning_rate: Learning rate of this update. With Muon, this is the learning rate of AdamW.
        targets: Number of predicted tokens, or of their characters after ``per_character``.
        nats: Mean loss per target, in nats, before the update.
        ends_epoch: Whether this is the last update of an epoch.
    """

    step: int
    epochs: float
    seconds: float
    progress: float
    learning_rate: float
    targets: float
    nats: float
    ends_epoch: bool

    def per_character(self, characters_per_token: float) -> Self:
        """Return this update with its targets and its loss counted in characters, given their mean number."""
        targets, nats = self.targets * characters_per_token, self.nats / characters_per_token
        return replace(self, targets=targets, nats=nats)


# Stands for the state before the first update.
START = Update(
    step=0, epochs=0.0, seconds=0.0, progress=0.0, learning_rate=0.0, targets=0, nats=0.0, ends_epoch=False
)


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation: one line of ``metrics.jsonl``.

    Attributes:
        step: Number of updates so far.
        epoch: Number of epochs so far, which may be fractional.
        seconds: Time since training began, including the evaluations before this one.
        training_nats: Mean training loss per character since the previous evaluation. With dropout it can be
            higher than the held-out loss, which is computed without dropout. Without an update since then,
            ``training_eval_nats``.
        held_out_nats: Mean loss per character of the held-out text.
        bits_per_character: ``held_out_nats`` in bits.
        learning_rate: Learning rate of the last update. With Muon, this is the learning rate of AdamW.
        characters_per_second: Number of predicted characters per second since the previous evaluation; None
            without an update since then. Each window of the classic recipe has one.
        training_eval_nats: Mean loss per character of a part of the training text, computed like
            ``held_out_nats``: by the evaluated model, without dropout.
    """

    step: int
    epoch: float
    seconds: float
    training_nats: float
    held_out_nats: float
    bits_per_character: float
    learning_rate: float
    training_eval_nats: float
    characters_per_second: float | None = None

    def as_json(self) -> dict[str, float]:
        """Return all fields except those that are None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def describe(evaluation: Evaluation) -> str:
    """Return an evaluation as one line of text."""
    return (
        f"epoch {evaluation.epoch:.1f}, {evaluation.seconds:.0f} s: held-out loss "
        f"{evaluation.held_out_nats:.4f} nats ({evaluation.bits_per_character:.3f} bits per character), "
        f"training loss {evaluation.training_eval_nats:.4f}"
    )


@dataclass(frozen=True)
class Status:
    """The progress of training after an update. The totals are those since the last evaluation.

    Attributes:
        update: The last update.
        updates: Number of updates.
        targets: Number of targets in these updates.
        total_nats: Sum of the losses of these targets, in nats.
        seconds: Time from the evaluation to the last update.
        seconds_left: Estimated time until the end of the run, in seconds.
    """

    update: Update = START
    updates: int = 0
    targets: float = 0.0
    total_nats: float = 0.0
    seconds: float = 0.0
    seconds_left: float = 0.0

    @property
    def nats(self) -> float:
        """Mean training loss per target, in nats."""
        return self.total_nats / max(self.targets, 1)

    @property
    def speed(self) -> float:
        """Targets per second."""
        return self.targets / max(self.seconds, 1e-9)

    def after(self, update: Update, seconds: float, seconds_left: float) -> "Status":
        """Return the status after another update. The last two arguments are fields of it."""
        return Status(
            update=update,
            updates=self.updates + 1,
            targets=self.targets + update.targets,
            total_nats=self.total_nats + update.targets * update.nats,
            seconds=seconds,
            seconds_left=seconds_left,
        )


@dataclass(frozen=True)
class EvaluationHistory:
    """All evaluations of a run so far.

    Attributes:
        evaluations: All evaluations in order. The last one is new.
        samples: The samples of each evaluation; "" if none were drawn.
        best: The best evaluation so far. Its model is in the model file.
    """

    evaluations: Sequence[Evaluation]
    samples: Sequence[str]
    best: Evaluation


class Watcher:
    """Base class of watchers. A training run calls the methods, which do nothing in this class.

    A watcher must not change the weights of the trainer. It should warn instead of raising, because an
    exception ends the run. All methods may call ``TrainingRun.state``, but ``on_end`` only if
    ``TrainingRun.is_complete``. A run that is restored from the result continues exactly as the observed run
    does.

    Attributes:
        files: Names of the files in the output folder that this watcher has written and keeps up to date.
    """

    files: Sequence[str] = ()

    def on_start(self) -> None:
        """Handle the start of a new or resumed run, before its first update.

        This method may raise ``OutputError``. The run then ends without an update.
        """

    def on_update(self, status: Status) -> None:
        """Handle an update of the weights. An evaluation may follow."""

    def on_evaluation_start(self, status: Status) -> None:
        """Handle the start of an evaluation."""

    def on_evaluation(self, history: EvaluationHistory) -> None:
        """Handle the end of an evaluation. The model file already contains the best model."""

    def on_interrupt(self, status: Status | None) -> None:
        """Handle an interrupt. If it occurred during an update, no state is available.

        Args:
            status: Progress since the last evaluation; an additional evaluation follows. None if there was no
                update since then.
        """

    def on_complete(self) -> None:
        """Handle the end of the budget. The model file contains the best model. ``on_end`` follows.

        This method may raise ``OutputError``. The run is then not complete, and a resumed run calls it again.
        """

    def on_end(self) -> None:
        """Handle the end of the run, including an end by an error or interrupt. No other call follows."""
