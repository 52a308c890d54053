"""Trained weights to ``model.onnx``, checked against the trained network before it is kept."""

import os
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from textgen_runtime.atomic import replace_file
from textgen_runtime.contract import Contract
from textgen_runtime.engines.base import Engine, State
from textgen_runtime.loading import open_model
from textgen_runtime.model import Model
from textgen_runtime.network import Network, lstm_network
from torch import Tensor

from .errors import ExportError
from .graph import LayerWeights, build_model, replace_metadata
from .model import CharLSTM, LSTMState

# The states that are compared: those of so many lanes of text after each of so many steps.
PARITY_LANES = 8
PARITY_STEPS = 64
PARITY_SEED = 0

# Of values up to 1; of larger ones, this share of the largest: what float32 rounds away grows with them, and
# a wrong export is wrong by far more.
MAX_DIFFERENCE = 1e-4

# A network with very large weights amplifies what float32 rounds away. Torch's own rounding, which is
# measured against float64, may be exceeded by this factor, since engines add up in different orders.
MAX_ROUNDING = 10.0


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

    def content_with(self, contract: Contract) -> bytes:
        """The file's bytes with other metadata."""
        return replace_metadata(self.content, contract)


def export(
    model: CharLSTM,
    contract: Contract,
    path: str | os.PathLike[str],
    text: NDArray[np.int64] | None = None,
) -> Exported:
    """Write a trained network to a file that the runtime, or any ONNX runtime, can generate from.

    Before it is written, one step is compared between torch and each engine, from many states that reading
    ``text`` leads to. Each step starts from equal states: a network that is sure of itself is chaotic, and
    two correct engines that each carry their own state end in different places.

    Args:
        model: The trained network.
        contract: Its vocabulary (as many characters as the network has outputs), normalisation,
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
    exported = build_checked(model, contract, text)
    replace_file(path, exported.content)
    return exported


def build_checked(
    model: CharLSTM, contract: Contract, text: NDArray[np.int64] | None = None, threads: int = 1
) -> Exported:
    """What ``export`` writes, without writing it; the arguments and errors are the same.

    ``threads`` is for the loaded model.
    """
    size = model.output.out_features
    if len(contract.tokenizer) != size:
        raise ValueError(
            f"the vocabulary has {len(contract.tokenizer)} characters, the network {size} outputs"
        )
    if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
        raise ExportError(
            "the network's weights hold NaN or infinity: training has diverged, try lower learning rates"
        )
    if text is not None and not (len(text) and text.min() >= 0 and text.max() < size):
        raise ValueError(f"the text must hold tokens from 0 to {size - 1}, and at least one")
    content = build_model(*describe(model), contract).SerializeToString()
    exported = open_model(content, threads=threads)
    if text is None:
        text = np.random.default_rng(PARITY_SEED).integers(size, size=PARITY_LANES * PARITY_STEPS)
    reference = Reference(model, text)
    engines = (open_model(content, "onnxruntime").engine, exported.engine)
    return Exported(content, exported, max(reference.check(engine) for engine in engines))


class Reference:
    """What torch makes of one step from each of many states; compares engines with it.

    Args:
        model: The trained network.
        text: Shape [characters], int64, at least one; read from several places at once.
    """

    @torch.no_grad()
    def __init__(self, model: CharLSTM, text: NDArray[np.int64]) -> None:
        was_training = model.training
        model.eval()
        try:
            columns = _lanes(text)
            self._tokens = columns.reshape(1, -1).copy()
            # Every other state reads a token of its own choice, so that rare ones are compared too.
            others = self._tokens[0, 1::2]
            others[:] = _spread(model.output.out_features, len(others))
            self._state = _states(model, columns)
            tokens = torch.from_numpy(self._tokens)
            self._expected = _step(model, tokens, self._state)
            exact_state = (self._state[0].double(), self._state[1].double())
            exact = _step(model.twin().double(), tokens, exact_state)
        finally:
            model.train(was_training)
        self._limits = [_limit(*pair) for pair in zip(self._expected, exact, strict=True)]

    def check(self, engine: Engine) -> float:
        """Compare one step of an engine.

        Returns:
            The largest difference between any two logits.

        Raises:
            ExportError: If logits or next states differ by more than rounding explains.
        """
        logits, after = engine.forward(
            self._tokens,
            State(dict(zip(("hidden", "cell"), (part.numpy() for part in self._state), strict=True))),
        )
        names = ("logits", "next hidden state", "next cell state")
        differences = [
            float(np.abs(found - expected).max())
            for found, expected in zip((logits, after["hidden"], after["cell"]), self._expected, strict=True)
        ]
        for name, difference, limit in zip(names, differences, self._limits, strict=True):
            # Not `difference > limit`, which NaN would pass.
            if not difference <= limit:
                raise ExportError(
                    f"the exported model's {name} differs from the trained network's by {difference:.2g}, "
                    f"more than {limit:.2g}, with {engine.name}: it was not written"
                )
        return differences[0]


def _lanes(text: NDArray[np.int64]) -> NDArray[np.int64]:
    """Stretches from all over the text, side by side; shape [PARITY_STEPS, PARITY_LANES]."""
    text = np.resize(text, max(len(text), PARITY_STEPS))
    starts = np.linspace(0, len(text) - PARITY_STEPS, PARITY_LANES).astype(np.int64)
    return np.stack([text[start : start + PARITY_STEPS] for start in starts], axis=1)


def _spread(vocabulary: int, count: int) -> NDArray[np.int64]:
    """All tokens of a vocabulary, over and over; of a large one, as many as fit, evenly spread."""
    if vocabulary <= count:
        return np.resize(np.arange(vocabulary), count)
    return np.linspace(0, vocabulary - 1, count).astype(np.int64)


def _states(model: CharLSTM, columns: NDArray[np.int64]) -> LSTMState:
    """The state before each token, as one batch in the order of the tokens' rows."""
    state = model.initial_state(columns.shape[1])
    before: list[LSTMState] = []
    for row in torch.from_numpy(columns).unsqueeze(1):
        before.append(state)
        _, state = model.read(row, state)
    hidden, cell = zip(*before, strict=True)
    return torch.cat(hidden, dim=1), torch.cat(cell, dim=1)


def _step(model: CharLSTM, tokens: Tensor, state: LSTMState) -> tuple[NDArray[np.floating], ...]:
    logits, after = model(tokens, state)
    return logits.numpy(), *(part.numpy() for part in after)


def _limit(expected: NDArray[np.floating], exact: NDArray[np.floating]) -> float:
    """How far an engine's values may be from torch's."""
    rounding = float(np.abs(expected - exact).max())
    return max(MAX_DIFFERENCE * max(1.0, float(np.abs(expected).max())), MAX_ROUNDING * rounding)


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
