"""The choice of the device, and networks on a GPU.

No test has a GPU. torch's device "meta" stands for one: its tensors have no values, and most operations on
tensors of different devices are an error. Another test trains on the processor, and checks that each tensor
is created on an explicit device.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import textgen_train
import torch
from textgen_train.errors import TrainingError
from textgen_train.models import network
from textgen_train.models.cells import CharLSTM
from textgen_train.models.device import choose_device, describe_device, has_bfloat16
from textgen_train.models.network import detach, dropout
from textgen_train.models.output_loss import output_loss
from textgen_train.optim import Muon
from textgen_train.recipe import ClassicRecipe, Recipe
from torch.overrides import TorchFunctionMode

from tests.helpers.training_states import CLASSIC, RECIPE, make_trainer

PACKAGE = str(Path(textgen_train.__file__).parent)
CREATORS = {torch.zeros, torch.ones, torch.empty, torch.full, torch.tensor, torch.arange, torch.eye}


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool], None]:
    def set_gpus(cuda: int, mps: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return set_gpus


@pytest.mark.parametrize(
    ("present", "name", "index", "chosen"),
    [
        ((0, False), "auto", 0, "cpu"),
        ((0, False), "auto", 3, "cpu"),
        ((0, True), "auto", 0, "mps:0"),
        ((2, True), "auto", 1, "cuda:1"),
        ((2, True), "mps", 0, "mps:0"),
        ((2, True), "cpu", 1, "cpu"),
    ],
)
def test_auto_prefers_cuda_to_mps_to_the_processor(
    gpus: Callable[[int, bool], None], present: tuple[int, bool], name: str, index: int, chosen: str
) -> None:
    gpus(*present)
    assert choose_device(name, index) == torch.device(chosen)


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_an_error(gpus: Callable[[int, bool], None], name: str) -> None:
    gpus(0, False)
    with pytest.raises(TrainingError, match=f"this machine has no {name} device .*: choose another"):
        choose_device(name)


def test_more_processes_than_gpus_are_an_error(gpus: Callable[[int, bool], None]) -> None:
    gpus(2, False)
    with pytest.raises(TrainingError, match=r"process 3 of this machine has no GPU.*start at most 2"):
        choose_device("auto", 2)


def test_a_device_is_described_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Some GPU")
    assert describe_device(torch.device("cuda", 1)) == "cuda (Some GPU)"
    assert describe_device(torch.device("cpu")) == "cpu"
    assert describe_device(torch.device("mps", 0)) == "mps"


@pytest.mark.parametrize("supported", [False, True])
def test_bfloat16_is_used_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: supported)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": supported})
    assert has_bfloat16(torch.device("cuda")) is has_bfloat16(torch.device("cpu")) is supported
    assert not has_bfloat16(torch.device("mps"))


def test_a_network_computes_gradients_and_updates_on_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor on the processor would be an error."""
    # Autocast does not know the device of this test.
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)
    model = CharLSTM(9, units=8, layers=2, embedding=4, dropout=0.2, input_dropout=0.1, weight_dropout=0.3)
    model.to("meta")
    tokens = torch.zeros(5, 3, dtype=torch.int64, device="meta")
    outputs, state = model.forward_features(tokens, model.initial_state(3))
    loss = output_loss(outputs.flatten(0, 1), model.output.weight, model.output.bias, tokens.flatten())
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    for weight, gradient in zip(model.parameters(), gradients, strict=True):
        weight.grad = gradient
    muon = Muon(model.layer_matrices, 0.1, 0.1)
    muon.step()
    results = [outputs, loss, *detach(state).values(), *gradients]
    results += [values["momentum"] for values in muon.state.values()]
    assert {result.device.type for result in results} == {"meta"}


class ExplicitDevices(TorchFunctionMode):
    """Records the calls in this package that create a tensor on the default device."""

    def __init__(self) -> None:
        super().__init__()
        self.created = 0
        self.places: list[str] = []

    def __torch_function__(self, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        caller = sys._getframe(1)
        if func in CREATORS and caller.f_code.co_filename.startswith(PACKAGE):
            self.created += 1
            if (kwargs or {}).get("device") is None:
                self.places.append(f"{caller.f_code.co_filename}:{caller.f_lineno}")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("recipe", [RECIPE, CLASSIC], ids=["default", "classic"])
def test_an_update_creates_each_tensor_on_an_explicit_device(recipe: Recipe | ClassicRecipe) -> None:
    trainer = make_trainer(recipe, 1)
    with ExplicitDevices() as mode:
        list(trainer.updates())
    assert mode.created
    assert mode.places == []


def test_masks_of_32_bit_words_have_the_same_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    """MPS draws such words. With 100,000 elements, five standard deviations are below 0.008."""
    values = torch.ones(100_001)
    monkeypatch.setitem(network.SHORT_WORDS, "cpu", torch.int32)
    kept = dropout(values, 0.3, torch.Generator().manual_seed(1))
    assert (kept == 0).float().mean().item() == pytest.approx(0.3, abs=0.008)
    assert kept.max().item() == pytest.approx(1 / 0.7, abs=1e-4)
