"""The networks of all cells: their definitions, dropout, copies and the carried state."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from textgen_train.models.cells import CELLS, CYCLE, CharConv, GatedConv, RecurrentNetwork
from textgen_train.models.network import CharNetwork, concatenate_lanes, copy_lanes

TOKENS = torch.arange(40).view(20, 2) % 7
Array = NDArray[np.float64]

each_cell = pytest.mark.parametrize("cell", CELLS)
each_recurrent_cell = pytest.mark.parametrize("cell", ["lstm", "gru"])


def network(cell: str, layers: int = 2, *, residual: bool = False, **dropouts: Any) -> CharNetwork:
    torch.manual_seed(0)
    return CELLS[cell](7, units=12, layers=layers, embedding=5, residual=residual, **dropouts)


def logits(model: CharNetwork) -> torch.Tensor:
    result: torch.Tensor = model(TOKENS, model.initial_state(2))[0]
    return result


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def weights_of(layer: torch.nn.Module) -> list[Array]:
    return [weight.detach().double().numpy() for weight in layer.parameters()]


def lstm_layer(layer: torch.nn.Module, inputs: Sequence[Array]) -> list[Array]:
    input_weights, recurrent_weights, input_bias, recurrent_bias = weights_of(layer)
    hidden = cell = np.zeros((inputs[0].shape[0], recurrent_weights.shape[1]))
    outputs = []
    for values in inputs:
        sums = values @ input_weights.T + input_bias + hidden @ recurrent_weights.T + recurrent_bias
        i, f, g, o = np.split(sums, 4, axis=1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        outputs.append(hidden)
    return outputs


def gru_layer(layer: torch.nn.Module, inputs: Sequence[Array]) -> list[Array]:
    input_weights, recurrent_weights, input_bias, recurrent_bias = weights_of(layer)
    hidden = np.zeros((inputs[0].shape[0], recurrent_weights.shape[1]))
    outputs = []
    for values in inputs:
        r, z, n = np.split(values @ input_weights.T + input_bias, 3, axis=1)
        recurrent_r, recurrent_z, recurrent_n = np.split(
            hidden @ recurrent_weights.T + recurrent_bias, 3, axis=1
        )
        update = sigmoid(z + recurrent_z)
        candidate = np.tanh(n + sigmoid(r + recurrent_r) * recurrent_n)
        hidden = (1 - update) * candidate + update * hidden
        outputs.append(hidden)
    return outputs


def conv_layer(layer: torch.nn.Module, inputs: Sequence[Array]) -> list[Array]:
    assert isinstance(layer, GatedConv)
    weights, bias = weights_of(layer)
    outputs = []
    for time, newer in enumerate(inputs):
        older = inputs[time - layer.dilation] if time >= layer.dilation else np.zeros_like(newer)
        filters, gates = np.split(np.concatenate([older, newer], axis=1) @ weights.T + bias, 2, axis=1)
        outputs.append(np.tanh(filters) * sigmoid(gates))
    return outputs


DEFINITIONS = {"lstm": lstm_layer, "gru": gru_layer, "conv": conv_layer}


@each_cell
@pytest.mark.parametrize("residual", [False, True])
@torch.no_grad()
def test_a_network_computes_its_definition(cell: str, residual: bool) -> None:
    model = network(cell, layers=3, residual=residual)
    outputs = list(model.embedding(TOKENS).double().numpy())
    for index, layer in enumerate(model.layers):
        inputs = outputs
        outputs = DEFINITIONS[cell](layer, inputs)
        if residual and index > 0:
            outputs = [output + below for output, below in zip(outputs, inputs, strict=True)]
    features, _ = model.forward_features(TOKENS, model.initial_state(2))
    np.testing.assert_allclose(features.numpy(), np.stack(outputs), atol=1e-5)


@each_cell
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", ["dropout", "input_dropout", "weight_dropout"])
def test_each_dropout_acts_only_in_training_mode(cell: str, name: str, layers: int) -> None:
    if (cell, name) == ("conv", "weight_dropout"):
        with pytest.raises(ValueError, match="no recurrent weights"):
            network(cell, layers, weight_dropout=0.5)
        return
    expected = logits(network(cell, layers))
    dropouts: dict[str, Any] = {name: 0.5}
    model = network(cell, layers, **dropouts)
    assert not torch.equal(logits(model), expected)
    assert not torch.equal(logits(model), logits(model))
    model.eval()
    torch.testing.assert_close(logits(model), expected)


@each_recurrent_cell
def test_dropped_recurrent_weights_have_a_zero_gradient(cell: str) -> None:
    model = network(cell, weight_dropout=0.5)
    logits(model).sum().backward()  # type: ignore[no-untyped-call]
    for layer in model.layers:
        zero_fraction: dict[str, float] = {}
        for name, weight in layer.named_parameters():
            assert weight.grad is not None
            zero_fraction[name] = float((weight.grad == 0).float().mean())
        assert 0.35 < zero_fraction["weight_hh_l0"] < 0.65
        assert zero_fraction["weight_ih_l0"] == 0


@each_recurrent_cell
def test_the_drop_connect_mask_is_constant_over_time_steps(
    cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call over the sequence equals single steps with one mask."""
    model = network(cell, layers=1, weight_dropout=0.5)
    assert isinstance(model, RecurrentNetwork)
    model.generator = torch.Generator()
    model.generator.manual_seed(3)
    combined = logits(model)
    model.generator.manual_seed(3)
    mask = model._drop_connect(model.layers[0])
    monkeypatch.setattr(model, "_drop_connect", lambda _: mask)
    rows, state = [], model.initial_state(2)
    for tokens in TOKENS:
        row, state = model(tokens[None], state)
        rows.append(row)
    torch.testing.assert_close(torch.cat(rows), combined)


@each_cell
def test_a_clone_shares_parameters_only_on_request(cell: str) -> None:
    model = network(cell)
    model.generator = torch.Generator()
    shared, separate = model.clone(share_parameters=True), model.clone()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    model.eval(), shared.eval(), separate.eval()
    torch.testing.assert_close(logits(shared), logits(model))
    assert not torch.allclose(logits(separate), logits(model))
    assert all(a is not b for a, b in zip(shared.modules(), model.modules(), strict=True))


@each_cell
def test_the_state_carries_over_between_calls(cell: str) -> None:
    model = network(cell, layers=4, residual=True).eval()
    expected = logits(model)
    # A call may be shorter than the dilation of a convolution.
    parts: list[torch.Tensor] = []
    state = model.initial_state(2)
    for length in (1, 9, 3, 7):
        start = sum(len(part) for part in parts)
        part, state = model(TOKENS[start : start + length], state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts), expected)


@each_cell
def test_the_lanes_of_a_state_are_independent(cell: str) -> None:
    model = network(cell, layers=3).eval()
    _, state = model.forward_features(TOKENS, model.initial_state(2))
    expected, _ = model(TOKENS, state)
    lanes = [copy_lanes(state, slice(lane, lane + 1)) for lane in range(2)]
    swapped, _ = model(TOKENS.flip(1), concatenate_lanes([lanes[1], lanes[0]]))
    torch.testing.assert_close(swapped.flip(1), expected)


@each_cell
def test_training_runs_in_bfloat16(cell: str) -> None:
    """Processors with hardware support use it. Gradients stay in float32."""
    dropouts: dict[str, Any] = {"dropout": 0.1} if cell == "conv" else {"dropout": 0.1, "weight_dropout": 0.1}
    model = network(cell, residual=True, **dropouts)
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        outputs, _ = model.forward_features(TOKENS, model.initial_state(2))
    outputs.float().sum().backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None for weight in model.layers.parameters())


def test_dilations_double_and_begin_again() -> None:
    model = CharConv(7, units=4, layers=CYCLE + 2, embedding=3)
    dilations = [len(rows) for rows in model.initial_state(1).values()]
    assert dilations == [*(2**i for i in range(CYCLE)), 1, 2]
