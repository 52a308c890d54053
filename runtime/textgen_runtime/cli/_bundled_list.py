"""The list of models that ship, as ``textgen-run --list`` prints it."""

import os

from textgen_runtime.generation.loading import load
from textgen_runtime.model_file.bundled import bundled_models, find_model_file

KILOBYTE = 1000


def describe(name: str) -> str:
    """A shipped model in a line: name, size, what it learned from, and how well."""
    model = load(name)
    training = model.training
    layers, units = model.engine.network.recurrent
    size = os.path.getsize(find_model_file(name)) / KILOBYTE  # noqa: PTH202 (without pathlib)
    return (
        f"{name}  {size:,.0f} kB, {layers} x {units} units; learned from "
        f"{training['corpus']}, {training['held_out_nats']:.4f} nats a character on "
        f"{training['split']['held_out']}"
    )


def list_models() -> str:
    """A line for each model that ships."""
    return "".join(f"{describe(name)}\n" for name in bundled_models())
