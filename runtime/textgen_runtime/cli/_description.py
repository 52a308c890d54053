"""What a model file says of itself, without running it."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textgen_runtime.engines.core import CoreNetwork
from textgen_runtime.engines.opening import why_not_native
from textgen_runtime.errors import ModelFileError, UnknownGraphError
from textgen_runtime.model_file.bundled import find_model_file
from textgen_runtime.model_file.graph_names import HIDDEN
from textgen_runtime.model_file.metadata import FORMAT_KEY, UNKNOWN, Metadata, check_format
from textgen_runtime.model_file.reader import ModelFile
from textgen_runtime.model_file.source import name_source, read_model
from textgen_runtime.system.json_text import from_json


@dataclass(frozen=True)
class Description:
    """What a model file says of itself.

    Attributes:
        path: The file.
        size: Its bytes.
        sha256: Of the file, in hexadecimal.
        format: The number of the metadata's format.
        layers: Layers of the state that the graph declares: of ``hidden``, or else of its first array.
        units: Units of each, alike.
        parameters: How many float32 values the file holds.
        engine: What runs it by default, ``"native"``; None if only ``--engine onnxruntime`` does.
        why_not_native: Why the native engine does not run it; None if it does.
        metadata: The metadata.
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
    metadata: Metadata

    def as_json(self) -> dict[str, Any]:
        """The same, made of what JSON has; the metadata under its keys without ``textgen.``."""
        tokenizer = self.metadata.tokenizer
        return {
            "path": str(self.path),
            "bytes": self.size,
            "sha256": self.sha256,
            "format": self.format,
            "level": tokenizer.level,
            "layers": self.layers,
            "units": self.units,
            "parameters": self.parameters,
            "engine": self.engine,
            "why_not_native": self.why_not_native,
            "vocabulary": list(tokenizer.symbols),
            "special": {} if tokenizer.unknown is None else {UNKNOWN: tokenizer.unknown},
            "normalization": self.metadata.normalization._asdict(),
            "prompts": list(self.metadata.prompts),
            "training": dict(self.metadata.training),
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
        return _describe(Path(find_model_file(model)), content)
    except ModelFileError as error:
        raise ModelFileError(f"{name_source(model)}: {error}") from error


def _describe(path: Path, content: bytes) -> Description:
    file = ModelFile(content)
    check_format(file.metadata)
    engine: str | None = "native"
    reason = vocabulary = None
    try:
        vocabulary = file.vocabulary_size
        # Damaged weights are refused here as they are by load.
        CoreNetwork(file)
    except UnknownGraphError as error:
        engine, reason = None, why_not_native(error)
    metadata = Metadata.from_props(file.metadata, vocabulary)
    layers, units = _declared_state(file)
    return Description(
        path=path,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        format=from_json(file.metadata[FORMAT_KEY]),
        layers=layers,
        units=units,
        parameters=file.parameters,
        engine=engine,
        why_not_native=reason,
        metadata=metadata,
    )


def _declared_state(file: ModelFile) -> tuple[int, int]:
    """Layers and units, from the shape of the hidden state, or else of the first array."""
    state = file.declared_state
    first = next(iter(state.values()), (0, 0))
    layers, units = state.get(HIDDEN, first)
    if layers < 1 or units < 1:
        raise ModelFileError(
            "it is no text generator: its graph has no state, a float32 input of stated layers and units"
        )
    return layers, units
