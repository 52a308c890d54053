"""The description of a model file, without running the model."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textgen_runtime.engines.core import CoreNetwork
from textgen_runtime.engines.opening import why_not_native
from textgen_runtime.errors import ModelFileError, UnknownGraphError
from textgen_runtime.model_file.bundled import find_model_file
from textgen_runtime.model_file.metadata import Metadata, check_format
from textgen_runtime.model_file.metadata_values import FORMAT_KEY
from textgen_runtime.model_file.network import Network
from textgen_runtime.model_file.reader import ModelFile
from textgen_runtime.model_file.source import name_source, read_model
from textgen_runtime.system.json_text import from_json


@dataclass(frozen=True)
class Description:
    """The description of a model file.

    Attributes:
        path: The path of the file.
        size: Size of the file in bytes.
        sha256: SHA-256 of the file, in hexadecimal.
        format: Version of the metadata format.
        cell: The kind of the layers, such as ``"lstm"``, or None if the native engine cannot run the model.
        residual: Whether there are residual connections between layers; False if they are not known.
        layers: Number of layers between the embedding and the output. If they are not known, it is inferred
            from the shapes of the state arrays.
        units: Number of units per layer.
        parameters: Number of float32 values in the file.
        engine: ``"native"``, or None if only ``--engine onnxruntime`` runs the model.
        why_not_native: Why the native engine cannot run the model, or None if it can.
        metadata: The metadata.
    """

    path: Path
    size: int
    sha256: str
    format: int
    cell: str | None
    residual: bool
    layers: int
    units: int
    parameters: int
    engine: str | None
    why_not_native: str | None
    metadata: Metadata

    def as_json(self) -> dict[str, Any]:
        """Return the description as JSON values. Metadata keys have no ``textgen.`` prefix."""
        tokenizer, quantization = self.metadata.tokenizer, self.metadata.quantization
        return {
            "path": str(self.path),
            "bytes": self.size,
            "sha256": self.sha256,
            "format": self.format,
            "level": tokenizer.level,
            "cell": self.cell,
            "residual": self.residual,
            "layers": self.layers,
            "units": self.units,
            "parameters": self.parameters,
            "engine": self.engine,
            "why_not_native": self.why_not_native,
            "vocabulary": list(tokenizer.symbols),
            "special": tokenizer.special.by_name,
            "normalization": self.metadata.normalization._asdict(),
            "records": self.metadata.records,
            "quantization": quantization and quantization.as_json(),
            "prompts": list(self.metadata.prompts),
            "training": dict(self.metadata.training),
        }


def describe_file(model: str | os.PathLike[str]) -> Description:
    """Describe a model file. Its graph is checked but not run.

    Args:
        model: The path of a model file or of its folder, or the name of a bundled model.

    Raises:
        ModelFileError: If the file cannot be read, is damaged, or is not a text generator.
    """
    content = read_model(model)
    try:
        return _describe(Path(find_model_file(model)), content)
    except ModelFileError as error:
        raise ModelFileError(f"{name_source(model)}: ", *error.args) from error


def _describe(path: Path, content: bytes) -> Description:
    file = ModelFile(content)
    check_format(file.metadata)
    engine: str | None = "native"
    reason = vocabulary = None
    try:
        vocabulary = file.vocabulary_size
        # Like ``load``, this rejects damaged weights.
        CoreNetwork(file)
    except UnknownGraphError as error:
        engine, reason = None, why_not_native(error)
    metadata = Metadata.from_props(file.metadata, vocabulary)
    network = _network(file, is_known=reason is None)
    layers, units = network.depth_and_units
    cell = network.layers[1].kind if network.layers else None
    return Description(
        path=path,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        format=from_json(file.metadata[FORMAT_KEY]),
        cell=cell,
        residual=any(getattr(layer, "residual", False) for layer in network.layers),
        layers=layers,
        units=units,
        parameters=file.parameters,
        engine=engine,
        why_not_native=reason,
        metadata=metadata,
    )


def _network(file: ModelFile, *, is_known: bool) -> Network:
    """Return the network of a file. Without the layers if they are not known."""
    if is_known:
        return file.network
    state = {name: size for name, size in file.declared_state.items() if min(size) > 0}
    if not state:
        raise ModelFileError(
            "not a text generator: the graph has no state input (float32 of shape [layers, batch, units])"
        )
    return Network((), state, 0, bits=None)
