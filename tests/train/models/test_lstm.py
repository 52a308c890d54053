"""CharLSTM: dropout, DropConnect, copies and the carried state."""

import pytest
import torch
from textgen_train.models.lstm import CharLSTM

TOKENS = torch.arange(40).view(20, 2) % 7


def network(layers: int = 2, **dropouts: float) -> CharLSTM:
    torch.manual_seed(0)
    return CharLSTM(7, units=12, layers=layers, embedding=5, **dropouts)


def logits(model: CharLSTM) -> torch.Tensor:
    result: torch.Tensor = model(TOKENS, model.initial_state(2))[0]
    return result


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", ["dropout", "input_dropout", "weight_dropout"])
def test_each_dropout_acts_only_in_training_mode(name: str, layers: int) -> None:
    expected = logits(network(layers))
    model = network(layers, **{name: 0.5})
    assert not torch.equal(logits(model), expected)
    assert not torch.equal(logits(model), logits(model))
    model.eval()
    torch.testing.assert_close(logits(model), expected)


def test_dropped_recurrent_weights_have_a_zero_gradient() -> None:
    model = network(weight_dropout=0.5)
    logits(model).sum().backward()  # type: ignore[no-untyped-call]
    for layer in model.layers:
        zero_fraction: dict[str, float] = {}
        for name, weight in layer.named_parameters():
            assert weight.grad is not None
            zero_fraction[name] = float((weight.grad == 0).float().mean())
        assert 0.35 < zero_fraction["weight_hh_l0"] < 0.65
        assert zero_fraction["weight_ih_l0"] == 0


def test_the_drop_connect_mask_is_constant_over_time_steps() -> None:
    """One call over the sequence equals single steps with one mask."""
    model = network(layers=1, weight_dropout=0.5)
    model.generator = torch.Generator()
    model.generator.manual_seed(3)
    combined = logits(model)
    model.generator.manual_seed(3)
    (layer,) = model.layers
    weights = model._drop_connect(layer)
    state = tuple(model.initial_state(2).values())
    rows = []
    for row in model.embedding(TOKENS):
        outputs, state = torch.func.functional_call(layer, weights, (row[None], state))
        rows.append(model.output(outputs))
    torch.testing.assert_close(torch.cat(rows), combined)


def test_masks_depend_only_on_the_generator_of_the_network() -> None:
    model = network(dropout=0.4, input_dropout=0.3, weight_dropout=0.2)
    results = []
    for _ in range(2):
        model.generator = torch.Generator()
        model.generator.manual_seed(1)
        # A draw from torch's global generator.
        torch.rand(3)
        results.append(logits(model))
    torch.testing.assert_close(*results, atol=0, rtol=0)


def test_a_clone_shares_parameters_only_on_request() -> None:
    model = network()
    model.generator = torch.Generator()
    shared, separate = model.clone(share_parameters=True), model.clone()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    model.eval(), shared.eval(), separate.eval()
    torch.testing.assert_close(logits(shared), logits(model))
    assert not torch.allclose(logits(separate), logits(model))
    assert all(a is not b for a, b in zip(shared.modules(), model.modules(), strict=True))


def test_the_state_carries_over_between_calls() -> None:
    model = network().eval()
    expected = logits(model)
    first, state = model(TOKENS[:9], model.initial_state(2))
    second, _ = model(TOKENS[9:], state)
    torch.testing.assert_close(torch.cat([first, second]), expected)
