"""The network in training: what dropout leaves out, and what it does not."""

import pytest
import torch
from textgen_train.models.lstm import CharLSTM

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


def test_weights_that_are_dropped_learn_nothing_from_the_update() -> None:
    model = network(weight_dropout=0.5)
    logits(model).sum().backward()  # type: ignore[no-untyped-call]
    for layer in model.layers:
        untouched: dict[str, float] = {}
        for name, weight in layer.named_parameters():
            assert weight.grad is not None
            untouched[name] = float((weight.grad == 0).float().mean())
        assert 0.35 < untouched["weight_hh_l0"] < 0.65
        assert untouched["weight_ih_l0"] == 0


def test_the_same_weights_are_dropped_at_every_step() -> None:
    """Reading a text one step after the other with one draw gives what one call gives."""
    model = network(layers=1, weight_dropout=0.5)
    model.generator = torch.Generator()
    model.generator.manual_seed(3)
    combined = logits(model)
    model.generator.manual_seed(3)
    (layer,) = model.layers
    thinned = model._thinned_weights(layer)
    state = model.initial_state(2)
    rows = []
    for row in model.embedding(TOKENS):
        outputs, state = torch.func.functional_call(layer, thinned, (row[None], state))
        rows.append(model.output(outputs))
    torch.testing.assert_close(torch.cat(rows), combined)


def test_masks_come_from_the_generator_of_the_network_alone() -> None:
    model = network(dropout=0.4, input_dropout=0.3, weight_dropout=0.2)
    found = []
    for _ in range(2):
        model.generator = torch.Generator()
        model.generator.manual_seed(1)
        # Draws of anything else in the process make no difference.
        torch.rand(3)
        found.append(logits(model))
    torch.testing.assert_close(*found, atol=0, rtol=0)


def test_a_twin_shares_parameters_only_where_it_is_asked_to() -> None:
    model = network()
    model.generator = torch.Generator()
    shared, apart = model.clone(share_parameters=True), model.clone()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    model.eval(), shared.eval(), apart.eval()
    torch.testing.assert_close(logits(shared), logits(model))
    assert not torch.allclose(logits(apart), logits(model))
    assert all(a is not b for a, b in zip(shared.modules(), model.modules(), strict=True))


def test_the_state_goes_in_and_comes_out() -> None:
    model = network().eval()
    whole = logits(model)
    first, state = model(TOKENS[:9], model.initial_state(2))
    second, _ = model(TOKENS[9:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
