"""Trained weights to ``model.onnx``, checked against the trained network before it is kept."""

import os
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from textgen_runtime.generation.loading import open_model
from textgen_runtime.generation.model import Model
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.model_file.network import Network, lstm_network
from textgen_runtime.system.files import replace_file
from torch import Tensor

from textgen_train.errors import ExportError
from textgen_train.models.lstm import CharLSTM

from ._parity import PARITY_LANES, PARITY_SEED, PARITY_STEPS, Reference
from .onnx_graph import LayerWeights, build_model, replace_metadata


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

    def content_with(self, metadata: Metadata) -> bytes:
        """The file's bytes with other metadata."""
        return replace_metadata(self.content, metadata)


def export_onnx(
    model: CharLSTM,
    metadata: Metadata,
    path: str | os.PathLike[str],
    text: NDArray[np.int64] | None = None,
) -> Exported:
    """Write a trained network to a file that the runtime, or any ONNX runtime, can generate from.

    Before it is written, one step is compared between torch and each engine, from many states that reading
    ``text`` leads to. Each step starts from equal states: a network that is sure of itself is chaotic, and
    two correct engines that each carry their own state end in different places.

    Args:
        model: The trained network.
        metadata: Its vocabulary (as many characters as the network has outputs), normalisation,
            prompts and provenance.
        path: Where to write; an older file is replaced at once or, after any failure, not at all.
        text: Text of the kind that the network was trained on, shape [characters], int64; random tokens if
            it is None.

    Returns:
        What was written, and how far it is from torch.

    Raises:
        ExportError: If the network's weights are not finite; or if an engine's logits or next state differ
            from torch's by more than the largest of 1e-4, 1e-4 of the largest value, and ten times what
            torch loses in float32 against float64.
        OutputError: If the file cannot be written.
        ValueError: If the vocabulary is not of the network's size, or if the text is empty or holds other
            tokens.
    """
    exported = build_checked(model, metadata, text)
    replace_file(path, exported.content)
    return exported


def build_checked(
    model: CharLSTM, metadata: Metadata, text: NDArray[np.int64] | None = None, threads: int = 1
) -> Exported:
    """What ``export_onnx`` writes, without writing it; the arguments and errors are the same.

    ``threads`` is for the loaded model.
    """
    size = model.output.out_features
    if len(metadata.tokenizer) != size:
        raise ValueError(
            f"the vocabulary has {len(metadata.tokenizer)} characters, the network {size} outputs"
        )
    if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
        raise ExportError(
            "the network's weights hold NaN or infinity: training has diverged, try lower learning rates"
        )
    if text is not None and not (len(text) and text.min() >= 0 and text.max() < size):
        raise ValueError(f"the text must hold tokens from 0 to {size - 1}, and at least one")
    content = build_model(*describe(model), metadata).SerializeToString()
    exported = open_model(content, threads=threads)
    if text is None:
        text = np.random.default_rng(PARITY_SEED).integers(size, size=PARITY_LANES * PARITY_STEPS)
    reference = Reference(model, text)
    engines = (open_model(content, "onnxruntime").engine, exported.engine)
    return Exported(content, exported, max(reference.check(engine) for engine in engines))


def describe(model: CharLSTM) -> tuple[Network, list[LayerWeights]]:
    """The network's description and the float32 arrays of its layers; torch's two biases become their sum."""
    network = lstm_network(
        model.output.out_features,
        embedding=model.embedding.embedding_dim,
        units=model.units,
        layers=len(model.layers),
    )
    lstms = [
        {
            "input": _array(lstm.get_parameter("weight_ih_l0")),
            "recurrent": _array(lstm.get_parameter("weight_hh_l0")),
            "bias": _array(lstm.get_parameter("bias_ih_l0") + lstm.get_parameter("bias_hh_l0")),
        }
        for lstm in model.layers
    ]
    embedding = {"weight": _array(model.embedding.weight)}
    output = {"weight": _array(model.output.weight), "bias": _array(model.output.bias)}
    return network, [embedding, *lstms, output]


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.array(tensor.detach().float().numpy())
