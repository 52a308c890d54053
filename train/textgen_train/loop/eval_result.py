"""What an evaluation found."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Evaluation:
    """One line of ``metrics.jsonl``.

    Attributes:
        step: Updates of the weights so far.
        epoch: Passes over the training text so far, with a fraction.
        seconds: Since training began, evaluations included.
        training_nats: Mean loss a character since the evaluation before, under the dropout of the recipe, so
            that it can be above the held-out loss, for which nothing is left out.
        held_out_nats: Mean loss a character of the held-out text.
        bits_per_character: The same in bits.
        learning_rate: Of the last update; AdamW's where Muon has one of its own.
        characters_per_second: Trained on since the evaluation before; None where it learns from windows.
        windows_per_second: The same in windows, each with one character to predict; None where it does not.
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

    def as_json(self) -> dict[str, float]:
        """What is known of it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def describe(evaluation: Evaluation) -> str:
    """An evaluation in one line."""
    return (
        f"epoch {evaluation.epoch:.1f}, {evaluation.seconds:.0f} s: held out "
        f"{evaluation.held_out_nats:.4f} nats ({evaluation.bits_per_character:.3f} bits a character), "
        f"training {evaluation.training_nats:.4f}"
    )
