"""What an update of the weights did."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Update:
    """One change of the weights.

    Attributes:
        step: How many there have been, this one included.
        epochs: Passes over the text so far, with a fraction.
        seconds: Since the first one began.
        progress: How much of the budget is used up, in [0, 1].
        learning_rate: What it was made with; AdamW's where Muon has one of its own.
        characters: How many it learned to predict: one a window where it learns from windows.
        nats: Their mean loss, before the change.
        ends_epoch: Whether a pass over the text ended with it.
    """

    step: int
    epochs: float
    seconds: float
    progress: float
    learning_rate: float
    characters: int
    nats: float
    ends_epoch: bool
