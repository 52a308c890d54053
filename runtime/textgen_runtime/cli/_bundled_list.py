"""The list of bundled models that ``textgen-run --list`` prints."""

import os

from textgen_runtime.generation.loading import load
from textgen_runtime.model_file.bundled import bundled_models, find_model_file

KILOBYTE = 1000


def describe_bundled(name: str) -> str:
    """Return one line with the model's name, size, network, corpus and held-out loss."""
    model = load(name)
    training = model.training
    layers, units = model.engine.network.depth_and_units
    size = os.path.getsize(find_model_file(name)) / KILOBYTE  # noqa: PTH202 (without pathlib)
    quantization = model.metadata.quantization
    loss = quantization.loss if quantization else training["held_out_nats"]
    weights = ", 8-bit weights" if quantization else ""
    return (
        f"{name}  {size:,.0f} kB, {layers} x {units} units{weights}; trained on {training['corpus']}; "
        f"{loss:.4f} nats per character on {training['split']['held_out']}"
    )


def list_models() -> str:
    """Return one line per bundled model."""
    return "".join(f"{describe_bundled(name)}\n" for name in bundled_models())
