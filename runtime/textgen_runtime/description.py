"""What a model file says of itself, without running it."""

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .contract import FORMAT_KEY, HIDDEN, LEVEL, UNKNOWN, Contract, check_format
from .errors import ModelFileError
from .json_text import from_json
from .loading import name_source, read_model
from .native_graph import UnknownGraphError, match_graph
from .native_tensors import FLOAT, ITEM_BYTES
from .native_weights import TooLargeError, check_sizes
from .onnx_file import parse
from .shipped import locate

STATE_DIMENSIONS = 3


@dataclass(frozen=True)
class Description:
    """What a model file says of itself.

    Attributes:
        path: The file.
        size: Its bytes.
        sha256: Of the file, in hexadecimal.
        format: The number of the metadata's format.
        layers: LSTM layers, by the shape of the state that the graph declares.
        units: Units a layer.
        parameters: How many float32 values the file holds.
        engine: What runs it by default, ``"native"`` or ``"onnxruntime"``; None if only ``--engine
            onnxruntime`` does.
        why_not_native: Why the native engine does not run it; None if it does.
        contract: The metadata.
    """

    path: Path
    size: int
    sha256: str
    format: int
    layers: int
    units: int
    parameters: int
    engine: str | None
    why_not_native: str | None
    contract: Contract

    def as_json(self) -> dict[str, Any]:
        """The same, made of what JSON has; the metadata under its keys without ``textgen.``."""
        unknown = self.contract.vocabulary.unknown
        return {
            "path": str(self.path),
            "bytes": self.size,
            "sha256": self.sha256,
            "format": self.format,
            "level": LEVEL,
            "layers": self.layers,
            "units": self.units,
            "parameters": self.parameters,
            "engine": self.engine,
            "why_not_native": self.why_not_native,
            "vocabulary": list(self.contract.vocabulary.symbols),
            "special": {} if unknown is None else {UNKNOWN: unknown},
            "normalization": asdict(self.contract.normalization),
            "prompts": list(self.contract.prompts),
            "training": dict(self.contract.training),
        }


def describe_file(model: str | os.PathLike[str]) -> Description:
    """Read what a model file says of itself; its graph is looked at and not run.

    Args:
        model: The path of a model file, or the name of one that ships.

    Raises:
        ModelFileError: If the file cannot be read, is damaged, or is not a text generator.
    """
    content = read_model(model)
    try:
        return _describe(locate(model), content)
    except ModelFileError as error:
        raise ModelFileError(f"{name_source(model)}: {error}") from error


def _describe(path: Path, content: bytes) -> Description:
    parsed = parse(content)
    metadata = {entry.key: entry.value for entry in parsed.metadata_props}
    check_format(metadata)
    engine: str | None = "native"
    reason = characters = None
    try:
        known = match_graph(parsed)
        characters = known.vocabulary
        check_sizes(known.units, characters, len(known.lstms))
        # Damaged ones are refused here as they are by load.
        known.weights()
    except TooLargeError as error:
        engine, reason = "onnxruntime", str(error)
    except UnknownGraphError as error:
        engine, reason = None, f"its graph is not one that textgen-train writes ({error})"
    contract = Contract.from_metadata(metadata, characters)
    layers, units = _declared_state(parsed.graph)
    return Description(
        path=path,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        format=from_json(metadata[FORMAT_KEY]),
        layers=layers,
        units=units,
        parameters=sum(_stored(tensor) for tensor in parsed.graph.initializer if tensor.data_type == FLOAT),
        engine=engine,
        why_not_native=reason,
        contract=contract,
    )


def _declared_state(graph: Any) -> tuple[int, int]:
    """Layers and units, from the shape of the hidden state."""
    for value in graph.input:
        shape = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        if value.name == HIDDEN and len(shape) == STATE_DIMENSIONS and shape[0] > 0 and shape[2] > 0:
            return shape[0], shape[2]
    raise ModelFileError(
        f"it is no text generator: its graph has no input {HIDDEN!r} that states its layers and units"
    )


def _stored(tensor: Any) -> int:
    """How many values a float32 tensor holds; not how many it claims to hold."""
    return len(tensor.raw_data) // ITEM_BYTES[FLOAT] + len(tensor.float_data)
