"""Trained weights to ``model.onnx``, checked against the trained model before it is kept."""

import os
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from textgen_runtime.atomic import replace_file
from textgen_runtime.contract import Contract
from textgen_runtime.engine import Engine, initial_state
from textgen_runtime.generator import Model
from textgen_runtime.loading import open_model
from torch import Tensor

from .errors import ExportError
from .graph import LayerWeights, Weights, build_model
from .model import CharLSTM

PARITY_STEPS = 200
PARITY_BATCH = 2
PARITY_SEED = 0

# Of logits up to 1; of larger ones, which a model has that is sure of itself, this share of the largest: what
# float32 rounds away grows with them, and a wrong export is wrong by far more.
LARGEST_DIFFERENCE = 1e-4


@dataclass(frozen=True)
class Exported:
    """An exported model.

    Attributes:
        content: The file's bytes.
        model: The same, loaded by the runtime.
        largest_difference: Between the logits of torch and those of any engine, over the whole check.
    """

    content: bytes
    model: Model
    largest_difference: float


def export(model: CharLSTM, contract: Contract, path: str | os.PathLike[str]) -> Exported:
    """Write a trained model to a file that the runtime, or any ONNX runtime, can generate from.

    Args:
        model: The trained network.
        contract: Its vocabulary (as many characters as the network has outputs), normalisation,
            prompts and provenance.
        path: Where to write; an older file is replaced at once or, after any failure, not at all.

    Returns:
        What was written, and how far it is from torch.

    Raises:
        ExportError: If an engine's logits differ from torch's by more than 1e-4, or than that share of the
            largest logit.
        OutputError: If the file cannot be written.
        ValueError: If the vocabulary is not of the network's size.
    """
    exported = build_checked(model, contract)
    replace_file(path, exported.content)
    return exported


def build_checked(model: CharLSTM, contract: Contract) -> Exported:
    """What ``export`` writes, without writing it; the arguments and errors are the same."""
    if len(contract.vocabulary) != model.output.out_features:
        raise ValueError(
            f"the vocabulary has {len(contract.vocabulary)} characters, "
            f"the network {model.output.out_features} outputs"
        )
    content = build_model(weights_of(model), contract).SerializeToString()
    difference, largest = compare(model, open_model(content, "onnxruntime").engine)
    _check_difference(difference, largest)
    exported = open_model(content)
    native_difference, _ = compare(model, exported.engine)
    _check_difference(native_difference, largest)
    return Exported(content, exported, max(difference, native_difference))


def _check_difference(difference: float, largest: float) -> None:
    limit = LARGEST_DIFFERENCE * max(1.0, largest)
    # Not `difference > limit`, which NaN would pass.
    if not difference <= limit:
        raise ExportError(
            f"the exported model's logits, up to {largest:.3g}, differ from the trained one's by "
            f"{difference:.2g}, more than {limit:.2g}: it was not written"
        )


def weights_of(model: CharLSTM) -> Weights:
    """The network's weights as float32 arrays; torch's two biases a layer become their sum."""
    lstm = dict(model.lstm.named_parameters())
    layers = [
        LayerWeights(
            input=_array(lstm[f"weight_ih_l{i}"]),
            recurrent=_array(lstm[f"weight_hh_l{i}"]),
            bias=_array(lstm[f"bias_ih_l{i}"] + lstm[f"bias_hh_l{i}"]),
        )
        for i in range(model.lstm.num_layers)
    ]
    return Weights(
        embedding=_array(model.embedding.weight),
        layers=layers,
        output=_array(model.output.weight),
        output_bias=_array(model.output.bias),
    )


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.array(tensor.detach().float().numpy())


@torch.no_grad()
def compare(model: CharLSTM, engine: Engine) -> tuple[float, float]:
    """Step torch and an engine side by side, each on its own state.

    Returns:
        The largest difference between any two logits, and the largest logit.
    """
    tokens = np.random.default_rng(PARITY_SEED).integers(
        engine.vocabulary_size, size=(PARITY_STEPS, PARITY_BATCH)
    )
    was_training = model.training
    model.eval()
    try:
        torch_state = model.initial_state(PARITY_BATCH)
        state = initial_state(engine, PARITY_BATCH)
        difference = largest = 0.0
        for row in tokens[:, np.newaxis]:
            expected, torch_state = model(torch.from_numpy(row), torch_state)
            logits, state = engine.step(row, state)
            # numpy's maximum, unlike Python's, lets NaN through.
            difference = float(np.maximum(difference, np.abs(expected.numpy() - logits).max()))
            largest = float(np.maximum(largest, np.abs(expected.numpy()).max()))
    finally:
        model.train(was_training)
    return difference, largest
