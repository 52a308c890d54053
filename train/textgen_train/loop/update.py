"""The result of an update of the weights."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Update:
    """An update of the weights.

    Attributes:
        step: Number of updates so far, including this one.
        epochs: Epochs so far, with a fraction.
        seconds: Time since the first update began.
        progress: Fraction of the budget used, in [0, 1].
        learning_rate: Learning rate of this update. It is AdamW's if Muon has a separate one.
        characters: Number of targets, which is the number of windows for ``ClassicTrainer``.
        nats: Mean loss of the targets, before the update.
        ends_epoch: Whether this is the last update of an epoch.
    """

    step: int
    epochs: float
    seconds: float
    progress: float
    learning_rate: float
    characters: int
    nats: float
    ends_epoch: bool
