"""The state of a network: its lanes, and the end of its gradients."""

import torch
from textgen_train.models.network import concatenate_lanes, copy_lanes, detach

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
