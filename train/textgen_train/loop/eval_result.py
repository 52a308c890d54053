"""The results of an evaluation."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation: one line of ``metrics.jsonl``.

    Attributes:
        step: Number of updates so far.
        epoch: Number of epochs so far, which may be fractional.
        seconds: Time since training began, including the evaluations before this one.
        training_nats: Mean training loss per character since the previous evaluation. With dropout it can be
            higher than the held-out loss, which is computed without dropout. Before the first update,
            ``training_eval_nats``.
        held_out_nats: Mean loss per character of the held-out text.
        bits_per_character: ``held_out_nats`` in bits.
        learning_rate: Learning rate of the last update. With Muon, this is the learning rate of AdamW.
        characters_per_second: Training speed since the previous evaluation; None for ``ClassicTrainer``, and
            before the first update.
        windows_per_second: Training speed of ``ClassicTrainer``, in windows with one target each; else None.
        training_eval_nats: Mean loss per character of a part of the training text, computed like
            ``held_out_nats``: by the evaluated model, without dropout. None in metrics of older versions.
    """

    step: int
    epoch: float
    seconds: float
    training_nats: float
    held_out_nats: float
    bits_per_character: float
    learning_rate: float
    characters_per_second: float | None = None
    windows_per_second: float | None = None
    training_eval_nats: float | None = None

    def as_json(self) -> dict[str, float]:
        """Return all fields except those that are None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def describe(evaluation: Evaluation) -> str:
    """Return an evaluation as one line of text."""
    return (
        f"epoch {evaluation.epoch:.1f}, {evaluation.seconds:.0f} s: held-out loss "
        f"{evaluation.held_out_nats:.4f} nats ({evaluation.bits_per_character:.3f} bits per character), "
        f"training loss {evaluation.training_nats:.4f}"
    )
