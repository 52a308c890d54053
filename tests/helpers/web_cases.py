"""Write models, and what Python makes of them, for the tests of the JavaScript package.

``python -m tests.helpers.web_cases FOLDER`` writes them to ``FOLDER/cases``, and the pages of web_sites to
``FOLDER/sites``.

The arithmetic of the plain WebAssembly module is that of the kernels "baseline". With relaxed SIMD, it is
that of the best kernels of the processor, which have fused multiply-adds if the processor has them. 8-bit
models do not depend on the kernels. So all numbers are equal.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import textgen_runtime as textgen
from textgen_runtime import Model, Sampling
from textgen_runtime._core import CoreModel
from textgen_runtime.cli.info import describe_table
from textgen_runtime.controls import compile_controls
from textgen_runtime.engine import NativeEngine
from textgen_runtime.model_file import read_model
from textgen_runtime.text import Normalization
from textgen_runtime.tokenizer import WORD

from tests.helpers.byte_models import accented_content
from tests.helpers.int8_models import quantize_model
from tests.helpers.make_tiny_model import SYMBOLS, make_model
from tests.helpers.paths import TINY, TINY_INT8
from tests.helpers.record_models import LEVELS, record_content
from tests.helpers.web_sites import write_sites

LENGTH = 400

# All levels have its symbols.
SURPRISE_TEXT = "bad cab é"

# Sampling parameters in Python, and a word for the test.
SAMPLINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "greedy": {"temperature": 0.0},
    "warm": {"temperature": 1.3},
    "truncations": {"temperature": 1.0, "top_k": 20, "top_p": 0.9, "min_p": 0.02, "typical_p": 0.95},
    "penalties": {"repetition_penalty": 1.3, "frequency_penalty": 0.2, "presence_penalty": 0.4},
    "window": {"repetition_penalty": 2.0, "penalty_window": 3},
    "mirostat": {"temperature": 1.0, "mirostat_tau": 2.0, "mirostat_eta": 0.2},
    "bias": {"logit_bias": {"a": -3.0, "b": 2.0}},
    "banned": {"banned": "ae"},
    "allowed": {"allowed": " abcde", "temperature": 1.0},
    "stop": {"stop": ["ca", "e ", "unlikely é"], "temperature": 0.8},
    "minimum": {"min_length": 40, "temperature": 0.8},
    "kept stop": {"stop": ["ab", "d"], "keep_stop": True, "temperature": 0.8},
    "few copies": {"max_copy": 3},
    "fewer copies": {"max_copy": 2, "stop": ["abc", "d"], "temperature": 1.0},
}

SEED = 7
LONG_SEED = 2**64 + 5

CONSTRAINTS: dict[str, dict[str, Any]] = {
    "expression": {"match": "[a-d]+ (a|b)[cd]{2,3}"},
    "choices": {"choices": ["abc", "abd", "b é", "dd"]},
    "banned": {"match": "(ab|cd)[a-d]{3}", "banned": "b"},
}


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


def with_novel(model: Model) -> Model:
    """Return a model that can be kept from copying a text of its own, which unknown characters divide."""
    text = model.generate(prompt_of(model), seed=SEED)
    middle = len(text) // 2
    return model.with_novel(f"{text[:middle]}\u2603\u2603{text[middle:]}")


def prompt_of(model: Model) -> str:
    """Return a prompt for a model."""
    return "" if model.metadata.records else "the will to " if "w" in model.tokenizer.symbols else "abc"


def open_plain(data: bytes) -> Model:
    """Return a model that computes like the plain WebAssembly module."""
    return Model(NativeEngine(data, kernels="baseline"), textgen.load(data).metadata, data, None)


def describe(name: str, data: bytes, model: Model) -> dict[str, Any]:
    """Return what JavaScript must reproduce for a model."""
    prompt = prompt_of(model)
    model = with_novel(model)
    generation = model.start(prompt, seed=1)
    return {
        "parameters": CoreModel(data).parameters,
        "bits": 8 if name.endswith("int8") else 32,
        "prompt": prompt,
        "novel": model.novel,
        "default": model.generate(seed=3),
        "texts": [
            text_case(model, prompt, "defaults", LONG_SEED),
            *(text_case(model, prompt, name, SEED) for name in SAMPLINGS if is_possible(name, model)),
        ],
        "constraints": [constraint_case(model, prompt, name) for name in CONSTRAINTS],
        # JSON has no infinity, and JavaScript writes null for it.
        "logits": [float(value) if np.isfinite(value) else None for value in generation.logits],
        "top": [entry._asdict() for entry in generation.top(5)],
        "surprise": token_surprisals(model, SURPRISE_TEXT),
        "fed": fed_text(model, prompt),
    }


def is_possible(name: str, model: Model) -> bool:
    """Whether a model has what the sampling parameters need."""
    if "max_copy" in SAMPLINGS[name]:
        return model.tokenizer.level != WORD
    return name != "minimum" or model.metadata.records is not None


def text_case(model: Model, prompt: str, name: str, seed: int) -> dict[str, Any]:
    """Return the text of some sampling parameters, in pieces too."""
    options = SAMPLINGS[name]
    generation = model.start(prompt, seed=seed, substream=2, **options)
    taken = []
    for _ in range(5):
        text = generation.take(37)
        taken.append([text, generation.ending])
    return {
        "name": name,
        "options": in_javascript(options),
        "seed": str(seed),
        "text": model.generate(prompt, length=LENGTH, seed=seed, **options),
        "taken": taken,
    }


def constraint_case(model: Model, prompt: str, name: str) -> dict[str, Any]:
    """Return the texts that match a constraint, and its table."""
    sampling = Sampling(temperature=1.0, **CONSTRAINTS[name])
    # That of the characters that are not banned, too.
    table = compile_controls(sampling.replace(banned=""), model.metadata).constraint
    assert table is not None
    return {
        "name": name,
        "banned": sampling.banned,
        "table": describe_table(table, model.tokenizer.symbols),
        "texts": [model.generate(prompt, length=12, seed=seed, sampling=sampling) for seed in range(20)],
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


def in_javascript(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with the names of JavaScript."""
    return {
        "".join([part.title() if i else part for i, part in enumerate(name.split("_"))]): value
        for name, value in options.items()
    }


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
        relaxed[name] = describe(name, data, textgen.load(data))
        plain[name] = relaxed[name] if name.endswith("int8") else describe(name, data, open_plain(data))
    document = {
        "models": {"baseline": plain, "relaxed-simd": relaxed},
        "normalizations": normalizations(),
    }
    (folder / "cases.json").write_text(json.dumps(document, allow_nan=False), encoding="utf-8")


def main() -> None:
    """Write the files of the tests in ``tests/web``."""
    # Some stop texts have characters outside the vocabulary of some models.
    warnings.simplefilter("ignore")
    write_cases(Path(sys.argv[1], "cases"))
    write_sites(Path(sys.argv[1], "sites"))


if __name__ == "__main__":
    main()
