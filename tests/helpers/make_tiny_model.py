"""Models with chosen weights. As a program, it writes ``data/tiny.onnx``, a model of 2 KB.

python -m tests.helpers.make_tiny_model
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.text import Normalization

from tests.helpers.paths import TINY

# Contains letters of two alphabets and a character outside the Basic Multilingual Plane.
SYMBOLS = "\n abcdehé€ж𝄞"

# The first weights are those of the embedding, the last two those of the output, and the others those of the
# layers. The gates of a layer are in the order input, forget, cell, output.
Weights = list[NDArray[np.float32]]


def random_weights(
    vocabulary: int, *, units: int = 4, embedding: int = 3, layers: int = 1, scale: float = 1.0
) -> Weights:
    """Return weights that are large enough for the state to affect the logits."""
    rng = np.random.default_rng(0)
    shapes: list[tuple[int, ...]] = [(vocabulary, embedding)]
    for i in range(layers):
        shapes += [(4 * units, units if i else embedding), (4 * units, units), (4 * units,)]
    shapes += [(vocabulary, units), (vocabulary,)]
    return [rng.normal(0, scale, shape).astype(np.float32) for shape in shapes]


def build_model(weights: Weights, metadata: Metadata, *, residual: bool = False) -> onnx.ModelProto:
    """Return the model of an LSTM, whose graph is written here a second time."""
    table, *arrays, output, output_bias = weights
    layers, units = len(arrays) // 3, output.shape[1]
    tensors = {"embedding": table}
    nodes = [helper.make_node("Gather", ["embedding", "token"], ["embedded"], "embed")]
    # The names of the state before and after each layer.
    states = {
        name: [f"{name}_{i}" for i in range(layers)] if layers > 1 else [name]
        for name in ("hidden", "cell", "next_hidden", "next_cell")
    }
    if layers > 1:
        nodes += [helper.make_node("Split", [n], states[n], f"split_{n}", axis=0) for n in ("hidden", "cell")]
    last = "embedded"
    for i in range(layers):
        # ONNX has the gates in the order input, output, forget, cell, and a second bias.
        inputs, recurrent, bias = (
            array.reshape(4, units, -1)[[0, 3, 1, 2]].reshape(array.shape)
            for array in arrays[3 * i : 3 * i + 3]
        )
        tensors |= {f"input_{i}": inputs[None], f"recurrent_{i}": recurrent[None]}
        tensors[f"bias_{i}"] = np.concatenate([bias, np.zeros_like(bias)])[None]
        tensors["direction_axis"] = np.array([1])
        names = [f"input_{i}", f"recurrent_{i}", f"bias_{i}", "", states["hidden"][i], states["cell"][i]]
        results = [f"directions_{i}", states["next_hidden"][i], states["next_cell"][i]]
        nodes.append(helper.make_node("LSTM", [last, *names], results, f"lstm_{i}", hidden_size=units))
        squeezed = [f"directions_{i}", "direction_axis"]
        nodes.append(helper.make_node("Squeeze", squeezed, [f"output_{i}"], f"squeeze_{i}"))
        before, last = last, f"output_{i}"
        if residual and i:
            nodes.append(helper.make_node("Add", [last, before], [f"residual_{i}"], f"residual_{i}"))
            last = f"residual_{i}"
    tensors |= {"output_weights": output.T, "output_bias": output_bias}
    nodes.append(helper.make_node("MatMul", [last, "output_weights"], ["scores"], "output"))
    nodes.append(helper.make_node("Add", ["scores", "output_bias"], ["logits"], "add_bias"))
    if layers > 1:
        joined = [(n, f"next_{n}") for n in ("hidden", "cell")]
        nodes += [helper.make_node("Concat", states[n], [n], f"join_{name}", axis=0) for name, n in joined]
    info = helper.make_tensor_value_info
    values = {name: info(name, TensorProto.FLOAT, [layers, "batch", units]) for name in states}
    values["token"] = info("token", TensorProto.INT64, ["time", "batch"])
    values["logits"] = info("logits", TensorProto.FLOAT, ["time", "batch", len(output)])
    graph = helper.make_graph(
        nodes,
        "character_lstm",
        [values[name] for name in ("token", "hidden", "cell")],
        [values[name] for name in ("logits", "next_hidden", "next_cell")],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in tensors.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, producer_name="textgen-train", opset_imports=opsets, ir_version=9)
    helper.set_model_props(model, metadata.to_props())
    onnx.checker.check_model(model, full_check=True)
    return model


def make_model(symbols: Sequence[str] = SYMBOLS, **sizes: Any) -> onnx.ModelProto:
    """Return a model with random weights. ``sizes`` are those of ``random_weights``, and ``residual``."""
    residual = sizes.pop("residual", False)
    metadata = Metadata(
        make_tokenizer("character", symbols),
        Normalization(lowercase=True, unicode="NFC"),
        prompts=("abc", "dad had", "é€ж𝄞") if "𝄞" in symbols else (symbols[0],),
        training={"corpus": "none: the weights are random"},
    )
    return build_model(random_weights(len(symbols), **sizes), metadata, residual=residual)


if __name__ == "__main__":
    TINY.write_bytes(make_model().SerializeToString(deterministic=True))
