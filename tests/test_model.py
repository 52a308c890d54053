"""The network in training: what dropout leaves out, and what it does not."""

import pytest
import torch
from textgen_train.model import CharLSTM

TOKENS = torch.arange(40).view(20, 2) % 7


def network(layers: int = 2, **dropouts: float) -> CharLSTM:
    torch.manual_seed(0)
    return CharLSTM(7, units=12, layers=layers, embedding=5, **dropouts)


def logits(model: CharLSTM) -> torch.Tensor:
    found: torch.Tensor = model(TOKENS, model.initial_state(2))[0]
    return found


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", ["dropout", "input_dropout", "weight_dropout"])
def test_each_dropout_acts_in_training_alone(name: str, layers: int) -> None:
    plain = logits(network(layers))
    model = network(layers, **{name: 0.5})
    assert not torch.equal(logits(model), plain)
    assert not torch.equal(logits(model), logits(model))
    model.eval()
    torch.testing.assert_close(logits(model), plain)


def test_weights_that_are_left_out_learn_nothing_from_the_update() -> None:
    model = network(weight_dropout=0.5)
    logits(model).sum().backward()  # type: ignore[no-untyped-call]
    untouched: dict[str, float] = {}
    for name, weight in model.lstm.named_parameters():
        assert weight.grad is not None
        untouched[name] = float((weight.grad == 0).float().mean())
    for layer in (0, 1):
        assert 0.35 < untouched[f"weight_hh_l{layer}"] < 0.65
        assert untouched[f"weight_ih_l{layer}"] == 0


def test_the_same_weights_are_left_out_at_every_step() -> None:
    """Reading a text one step after the other with one draw gives what one call gives."""
    model = network(weight_dropout=0.5)
    torch.manual_seed(3)
    together = logits(model)
    torch.manual_seed(3)
    thinned = model._thinned_weights()
    state = model.initial_state(2)
    embedded = model.embedding(TOKENS)
    rows = []
    for row in embedded:
        outputs, state = torch.func.functional_call(model.lstm, thinned, (row[None], state))
        rows.append(model.output(outputs))
    torch.testing.assert_close(torch.cat(rows), together)


def test_the_state_goes_in_and_comes_out() -> None:
    model = network().eval()
    whole = logits(model)
    first, state = model(TOKENS[:9], model.initial_state(2))
    second, _ = model(TOKENS[9:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
