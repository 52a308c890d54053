"""The character GRU."""

from torch import nn

from .recurrent import RecurrentNetwork


class CharGRU(RecurrentNetwork):
    """A character-level language model of gated recurrent units, which have a single state array.

    K. Cho and others, Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation, arXiv:1406.1078. The reset gate multiplies the product with the recurrent weights, as in
    cuDNN, not the hidden state.

    Its state is the array ``hidden``, of shape [layers, batch, units]. The arguments are those of
    ``CharNetwork``.
    """

    cell = "gru"
    layer_class = nn.GRU
    state_names = ("hidden",)
