"""The networks by the name of their cell."""

from .conv import CharConv
from .gru import CharGRU
from .lstm import CharLSTM
from .network import CharNetwork

CELLS: dict[str, type[CharNetwork]] = {network.cell: network for network in (CharLSTM, CharGRU, CharConv)}
