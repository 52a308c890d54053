"""The character LSTM: embedding, LSTM layers and a linear output layer, with an explicit state."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ._dropout import dropout
from .state import NetworkState


class CharLSTM(nn.Module):
    """A character-level LSTM language model.

    Args:
        vocabulary_size: Number of tokens.
        units: LSTM units per layer.
        layers: Number of LSTM layers.
        embedding: Size of a token's embedding.
        dropout: Dropout probability on the outputs of each LSTM layer.
        input_dropout: Dropout probability on the embedding's outputs.
        weight_dropout: DropConnect probability of each recurrent weight. The mask is constant over the time
            steps of a call (S. Merity and others, Regularizing and Optimizing LSTM Language Models,
            arXiv:1708.02182).

    Raises:
        ValueError: If a dropout probability is not in [0, 1).

    Attributes:
        generator: The source of dropout masks; None for torch's global generator.
    """

    def __init__(  # noqa: PLR0913 (keywords, each a hyperparameter)
        self,
        vocabulary_size: int,
        *,
        units: int,
        layers: int = 1,
        embedding: int,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        weight_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for p in (dropout, input_dropout, weight_dropout):
            if not 0 <= p < 1:
                raise ValueError(f"dropout probabilities must be in [0, 1), not {p}")
        self.units = units
        self.dropout, self.input_dropout, self.weight_dropout = dropout, input_dropout, weight_dropout
        self.generator: torch.Generator | None = None
        # All weights have torch's default initialization. A positive initial bias of the forget gates helps
        # with long-range dependencies, but raised the loss by 0.07 nats after eight epochs on a book.
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        # Each layer is a separate module, so that ``_apply_dropout`` can run between the layers.
        self.layers = nn.ModuleList(nn.LSTM(units if i else embedding, units) for i in range(layers))
        self.output = nn.Linear(units, vocabulary_size)

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return self.output.weight.device

    @property
    def parameter_count(self) -> int:
        """Number of trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def clone(self, *, share_parameters: bool = False) -> "CharLSTM":
        """Return a copy. It shares the parameters with this network if ``share_parameters`` is true.

        The generator is always shared, because it cannot be copied.
        """
        shared = [self.generator, *(self.parameters() if share_parameters else ())]
        return copy.deepcopy(self, {id(item): item for item in shared})

    @property
    def layer_matrices(self) -> list[nn.Parameter]:
        """The weight matrices of the LSTM layers, each of shape [4 * units, inputs]."""
        return [weight for weight in self.layers.parameters() if weight.ndim == 2]  # noqa: PLR2004 (a matrix)

    def initial_state(self, batch: int) -> NetworkState:
        """Return ``hidden`` and ``cell`` before the first token: zeros of shape [layers, batch, units]."""
        shape = (len(self.layers), batch, self.units)
        return {name: torch.zeros(shape, device=self.device) for name in ("hidden", "cell")}

    def forward_features(self, tokens: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:
        """Run the embedding and the LSTM layers, without the output layer.

        Args:
            tokens: Shape [time, batch], int64.
            state: ``hidden`` and ``cell``, each of shape [layers, batch, units].

        Returns:
            The top layer's outputs, shape [time, batch, units], and the state after the last token.
        """
        outputs = self._apply_dropout(self.embedding(tokens), self.input_dropout)
        next_states: list[tuple[Tensor, Tensor]] = []
        for layer, layer_state in zip(self.layers, self._split_layers(state), strict=True):
            outputs, next_state = functional_call(layer, self._drop_connect(layer), (outputs, layer_state))
            outputs = self._apply_dropout(outputs, self.dropout)
            next_states.append(next_state)
        hidden, cell = zip(*next_states, strict=True)
        return outputs, {"hidden": torch.cat(hidden), "cell": torch.cat(cell)}

    def forward(self, tokens: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:
        """Compute the logits of the next token at each time step.

        Args:
            tokens: Shape [time, batch], int64.
            state: ``hidden`` and ``cell``, each of shape [layers, batch, units].

        Returns:
            Logits of shape [time, batch, vocabulary], and the state after the last token.
        """
        outputs, state = self.forward_features(tokens, state)
        return self.output(outputs), state

    @staticmethod
    def _split_layers(state: NetworkState) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield hidden and cell state of each layer, of shape [1, batch, units]."""
        return zip(torch.split(state["hidden"], 1), torch.split(state["cell"], 1), strict=True)

    def _apply_dropout(self, values: Tensor, p: float) -> Tensor:
        return dropout(values, p, self.generator) if self.training else values

    def _drop_connect(self, layer: nn.Module) -> dict[str, Tensor]:
        """Return the recurrent weights of a layer after DropConnect, by parameter name.

        One mask is used for all time steps of a call. Without DropConnect, the dict is empty.
        """
        if not self.training or not self.weight_dropout:
            return {}
        weight: Tensor = layer.get_parameter("weight_hh_l0")
        if torch.is_autocast_enabled(self.device.type):
            # The matrix product converts the weights to this dtype. A mask of this dtype is half as large.
            weight = weight.to(torch.get_autocast_dtype(self.device.type))
        return {"weight_hh_l0": dropout(weight, self.weight_dropout, self.generator)}
