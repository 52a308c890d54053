"""Training from the weights of a model: ``--from``."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen_runtime.engine import NativeEngine
from textgen_runtime.errors import ModelFileError, quote, shorten
from textgen_runtime.model_file import Metadata, find_model_file, read_model
from textgen_runtime.tokenizer import Tokenizer, format_symbols

from textgen_train.data.dataset import Dataset
from textgen_train.data.tokens import count_tokens
from textgen_train.errors import TrainingError
from textgen_train.export.model_weights import add_symbols, read_weights
from textgen_train.export.network import Cell, Network, network_of
from textgen_train.export.onnx_graph import LayerWeights
from textgen_train.options import RunOptions
from textgen_train.presets import PRESETS, preset
from textgen_train.recipe import LSTM

if TYPE_CHECKING:
    from textgen_train.models.network import CharNetwork


@dataclass(frozen=True)
class ParentModel:
    """A model file from whose weights a run starts.

    Attributes:
        source: A model file, a folder that holds one, or the name of a bundled model.
    """

    source: str
    sha256: str
    metadata: Metadata
    network: Network
    weights: Sequence[LayerWeights]
    tokenizer: Tokenizer

    @property
    def corpus(self) -> str | None:
        """The name of the corpus that the model was trained on; None if the file does not state it."""
        corpus = self.metadata.training.get("corpus")
        return corpus if isinstance(corpus, str) else None

    @property
    def origin(self) -> dict[str, Any]:
        """What a model file states of its parent."""
        return {"sha256": self.sha256, "corpus": self.corpus}

    @property
    def path(self) -> Path:
        """The model file."""
        return Path(find_model_file(self.source))

    def load_weights(self, model: "CharNetwork", dataset: Dataset) -> None:
        """Copy the weights into a network, with rows for the symbols that the dataset adds.

        Raises:
            TrainingError: If the network cannot have the layers of the model.
        """
        # It imports torch, which takes seconds.
        from textgen_train.export.layer_weights import load_weights, network_and_weights

        network, _ = network_and_weights(model)
        if network.layers[1:-1] != self.network.layers[1:-1]:
            raise TrainingError(
                f"{shorten(self.source)} cannot be trained further: textgen-train does not make such layers"
            )
        weights, size = self.weights, len(dataset.tokenizer)
        if size > len(self.tokenizer):
            weights = add_symbols(weights, count_tokens(dataset.training, size))
        load_weights(model, weights)

    def describe(self, dataset: Dataset, recipe_name: str) -> str:
        """Return the lines that a run prints about the model."""
        corpus = f", trained on {quote(self.corpus)}" if self.corpus else ""
        lines = f"starting from {shorten(self.source)}{corpus}; {recipe_name}\n"
        if new := list(dataset.tokenizer.symbols[len(self.tokenizer) :]):
            lines += f"added to the vocabulary: {format_symbols(new)}\n"
        return lines


def read_parent(source: str) -> ParentModel:
    """Read the model from which a run starts.

    Raises:
        ModelFileError: If the file cannot be read, is damaged, or is not one of ``textgen-train``.
    """
    content = read_model(source)
    try:
        engine = NativeEngine(content)
        metadata, weights = Metadata.read(engine.core), read_weights(content)
    except ModelFileError as error:
        raise ModelFileError(f"{shorten(source)}: {error}") from None
    sha256 = hashlib.sha256(content).hexdigest()
    return ParentModel(source, sha256, metadata, network_of(engine), weights, metadata.tokenizer)


def with_parent(options: RunOptions, parent: ParentModel) -> RunOptions:
    """Return the options with those that a model determines: network, records, normalization and preset."""
    normalization = parent.metadata.normalization
    embedding, *cells, _ = parent.network.layers
    layers, units = parent.network.depth_and_units
    network = {
        "cell": cells[0].kind,
        "units": units,
        "layers": layers,
        "residual": any(isinstance(cell, Cell) and cell.residual for cell in cells),
        "embedding": embedding.outputs,
    }
    return replace(
        options,
        level=parent.tokenizer.level,
        lowercase=normalization.lowercase,
        unicode=normalization.unicode or "none",
        records=parent.metadata.records,
        preset=options.preset or nearest_preset(layers, units, cells[0].kind),
        hyperparameters={**options.hyperparameters, **network},
    )


def nearest_preset(layers: int, units: int, cell: str = LSTM) -> str:
    """Return the name of the preset whose number of weights in the layers has the most similar magnitude."""

    def size(layers: int, units: int) -> int:
        # In an LSTM or a GRU, each layer has recurrent weights, and from the second on as many input weights.
        return (2 * layers - 1) * units**2

    def distance(name: str) -> float:
        recipe = preset(name, 0, cell=cell)
        return abs(math.log(size(recipe.layers, recipe.units) / size(layers, units)))

    return min(PRESETS, key=distance)
