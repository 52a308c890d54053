"""The list of ``textgen-run --list``: each bundled model with a sample."""

import os
import sys

from textgen_runtime.model import Model, load
from textgen_runtime.model_file import bundled_models, find_model_file

# How the samples are drawn, and their columns.
SAMPLE_SEED, SAMPLE_TEMPERATURE, SAMPLE_LENGTH, SAMPLE_RECORDS, SAMPLE_WIDTH = 1, 0.6, 400, 10, 76
# Where a sample may begin, the best place first: a paragraph, a sentence, a line, a word.
BORDERS = ("\n\n", ". ", "\n", " ")


def describe_bundled() -> str:
    """Return two lines for each bundled model: a description, and a sample."""
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    lines = []
    for name in bundled_models():
        model = load(name)
        lines += [_describe_model(name, model), f"    {_sample(model)}"]
    return "".join(f"{line}\n" for line in lines)


def _describe_model(name: str, model: Model) -> str:
    """Return the name, size, network, corpus and held-out loss of a bundled model."""
    training = model.training
    layers, units, *_ = model.engine.core.size
    size = os.path.getsize(find_model_file(name)) / 1000  # noqa: PTH202 (without pathlib)
    quantization = model.metadata.quantization
    loss = quantization.loss if quantization else training["held_out_nats"]
    weights = ", 8 bits" if quantization else ""
    return (
        f"{name}  {size:,.0f} kB, {layers} x {units} units{weights}, trained on {training['corpus']}, "
        f"held-out loss {loss:.4f} nats"
    )


def _sample(model: Model) -> str:
    """Return a generated text in one line, which is the same each time: of records, some different ones."""
    if model.metadata.records:
        records = model.generate([""] * SAMPLE_RECORDS, seed=SAMPLE_SEED, temperature=SAMPLE_TEMPERATURE)
        text = ", ".join(dict.fromkeys(filter(None, records)))
    else:
        text = model.generate(length=SAMPLE_LENGTH, seed=SAMPLE_SEED, temperature=SAMPLE_TEMPERATURE)
        # The text continues an excerpt that ends anywhere. Half of it is more than a sample.
        places = (text.find(border, 0, SAMPLE_LENGTH // 2) + 1 for border in BORDERS)
        text = text[next(filter(None, places), 0) :]
    text = " ".join(text.split())
    return (
        text
        if len(text) <= SAMPLE_WIDTH
        else f"{text[: SAMPLE_WIDTH - 3].rpartition(' ')[0].rstrip(',')} ..."
    )
