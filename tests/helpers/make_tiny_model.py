"""Models with random weights. As a program, it writes ``data/tiny.onnx``, a model of 2 KB.

python -m tests.helpers.make_tiny_model
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.text import Normalization
from textgen_train.export.network import CELLS, GRU, LSTM, Conv, Embedding, Layer, Linear, Network
from textgen_train.export.onnx_graph import LayerWeights, build_model

from tests.helpers.paths import TINY

# Contains letters of two alphabets and a character outside the Basic Multilingual Plane.
SYMBOLS = "\n abcdehé€ж𝄞"


def describe_network(  # noqa: PLR0913 (keywords)
    vocabulary: int,
    *,
    cell: str = "lstm",
    units: int = 4,
    embedding: int = 3,
    layers: int = 1,
    residual: bool = False,
) -> Network:
    """Return the description of a network, with the layer names of a model file."""
    cells = (
        CELLS[cell](
            f"{cell}_{i}",
            units if i else embedding,
            units,
            residual and i > 0,
            **({"dilation": 2**i} if cell == Conv.kind else {}),
        )
        for i in range(layers)
    )
    return Network.from_layers(
        (Embedding("embed", vocabulary, embedding), *cells, Linear("output", units, vocabulary))
    )


def weight_shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights of a layer, by name."""
    inputs, units = layer.inputs, layer.outputs
    match layer:
        case Embedding():
            return {"weight": (inputs, units)}
        case LSTM():
            return {"input": (4 * units, inputs), "recurrent": (4 * units, units), "bias": (4 * units,)}
        case GRU():
            return {
                "input": (3 * units, inputs),
                "recurrent": (3 * units, units),
                "bias": (3 * units,),
                "recurrent_bias": (3 * units,),
            }
        case Conv():
            return {"weight": (2 * units, 2 * inputs), "bias": (2 * units,)}
        case _:
            return {"weight": (units, inputs), "bias": (units,)}


def random_weights(network: Network, scale: float = 1.0) -> list[LayerWeights]:
    """Return weights that are large enough for the state to affect the logits."""
    rng = np.random.default_rng(0)
    return [
        {name: rng.normal(0, scale, shape).astype(np.float32) for name, shape in weight_shapes(layer).items()}
        for layer in network.layers
    ]


def random_network(
    vocabulary: int, *, scale: float = 1.0, **sizes: Any
) -> tuple[Network, list[LayerWeights]]:
    """Return a network and its weights. ``sizes`` are those of ``describe_network``."""
    network = describe_network(vocabulary, **sizes)
    return network, random_weights(network, scale)


def make_model(symbols: Sequence[str] = SYMBOLS, *, scale: float = 1.0, **sizes: Any) -> onnx.ModelProto:
    """Return a model with random weights. ``sizes`` are those of ``describe_network``."""
    metadata = Metadata(
        make_tokenizer("character", symbols),
        Normalization(lowercase=True, unicode="NFC"),
        prompts=("abc", "dad had", "é€ж𝄞") if "𝄞" in symbols else (symbols[0],),
        training={"corpus": "none: the weights are random"},
    )
    return build_model(*random_network(len(symbols), scale=scale, **sizes), metadata)


if __name__ == "__main__":
    TINY.write_bytes(make_model().SerializeToString(deterministic=True))
