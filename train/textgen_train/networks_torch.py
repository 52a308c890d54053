"""The networks of torch: an embedding, layers of an LSTM, a GRU or convolutions, and a linear output."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

# The arrays of a state by the number of a layer and the name of its part, such as "0.hidden". Each has the
# shape [rows, lanes, size].
State: TypeAlias = dict[str, Tensor]

# What acts against overfitting, which can change during a run.
DROPOUTS = ("dropout", "input_dropout", "weight_dropout")
REGULARIZATION = (*DROPOUTS, "activation_penalty", "confidence_penalty")

# The dilations of convolutions are 1, 2, 4, ..., 2 ** (CYCLE - 1), and begin again.
CYCLE = 8

# Each element of a dropout mask takes 16 random bits.
DROPOUT_LEVELS = 2**16


class LSTM(nn.LSTM):
    """A layer of long short-term memory: S. Hochreiter and J. Schmidhuber, Neural Computation 9(8), 1997.

    Attributes:
        state: The rows and the size of each array of its state.
    """

    kind = "lstm"

    def __init__(self, inputs: int, units: int, index: int) -> None:
        del index
        super().__init__(inputs, units)
        self.state = {"hidden": (1, units), "cell": (1, units)}


class GRU(nn.GRU):
    """A layer of gated recurrent units: K. Cho and others, arXiv:1406.1078.

    The reset gate multiplies the product with the recurrent weights, as in cuDNN.
    """

    kind = "gru"

    def __init__(self, inputs: int, units: int, index: int) -> None:
        del index
        super().__init__(inputs, units)
        self.state = {"hidden": (1, units)}

    def forward(self, inputs: Tensor, state: tuple[Tensor, ...]) -> Any:  # type: ignore[override]
        outputs, hidden = super().forward(inputs, state[0])
        return outputs, (hidden,)


class Conv(nn.Module):
    """A causal convolution of the input of a step and of the input ``dilation`` steps before.

    The outputs are ``tanh(filter) * sigmoid(gate)`` of two linear functions of both (A. van den Oord and
    others, WaveNet, arXiv:1609.03499). The state is a buffer of the last inputs.

    Attributes:
        weight: Shape [2 * units, 2 * inputs]: the rows of the filter and of the gate, and the columns of the
            older and of the newer input.
    """

    kind = "conv"

    def __init__(self, inputs: int, units: int, index: int) -> None:
        super().__init__()
        linear = nn.Linear(2 * inputs, 2 * units)
        self.weight, self.bias = linear.weight, linear.bias
        self.dilation = 2 ** (index % CYCLE)
        self.state = {f"inputs_{index}": (self.dilation, inputs)}

    def forward(self, inputs: Tensor, state: tuple[Tensor, ...]) -> Any:
        buffer = torch.cat([state[0], inputs])
        taps = torch.cat([buffer[: len(inputs)], buffer[self.dilation :]], dim=2)
        filters, gates = nn.functional.linear(taps, self.weight, self.bias).chunk(2, dim=2)
        return torch.tanh(filters) * torch.sigmoid(gates), (buffer[len(inputs) :],)


CELLS: dict[str, Any] = {cell.kind: cell for cell in (LSTM, GRU, Conv)}


class Network(nn.Module):
    """A language model. Its weights have torch's initial values.

    Attributes:
        regularization: The values of ``REGULARIZATION``, by name.
        generator: The source of dropout masks, on the device of the weights.
    """

    def __init__(self, vocabulary: int, recipe: Mapping[str, Any]) -> None:
        super().__init__()
        units, embedding = recipe["units"], recipe["embedding"]
        sizes = [embedding, *[units] * (recipe["layers"] - 1)]
        self.residual = bool(recipe["residual"])
        self.regularization = {name: float(recipe[name]) for name in REGULARIZATION}
        self.generator = torch.Generator()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.layers: Any = nn.ModuleList(
            CELLS[recipe["cell"]](size, units, i) for i, size in enumerate(sizes)
        )
        self.output = nn.Linear(units, vocabulary)

    def first_state(self, lanes: int) -> State:
        """Return the state before the first token."""
        return {
            f"{i}.{name}": self.output.weight.new_zeros(rows, lanes, size)
            for i, layer in enumerate(self.layers)
            for name, (rows, size) in layer.state.items()
        }

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Run all layers but the output.

        Args:
            tokens: Shape [time, lanes], int64.
            state: The state before them.

        Returns:
            The outputs of the last layer, shape [time, lanes, units], and the state after the last token.
        """
        outputs = self._drop(self.embedding(tokens), "input_dropout")
        after: State = {}
        for i, layer in enumerate(self.layers):
            inputs, names, weights = outputs, [f"{i}.{name}" for name in layer.state], {}
            if layer.kind != Conv.kind:
                # DropConnect: S. Merity and others, arXiv:1708.02182.
                weights["weight_hh_l0"] = self._drop(layer.weight_hh_l0, "weight_dropout")
            arguments = inputs, tuple(state[name] for name in names)
            outputs, parts = functional_call(layer, weights, arguments)
            after.update(zip(names, parts, strict=True))
            outputs = self._drop(outputs, "dropout")
            if self.residual and i:
                outputs = outputs + inputs
        return outputs, after

    def _drop(self, values: Tensor, kind: str) -> Tensor:
        """Set random elements to zero during training, and scale the others."""
        threshold = min(round(DROPOUT_LEVELS * self.regularization[kind]), DROPOUT_LEVELS - 1)
        if not self.training or not threshold:
            return values
        # A word serves several elements, because drawing takes most of the time.
        dtype = torch.int32 if values.device.type == "mps" else torch.int64
        words = torch.empty(-(-values.numel() * 2 // dtype.itemsize), dtype=dtype, device=values.device)
        words.random_(torch.iinfo(dtype).min, None, generator=self.generator)
        bits = words.view(torch.int16)[: values.numel()].view(values.shape)
        mask = (bits >= threshold - DROPOUT_LEVELS // 2).to(values.dtype)
        return values * mask.mul_(DROPOUT_LEVELS / (DROPOUT_LEVELS - threshold))


@torch.no_grad()
def set_classic_weights(network: Network) -> None:
    """Set the weights to the initial ones of Keras, and the embedding to one-hot vectors.

    Input and output matrices are Glorot uniform, recurrent matrices are orthogonal, and the bias of the
    forget gates is 1.
    """
    (lstm,) = network.layers
    nn.init.eye_(network.embedding.weight).requires_grad_(False)
    nn.init.xavier_uniform_(network.output.weight)
    nn.init.zeros_(network.output.bias)
    nn.init.xavier_uniform_(lstm.weight_ih_l0)
    nn.init.orthogonal_(lstm.weight_hh_l0)
    nn.init.zeros_(lstm.bias_ih_l0)[lstm.hidden_size : 2 * lstm.hidden_size] = 1.0
    # Keras has one bias, and torch has two. The second one stays zero.
    nn.init.zeros_(lstm.bias_hh_l0).requires_grad_(False)
