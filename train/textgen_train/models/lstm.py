"""The character LSTM."""

from torch import nn

from .recurrent import RecurrentNetwork


class CharLSTM(RecurrentNetwork):
    """A character-level language model of long short-term memory layers.

    Its state are the arrays ``hidden`` and ``cell``, each of shape [layers, batch, units]. The arguments are
    those of ``CharNetwork``.
    """

    cell = "lstm"
    layer_class = nn.LSTM
    state_names = ("hidden", "cell")
