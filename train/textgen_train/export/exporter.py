"""Export of a trained network to ``model.onnx``, after a comparison with torch."""

import os
from dataclasses import dataclass

import numpy as np
import torch
from textgen_runtime.generation.loading import open_model
from textgen_runtime.generation.model import Model
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.system.files import replace_file

from textgen_train.data.token_array import Tokens
from textgen_train.errors import ExportError
from textgen_train.models.network import CharNetwork

from ._parity import PARITY_LANES, PARITY_SEED, PARITY_STEPS, Reference, text_lanes
from .layer_weights import network_and_weights
from .onnx_graph import build_model, replace_metadata


@dataclass(frozen=True)
class Exported:
    """An exported model.

    Attributes:
        content: The bytes of the model file.
        model: The model that the runtime loaded from these bytes.
        largest_difference: Largest absolute difference between torch's logits and those of an engine.
    """

    content: bytes
    model: Model
    largest_difference: float

    def content_with(self, metadata: Metadata) -> bytes:
        """Return the bytes of the model file with other metadata."""
        return replace_metadata(self.content, metadata)


def export_onnx(
    model: CharNetwork,
    metadata: Metadata,
    path: str | os.PathLike[str],
    text: Tokens | None = None,
) -> Exported:
    """Write a trained network to a model file for this package's runtime or any other ONNX runtime.

    Each engine is first compared with torch. The network reads ``text`` in torch, which gives many states.
    From each of these states, torch and the engine compute one step. If an engine computed many steps from
    its own states, even a correct one could fail, because a network with large weights amplifies rounding
    errors.

    Args:
        model: The trained network.
        metadata: Vocabulary, normalization, prompts and provenance. The vocabulary size must equal the
            number of outputs of the network.
        path: The model file. An existing file is replaced atomically, and stays if the export fails.
        text: Tokens of a text similar to the training text, shape [characters], of any integer type. Some
            sections of it are used. If None, random tokens are used.

    Returns:
        The exported model, and its largest difference from torch.

    Raises:
        ExportError: If a weight is NaN or infinite, or if the logits or the next state of an engine differ
            from those of torch by more than the tolerance. The tolerance is the maximum of 1e-4, 1e-4 times
            the largest value, and ten times the rounding error of torch in float32.
        OutputError: If the file cannot be written.
        ValueError: If the vocabulary does not have the network's size, if the text is empty, or if these
            sections contain a token that is not in the vocabulary.
    """
    exported = build_checked(model, metadata, text)
    replace_file(path, exported.content)
    return exported


def build_checked(
    model: CharNetwork, metadata: Metadata, text: Tokens | None = None, threads: int = 1
) -> Exported:
    """Build and check a model as ``export_onnx`` does, without writing it.

    The arguments and errors are those of ``export_onnx``. ``threads`` is the number of threads of the
    returned model.
    """
    size = model.output.out_features
    if len(metadata.tokenizer) != size:
        raise ValueError(
            f"the vocabulary has {len(metadata.tokenizer)} characters, but the network has {size} outputs"
        )
    if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
        raise ExportError(
            "the network's weights contain NaN or infinity: training has diverged; try lower learning rates"
        )
    if text is None:
        text = np.random.default_rng(PARITY_SEED).integers(size, size=PARITY_LANES * PARITY_STEPS)
    lanes = text_lanes(text) if len(text) else None
    if lanes is None or lanes.min() < 0 or lanes.max() >= size:
        raise ValueError(f"the text must contain at least one token, and only tokens from 0 to {size - 1}")
    # The comparison with the engines takes place on the processor.
    model = model if model.device.type == "cpu" else model.clone().cpu()
    content = build_model(*network_and_weights(model), metadata).SerializeToString()
    loaded = open_model(content, threads=threads)
    reference = Reference(model, text)
    engines = (open_model(content, "onnxruntime").engine, loaded.engine)
    return Exported(content, loaded, max(reference.check(engine) for engine in engines))
