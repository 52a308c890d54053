"""Conversion of a model file to 8-bit weights.

The module needs onnx and numpy, but not torch.
"""

from dataclasses import dataclass

import onnx
from google.protobuf.message import DecodeError
from textgen_runtime.errors import ModelFileError
from textgen_runtime.generation.loading import open_model
from textgen_runtime.generation.model import Model
from textgen_runtime.model_file.metadata import check_format
from textgen_runtime.model_file.network import GRU, LSTM
from textgen_runtime.model_file.quantization import Quantization
from textgen_runtime.model_file.reader import ModelFile

from textgen_train.errors import ExportError

from .onnx_graph import replace_metadata
from .quantized_graph import is_quantized, quantize_graph


@dataclass(frozen=True)
class QuantizedModel:
    """A model with 8-bit weights, and the same model with float32 weights.

    Attributes:
        content: The bytes of the 8-bit model file, whose metadata states no losses.
        model: The model that the runtime loaded from these bytes.
        float32: The float32 model.
        float32_size: The size of its file in bytes.
    """

    content: bytes
    model: Model
    float32: Model
    float32_size: int

    def content_with(self, quantization: Quantization) -> bytes:
        """Return the bytes of the model file with other metadata of the 8-bit weights."""
        return replace_metadata(self.content, self.model.metadata._replace(quantization=quantization))


def quantize_model(content: bytes, threads: int = 1) -> QuantizedModel:
    """Return a model with 8-bit weights.

    Args:
        content: The content of a model file with float32 weights.
        threads: The number of threads of both models.

    Raises:
        ModelFileError: If the file is damaged, or if ``textgen-train`` has not written it.
        ExportError: If the model has 8-bit weights already, or other layers than LSTM and GRU layers.
    """
    file = ModelFile(content)
    check_format(file.metadata)
    try:
        proto = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise ModelFileError(f"the file is damaged: {error}") from error
    if is_quantized(proto.graph):
        raise ExportError("the weights have 8 bits already: pass the float32 model")
    kinds = {layer.kind for layer in file.network.layers[1:-1]}
    if unsupported := kinds - {LSTM.kind, GRU.kind}:
        raise ExportError(f"8 bits are supported for lstm and gru layers, not for {unsupported.pop()} layers")
    # This checks the values of the weights.
    float32 = open_model(content, threads=threads)
    quantize_graph(proto.graph)
    onnx.checker.check_model(proto, full_check=True)
    metadata = float32.metadata._replace(quantization=Quantization())
    quantized = replace_metadata(proto.SerializeToString(), metadata)
    return QuantizedModel(quantized, open_model(quantized, threads=threads), float32, len(content))
