"""The result of an update of the weights."""

from dataclasses import dataclass, replace
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
        targets: Number of predicted tokens, or of their characters after ``per_character``. For
            ``ClassicTrainer``, this is the number of windows.
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
