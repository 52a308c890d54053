"""Export of a trained network to ``model.onnx``, after a comparison of each engine with torch.

Torch and the engine compute one forward step from the same state and token. This is repeated for many states.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from textgen_runtime.engine import Engine
from textgen_runtime.files import replace_file
from textgen_runtime.model import Model, open_model
from textgen_runtime.model_file import LOGITS, NEXT, Metadata
from textgen_runtime.results import State
from torch import Tensor

from textgen_train.data.tokens import Tokens
from textgen_train.errors import ExportError
from textgen_train.models.network import CharNetwork, NetworkState, concatenate_lanes

from .layer_weights import network_and_weights
from .onnx_graph import build_model, replace_metadata
from .written_models import open_written

# The network reads PARITY_LANES lanes of PARITY_STEPS tokens each. The state before each token is compared.
PARITY_LANES = 8
PARITY_STEPS = 64

# Seed of the random tokens that replace a missing text.
PARITY_SEED = 0

# Largest allowed difference. If the largest value is above 1, the difference is relative to this value,
# because rounding errors of float32 grow with the values. Otherwise it is absolute. A wrong export differs by
# much more.
MAX_DIFFERENCE = 1e-4

# Very large weights amplify rounding errors. Therefore a difference is also allowed up to this factor times
# the rounding error of torch, which is the difference of its float32 and float64 results. The factor is above
# 1 because engines add in a different order.
MAX_ROUNDING_FACTOR = 10.0


class Reference:
    """The results of torch for one step from each of many states. ``check`` compares an engine with them.

    Args:
        text: Tokens, shape [characters], not empty. The network reads lanes of this text to get to the
            compared states.
    """

    @torch.no_grad()
    def __init__(self, model: CharNetwork, text: Tokens) -> None:
        was_training = model.training
        model.eval()
        try:
            lanes = text_lanes(text)
            self._tokens = lanes.reshape(1, -1).copy()
            # Replace every second token, so that tokens that are rare in the text are compared too.
            replaced = self._tokens[0, 1::2]
            replaced[:] = _spread_tokens(model.output.out_features, len(replaced))
            self._state = _states_before_tokens(model, lanes)
            tokens = torch.from_numpy(self._tokens)
            self._expected = _forward_arrays(model, tokens, self._state)
            float64_state = {name: part.double() for name, part in self._state.items()}
            exact = _forward_arrays(model.clone().double(), tokens, float64_state)
        finally:
            model.train(was_training)
        self._tolerances = {
            name: _tolerance(expected, exact[name]) for name, expected in self._expected.items()
        }

    def check(self, engine: Engine) -> float:
        """Compare one step of an engine with torch.

        Returns:
            The largest absolute difference of the logits.

        Raises:
            ExportError: If the logits or the next states differ by more than the tolerance.
        """
        logits, state = engine.forward(
            self._tokens, State({name: part.numpy() for name, part in self._state.items()})
        )
        actual = _outputs(logits, state)
        differences = {
            name: float(np.abs(actual[name] - expected).max()) for name, expected in self._expected.items()
        }
        for name, difference in differences.items():
            tolerance = self._tolerances[name]
            # `difference > tolerance` would be false for NaN.
            if not difference <= tolerance:
                raise ExportError(
                    f"the exported model was not written: with the engine {engine.name}, its output {name} "
                    f"differs from that of the trained network by {difference:.2g}, more than {tolerance:.2g}"
                )
        return differences[LOGITS]


def text_lanes(text: Tokens) -> NDArray[np.int64]:
    """Return evenly spaced sections of the text as lanes, shape [PARITY_STEPS, PARITY_LANES], int64."""
    if len(text) < PARITY_STEPS:
        text = np.resize(text, PARITY_STEPS)
    starts = np.linspace(0, len(text) - PARITY_STEPS, PARITY_LANES).astype(np.int64)
    sections = [text[start : start + PARITY_STEPS] for start in starts]
    return np.stack(sections, axis=1).astype(np.int64)


def _spread_tokens(vocabulary: int, count: int) -> NDArray[np.int64]:
    """Return ``count`` tokens that are spread over the vocabulary, shape [count].

    They are all tokens in turn, or an evenly spaced subset if the vocabulary is larger than ``count``.
    """
    if vocabulary <= count:
        return np.resize(np.arange(vocabulary), count)
    return np.linspace(0, vocabulary - 1, count).astype(np.int64)


def _states_before_tokens(model: CharNetwork, lanes: NDArray[np.int64]) -> NetworkState:
    """Return the states before each token of the lanes as one batch of size PARITY_STEPS * PARITY_LANES."""
    state = model.initial_state(lanes.shape[1])
    states: list[NetworkState] = []
    for row in torch.from_numpy(lanes).unsqueeze(1):
        states.append(state)
        _, state = model.forward_features(row, state)
    return concatenate_lanes(states)


def _forward_arrays(
    model: CharNetwork, tokens: Tensor, state: NetworkState
) -> dict[str, NDArray[np.floating]]:
    """Return the outputs of torch by their names in the graph."""
    logits, next_state = model(tokens, state)
    return _outputs(logits.numpy(), {name: part.numpy() for name, part in next_state.items()})


def _outputs(
    logits: NDArray[np.floating], next_state: Mapping[str, NDArray[np.floating]]
) -> dict[str, NDArray[np.floating]]:
    """Return the outputs of a step by their names in the graph."""
    return {LOGITS: logits, **{NEXT + name: part for name, part in next_state.items()}}


def _tolerance(expected: NDArray[np.floating], exact: NDArray[np.floating]) -> float:
    """Return the largest allowed difference, given the float32 and the float64 results of torch."""
    rounding = float(np.abs(expected - exact).max())
    return max(MAX_DIFFERENCE * max(1.0, float(np.abs(expected).max())), MAX_ROUNDING_FACTOR * rounding)


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
    loaded = open_written(content, threads)
    reference = Reference(model, text)
    engines = {engine.name: engine for engine in (open_model(content, "onnxruntime").engine, loaded.engine)}
    return Exported(content, loaded, max(map(reference.check, engines.values())))
