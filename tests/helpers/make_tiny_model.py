"""Models with random weights. As a program, it writes ``data/tiny.onnx``, a model of 2 KB.

python -m tests.helpers.make_tiny_model
"""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.model_file.network import Network, lstm_network
from textgen_runtime.text.character_tokenizer import CharacterTokenizer
from textgen_runtime.text.normalization import Normalization
from textgen_train.export.onnx_graph import LayerWeights, build_model

from tests.helpers.paths import TINY

# Contains letters of two alphabets and a character outside the Basic Multilingual Plane.
SYMBOLS = "\n abcdehé€ж𝄞"


def random_network(
    vocabulary: int, *, units: int = 4, embedding: int = 3, layers: int = 1, scale: float = 1.0
) -> tuple[Network, list[LayerWeights]]:
    """Return a network and weights that are large enough for the state to affect the logits."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, scale, shape).astype(np.float32)

    network = lstm_network(vocabulary, embedding=embedding, units=units, layers=layers)
    embedding_weights = {"weight": normal(vocabulary, embedding)}
    lstms = [
        {
            "input": normal(4 * units, layer.inputs),
            "recurrent": normal(4 * units, units),
            "bias": normal(4 * units),
        }
        for layer in network.layers[1:-1]
    ]
    output = {"weight": normal(vocabulary, units), "bias": normal(vocabulary)}
    return network, [embedding_weights, *lstms, output]


def make_model(
    symbols: Sequence[str] = SYMBOLS,
    *,
    units: int = 4,
    embedding: int = 3,
    layers: int = 1,
    scale: float = 1.0,
) -> onnx.ModelProto:
    """Return a model with random weights."""
    metadata = Metadata(
        CharacterTokenizer(symbols),
        Normalization(lowercase=True, unicode="NFC"),
        prompts=("abc", "dad had", "é€ж𝄞") if "𝄞" in symbols else (symbols[0],),
        training={"corpus": "none: the weights are random"},
    )
    network = random_network(len(symbols), units=units, embedding=embedding, layers=layers, scale=scale)
    return build_model(*network, metadata)


if __name__ == "__main__":
    TINY.write_bytes(make_model().SerializeToString(deterministic=True))
