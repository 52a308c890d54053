"""Write models, and what Python makes of them, for the tests of the JavaScript package.

``python -m tests.helpers.web_cases FOLDER`` writes them to ``FOLDER/cases``, and the pages of web_sites to
``FOLDER/sites``.

The arithmetic of the plain WebAssembly module is that of the kernels "baseline". With relaxed SIMD, it is
that of the best kernels of the processor, which have fused multiply-adds if the processor has them. 8-bit
models do not depend on the kernels. So all numbers are equal.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import textgen_runtime as textgen
from textgen_runtime import Model
from textgen_runtime._core import CoreModel
from textgen_runtime.cli.info import describe_file
from textgen_runtime.engine import NativeEngine
from textgen_runtime.model_file import read_model
from textgen_runtime.text import Normalization

from tests.helpers.byte_models import accented_content
from tests.helpers.int8_models import quantize_model
from tests.helpers.make_tiny_model import SYMBOLS, make_model
from tests.helpers.paths import TINY, TINY_INT8
from tests.helpers.record_models import LEVELS, record_content
from tests.helpers.web_sites import write_sites

# All levels have its symbols.
SURPRISE_TEXT = "bad cab é"

# The parts of a description that have the same names in JavaScript.
INFO = (
    *("format", "level", "records", "vocabulary", "special", "prompts", "training"),
    *("parameters", "layers", "units", "residual", "quantization"),
)


def models() -> dict[str, bytes]:
    """Return the content of each model file."""
    return {
        "nietzsche": read_model("nietzsche-float32"),
        "tiny": TINY.read_bytes(),
        "layers": content(layers=3, units=20, residual=True),
        **{level: record_content(level, end_bias=1.0) for level in LEVELS},
        "accented": accented_content(),
        "tiny_int8": TINY_INT8.read_bytes(),
        "nietzsche_int8": read_model("nietzsche"),
        "layers_int8": quantized(content(layers=2, units=20)),
        "character_int8": quantized(record_content("character", end_bias=1.0)),
        "accented_int8": quantized(accented_content()),
    }


def quantized(data: bytes) -> bytes:
    """Return a model with 8-bit weights."""
    return bytes(quantize_model(onnx.load_from_string(data)).SerializeToString())


def content(**options: Any) -> bytes:
    """Return the content of a model with random weights."""
    return bytes(make_model(SYMBOLS, scale=0.5, **options).SerializeToString())


def prompt_of(model: Model) -> str:
    """Return a prompt for a model."""
    return "" if model.metadata.records else "the will to " if "w" in model.tokenizer.symbols else "abc"


def open_plain(data: bytes) -> Model:
    """Return a model that computes like the plain WebAssembly module."""
    return Model(NativeEngine(data, kernels="baseline"), textgen.load(data).metadata, data, None)


def info_of(path: Path) -> dict[str, Any]:
    """Return what JavaScript must say of a model."""
    document, _ = describe_file(str(path))
    return {
        **{name: document[name] for name in INFO},
        **document["normalization"],
        "embedding": CoreModel(path.read_bytes()).size[2],
        "bits": 8 if path.stem.endswith("int8") else 32,
    }


def describe(model: Model) -> dict[str, Any]:
    """Return what JavaScript must reproduce for a model."""
    prompt = prompt_of(model)
    generation = model.start(prompt, seed=1)
    return {
        "prompt": prompt,
        "default": model.generate(seed=3),
        "text": model.generate(prompt, length=400, temperature=1.0, seed=7),
        # JSON has no infinity, and JavaScript writes null for it.
        "logits": [float(value) if np.isfinite(value) else None for value in generation.logits],
        "top": [entry._asdict() for entry in generation.top(5)],
        "surprise": token_surprisals(model, SURPRISE_TEXT),
        "fed": fed_text(model, prompt),
    }


def token_surprisals(model: Model, text: str) -> list[float]:
    """Return the surprisal of each token of a text among the tokens that can be drawn.

    Without records, the first token is not predicted.
    """
    tokens = model.encode_prompt(text, is_start=True)
    logits = model.engine.forward(np.asarray(tokens)[:, np.newaxis], model.engine.initial_state())[0]
    logits = np.asarray(logits)[:-1, 0].astype(np.float64)
    logits[:, list(model.tokenizer.special.never_drawn)] = -np.inf
    nats = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(logits)), tokens[1:]]
    return [float(value) for value in nats]


def fed_text(model: Model, prompt: str) -> list[str]:
    """Return texts between which text is fed."""
    generation = model.start(prompt, seed=11, temperature=0.9)
    return [generation.take(30), generation.feed("cab"), generation.take(30), generation.finish()]


def normalizations() -> list[dict[str, Any]]:
    """Return texts and what the normalizations make of them."""
    texts = [
        "\ufeffA\r\nB\rC",
        "É e\u0301 ǅ \u0130 ΑΣ \u017f",
        "ﬁ ½ \u212b K \u2122 \U0001d400\u0301",
        "\u1e9e\u0345 ΣΑΣ",
        "a\ufeffb",
    ]
    return [
        {
            "lowercase": lowercase,
            "unicode": form,
            "text": text,
            "normalized": Normalization(lowercase, form).apply(text),
        }
        for lowercase in (False, True)
        for form in (None, "NFC", "NFD", "NFKC", "NFKD")
        for text in texts
    ]


def write_cases(folder: Path) -> None:
    """Write the models and ``cases.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    plain, relaxed = {}, {}
    contents = models()
    for name, data in contents.items():
        (folder / f"{name}.onnx").write_bytes(data)
        info = {"info": info_of(folder / f"{name}.onnx")}
        relaxed[name] = info | describe(textgen.load(data))
        plain[name] = relaxed[name] if name.endswith("int8") else info | describe(open_plain(data))
    document = {
        "models": {"baseline": plain, "relaxed-simd": relaxed},
        "normalizations": normalizations(),
    }
    (folder / "cases.json").write_text(json.dumps(document, allow_nan=False), encoding="utf-8")


def main() -> None:
    """Write the files of the tests in ``tests/web``."""
    write_cases(Path(sys.argv[1], "cases"))
    write_sites(Path(sys.argv[1], "sites"))


if __name__ == "__main__":
    main()
