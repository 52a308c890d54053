"""Dropout from a generator of one's own."""

import pytest
import torch
from textgen_train.models._dropout import dropout
from textgen_train.models.lstm import CharLSTM


def generator(seed: int = 0) -> torch.Generator:
    made = torch.Generator()
    made.manual_seed(seed)
    return made


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_share_is_dropped_and_the_mean_stays(share: float, dtype: torch.dtype) -> None:
    count = 200_001
    found = dropout(torch.ones(count, dtype=dtype), share, generator())
    assert found.dtype == dtype
    dropped = int((found == 0).sum())
    # Five standard deviations of a binomial: one correct implementation in a million fails.
    assert abs(dropped - share * count) < 5 * (count * share * (1 - share)) ** 0.5
    kept = found[found != 0].float()
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - share)), rtol=0.005, atol=0)


def test_elements_are_dropped_independently() -> None:
    """All four elements that share a draw of 64 bits, too."""
    kept = (dropout(torch.ones(40_000, 4), 0.5, generator()) != 0).float()
    correlations = torch.corrcoef(kept.t()) - torch.eye(4)
    # Five standard deviations.
    assert correlations.abs().max() < 5 / 40_000**0.5


def test_the_gradient_passes_where_values_do() -> None:
    values = torch.randn(7, 5, requires_grad=True)
    found = dropout(values, 0.4, generator())
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    torch.testing.assert_close(values.grad * values.detach(), found.detach())


def test_a_seed_gives_the_same_mask_again() -> None:
    values = torch.ones(100)
    assert torch.equal(dropout(values, 0.5, generator(3)), dropout(values, 0.5, generator(3)))
    assert not torch.equal(dropout(values, 0.5, generator(3)), dropout(values, 0.5, generator(4)))


def test_nothing_is_dropped_at_zero() -> None:
    values = torch.ones(20)
    assert dropout(values, 0.0, generator()) is values


@pytest.mark.parametrize("name", ["dropout", "input_dropout", "weight_dropout"])
@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_an_error(name: str, share: float) -> None:
    with pytest.raises(ValueError, match="dropout shares must be in"):
        CharLSTM(7, units=4, embedding=2, **{name: share})  # type: ignore[arg-type]
