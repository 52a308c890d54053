"""The warning when training diverges."""

import math

import pytest
from textgen_train.loop.events import START, Status
from textgen_train.report.progress import DivergenceWarning


@pytest.mark.parametrize("characters_per_token", [1.0, 4.0])
@pytest.mark.parametrize(
    ("updates", "nats_per_token", "warned"), [(50, 2.2, True), (49, 2.2, False), (50, 2.0, False)]
)
def test_divergence_is_a_loss_above_that_of_a_guess_after_some_updates(
    characters_per_token: float, updates: int, nats_per_token: float, warned: bool
) -> None:
    """The loss of a token with 7 values is 1.95 nats, and the margin is 0.1 nats per token."""
    warnings: list[str] = []
    watcher = DivergenceWarning(7, warnings.append, characters_per_token)
    nats = nats_per_token / characters_per_token
    watcher.on_evaluation_start(Status(START, updates, nats, 5000.0, "characters", 10.0))
    guess = math.log(7) / characters_per_token
    expected = f"the loss is {nats:.2f} nats, and a uniform guess has {guess:.2f} nats"
    assert [expected in warning for warning in warnings] == [True] * warned
