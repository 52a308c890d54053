"""Dropout with a given generator, and the state of a network: its lanes, and the end of its gradients."""

import pytest
import torch
from textgen_train.models.cells import CharLSTM
from textgen_train.models.network import concatenate_lanes, copy_lanes, detach, dropout


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_elements_are_zeroed_with_the_given_probability_and_the_mean_is_kept(
    p: float, dtype: torch.dtype
) -> None:
    count = 200_001
    result = dropout(torch.ones(count, dtype=dtype), p, generator())
    assert result.dtype == dtype
    zeroed = int((result == 0).sum())
    # Five standard deviations of a binomial distribution: a correct implementation fails once in a million.
    assert abs(zeroed - p * count) < 5 * (count * p * (1 - p)) ** 0.5
    kept = result[result != 0].float()
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)), rtol=0.005, atol=0)


def test_elements_are_zeroed_independently() -> None:
    """The four elements that share a draw of 64 bits are uncorrelated."""
    kept = (dropout(torch.ones(40_000, 4), 0.5, generator()) != 0).float()
    correlations = torch.corrcoef(kept.t()) - torch.eye(4)
    # Five standard deviations.
    assert correlations.abs().max() < 5 / 40_000**0.5


def test_the_gradient_has_the_mask_of_the_forward_pass() -> None:
    values = torch.randn(7, 5, requires_grad=True)
    result = dropout(values, 0.4, generator())
    result.sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    torch.testing.assert_close(values.grad * values.detach(), result.detach())


def test_probability_zero_returns_the_input() -> None:
    values = torch.ones(20)
    assert dropout(values, 0.0, generator()) is values


@pytest.mark.parametrize("name", ["dropout", "input_dropout", "weight_dropout"])
@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_a_probability_out_of_range_is_an_error(name: str, p: float) -> None:
    with pytest.raises(ValueError, match="dropout probabilities must be in"):
        CharLSTM(7, units=4, embedding=2, **{name: p})  # type: ignore[arg-type]


STATE = {"hidden": torch.rand(2, 5, 3), "inputs_0": torch.rand(4, 5, 7)}


def test_the_lanes_of_a_state_are_copied_and_put_together_again() -> None:
    parts = [copy_lanes(STATE, slice(0, 2)), copy_lanes(STATE, slice(2, 5))]
    assert [part["inputs_0"].shape for part in parts] == [(4, 2, 7), (4, 3, 7)]
    assert all(tensor.is_contiguous() for part in parts for tensor in part.values())
    together = concatenate_lanes(parts)
    assert list(together) == list(STATE)
    for name, tensor in STATE.items():
        assert torch.equal(together[name], tensor)
        parts[0][name].zero_()
        assert together[name].all()


def test_a_detached_state_has_no_gradients_and_is_float32() -> None:
    state = {"hidden": torch.ones(1, 2, 3, dtype=torch.bfloat16, requires_grad=True) * 2}
    (tensor,) = detach(state).values()
    assert not tensor.requires_grad
    assert tensor.dtype == torch.float32
    assert (tensor == 2).all()
