"""Export: the model file gives the same results as the trained network."""

import math
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_train
import torch
from numpy.typing import NDArray
from textgen_runtime.engine import Engine
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.onnxruntime import OnnxEngine
from textgen_runtime.results import State
from textgen_train.errors import ExportError
from textgen_train.export import exporter
from textgen_train.export.layer_weights import network_and_weights
from textgen_train.models.cells import CELLS
from textgen_train.models.network import CharNetwork

METADATA = Metadata(make_tokenizer("character", "\n abcdefg"), prompts=("abc",), training={"corpus": "none"})


def network(
    *, cell: str = "lstm", layers: int = 1, units: int = 12, seed: int = 0, residual: bool = False
) -> CharNetwork:
    torch.manual_seed(seed)
    model = CELLS[cell](9, units=units, layers=layers, embedding=5, dropout=0.3, residual=residual)
    # Larger than the initial weights, so that errors in state and gates change the logits.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("layers", "residual"), [(1, False), (2, False), (3, True)])
@torch.no_grad()
def test_the_exported_model_equals_torch_step_by_step(
    cell: str, layers: int, residual: bool, tmp_path: Path
) -> None:
    model = network(cell=cell, layers=layers, residual=residual)
    path = tmp_path / "model.onnx"
    exported = textgen_train.export_onnx(model, METADATA, path)
    assert path.read_bytes() == exported.content
    onnx.checker.check_model(onnx.load(path), full_check=True)
    assert exported.largest_difference < 1e-5
    assert exported.model.training == {"corpus": "none"}
    engine = exported.model.engine
    assert engine.name.startswith("native" if cell == "lstm" else "onnxruntime")
    model.eval()
    tokens = np.random.default_rng(3).integers(9, size=(200, 3))
    state, torch_state = engine.initial_state(3), model.initial_state(3)
    for row in tokens[:, np.newaxis]:
        logits, state = engine.forward(row, state)
        expected, torch_state = model(torch.from_numpy(row), torch_state)
        np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)
    assert set(state) == set(torch_state)
    for name, part in torch_state.items():
        np.testing.assert_allclose(state[name], part.numpy(), atol=1e-5)
    combined, _ = engine.forward(tokens, engine.initial_state(3))
    expected, _ = model(torch.from_numpy(tokens), model.initial_state(3))
    np.testing.assert_allclose(combined, expected.numpy(), atol=1e-5)


def test_export_keeps_the_training_mode() -> None:
    model = network()
    exporter.build_checked(model, METADATA)
    assert model.training
    model.eval()
    exporter.build_checked(model, METADATA)
    assert not model.training


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("defect", ["gates", "residual", "bias", "nan"])
def test_a_wrong_export_is_not_written(
    cell: str, defect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network(cell=cell, layers=2, residual=True)
    if defect == "nan":
        with torch.no_grad():
            model.output.bias[0] = math.nan
    else:
        monkeypatch.setattr(model, "residual", defect != "residual")
        description = network_and_weights(model)
        monkeypatch.setattr(model, "residual", True)
        weights = description[1]
        if defect == "bias":
            weights[-1]["bias"][0] += 1e-2
        elif defect == "gates":
            matrix = weights[1].get("input", weights[1].get("weight"))
            assert matrix is not None
            matrix[:] = np.roll(matrix, model.units, axis=0)
        monkeypatch.setattr(exporter, "network_and_weights", lambda _: description)
    reason = "training has diverged" if defect == "nan" else "not written"
    with pytest.raises(ExportError, match=reason):
        textgen_train.export_onnx(model, METADATA, tmp_path / "model.onnx")
    assert os.listdir(tmp_path) == []


def test_a_vocabulary_of_the_wrong_size_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the vocabulary has 2 characters"):
        textgen_train.export_onnx(
            network(), Metadata(make_tokenizer("character", "ab")), tmp_path / "model.onnx"
        )


@pytest.mark.parametrize(
    ("defect", "output"), [("input state", "logits"), ("output state", "next_hidden"), ("nan", "logits")]
)
def test_an_engine_that_ignores_the_state_or_computes_no_numbers_fails_the_comparison(
    defect: str, output: str
) -> None:
    model = network()
    engine = OnnxEngine(exporter.build_checked(model, METADATA).content)
    reference = exporter.Reference(model, np.arange(500) % 9)
    assert reference.check(engine) < 1e-5

    class Stateless:
        name = "stateless"

        def forward(self, tokens: NDArray[np.int64], state: State) -> tuple[NDArray[np.float32], State]:
            fresh = engine.initial_state(state["hidden"].shape[1])
            if defect == "input state":
                return engine.forward(tokens, fresh)
            logits, next_state = engine.forward(tokens, state)
            return (logits, fresh) if defect == "output state" else (logits * np.float32(np.nan), next_state)

    with pytest.raises(ExportError, match=f"engine stateless, its output {output} differs"):
        reference.check(Stateless())  # type: ignore[arg-type]


def test_each_engine_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    check = exporter.Reference.check

    def record(reference: exporter.Reference, engine: Engine) -> float:
        compared.append(engine.name)
        return check(reference, engine)

    monkeypatch.setattr(exporter.Reference, "check", record)
    exporter.build_checked(network(), METADATA)
    assert sorted(name.split()[0] for name in compared) == ["native", "onnxruntime"]


def test_the_compared_states_come_from_the_text() -> None:
    model = network()
    text = np.random.default_rng(1).integers(9, size=3000)
    reference = exporter.Reference(model, text)
    lanes, steps = exporter.PARITY_LANES, exporter.PARITY_STEPS
    model.eval()
    # The last lane is the end of the text.
    state = model.initial_state(1)
    with torch.no_grad():
        for token in text[-steps:-1]:
            _, state = model(torch.tensor([[token]]), state)
    for name, part in state.items():
        torch.testing.assert_close(reference._state[name][:, -1:], part)
        assert not reference._state[name][:, :lanes].any()


@pytest.mark.parametrize("text", [np.zeros(600, np.int64), np.array([1])])
def test_tokens_that_are_not_in_the_text_are_compared_too(text: NDArray[np.int64]) -> None:
    model = network()
    content = exporter.build_checked(model, METADATA, text).content
    with torch.no_grad():
        model.embedding.weight[8] += 5.0
    with pytest.raises(ExportError):
        exporter.Reference(model, text).check(OnnxEngine(content))


def test_tokens_of_a_large_vocabulary_are_evenly_spaced() -> None:
    tokens = exporter._spread_tokens(3000, 256)
    assert (tokens[0], tokens[-1], len(set(tokens.tolist()))) == (0, 2999, 256)
    assert set(exporter._spread_tokens(9, 256).tolist()) == set(range(9))


@pytest.mark.parametrize("text", [[], [9], [-1]])
def test_an_empty_text_and_tokens_out_of_range_are_errors(text: list[int]) -> None:
    with pytest.raises(ValueError, match="only tokens from 0 to 8"):
        exporter.build_checked(network(), METADATA, np.array(text, np.int64))


def test_a_model_with_large_logits_is_exported(tmp_path: Path) -> None:
    """The rounding errors of large logits exceed 1e-4 in a correct export."""
    model = network(units=64)
    with torch.no_grad():
        model.output.weight.mul_(3000)
    exported = textgen_train.export_onnx(model, METADATA, tmp_path / "model.onnx")
    assert exported.largest_difference > 1e-4


def test_a_chaotic_model_is_exported(tmp_path: Path) -> None:
    """Two correct engines diverge over a long text if each carries its own state."""
    model = network(units=64)
    with torch.no_grad():
        for layer in model.layers:
            layer.get_parameter("weight_hh_l0").mul_(60)
    content = exporter.build_checked(model, METADATA).content
    engine = OnnxEngine(content)
    model.eval()
    state, torch_state = engine.initial_state(8), model.initial_state(8)
    for row in np.random.default_rng(0).integers(9, size=(300, 1, 8)):
        logits, state = engine.forward(row, state)
        with torch.no_grad():
            expected, torch_state = model(torch.from_numpy(row), torch_state)
    assert np.abs(logits - expected.numpy()).max() > 0.1
    assert textgen_train.export_onnx(model, METADATA, tmp_path / "model.onnx").largest_difference < 1e-3


def test_the_tolerance_grows_with_the_rounding_error_of_torch() -> None:
    expected = np.array([1.0, 2.0], np.float32)
    assert exporter._tolerance(expected, np.array([1.0, 2.0])) == pytest.approx(2e-4)
    assert exporter._tolerance(expected, np.array([1.0, 2.01])) == pytest.approx(0.1, rel=0.01)
