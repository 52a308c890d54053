"""The ONNX graph of a model file, built node by node from the description of a network.

``build_model`` is the entry point. ``layer_nodes.py`` writes the nodes of each kind of layer.

torch's own exporter writes an LSTM layer as about twenty nodes. Many of them slice and transpose weights,
which takes time at every step. The graph of this module has one LSTM or GRU node per layer. The module needs
onnx and numpy, but not torch.
"""

from collections.abc import Sequence

import onnx
from onnx import helper
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.model_file.network import TOKEN, Network
from textgen_runtime.model_file.reader import OPSET

from .layer_nodes import WRITERS, GraphBuilder, LayerWeights

# The oldest version of the ONNX format that can represent the graph, so that old ONNX runtimes can load it.
IR_VERSION = 9

# A protobuf message must be smaller than 2 GiB. A twentieth of it is reserved for all data except weights.
MAX_PARAMETERS = 510_000_000


def build_model(network: Network, weights: Sequence[LayerWeights], metadata: Metadata) -> onnx.ModelProto:
    """Return the model file of a network, checked with ONNX's own checker.

    Args:
        network: The description of the network.
        weights: The arrays of each layer.
        metadata: The metadata of the file.

    Raises:
        ValueError: If an array does not have the shape that its layer requires.
        onnx.checker.ValidationError: If the graph is invalid, which is a defect of this module.
    """
    graph = GraphBuilder(network)
    for layer, arrays in zip(network.layers, weights, strict=True):
        WRITERS[type(layer)](graph, layer, arrays)
    model = helper.make_model(
        graph.build(),
        producer_name="textgen-train",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, metadata.to_props(network.state))
    onnx.checker.check_model(model, full_check=True)
    return model


def replace_metadata(content: bytes, metadata: Metadata) -> bytes:
    """Return the bytes of a model file with other metadata."""
    model = onnx.ModelProto.FromString(content)
    del model.metadata_props[:]
    state = [value.name for value in model.graph.input if value.name != TOKEN]
    helper.set_model_props(model, metadata.to_props(state))
    return model.SerializeToString()
