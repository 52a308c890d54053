"""Write models, and what Python makes of them, for the tests of the JavaScript package.

``python -m tests.helpers.web_cases FOLDER`` writes them to ``FOLDER/cases``, and the pages that the
tests open, with the texts that they must show, to ``FOLDER/sites``.

The arithmetic of the plain WebAssembly module is that of the kernels "baseline". With relaxed SIMD, it is
that of the best kernels of the processor, which have fused multiply-adds if the processor has them. 8-bit
models do not depend on the kernels. So all numbers are equal.
"""

import json
import re
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import textgen_runtime as textgen
from textgen_runtime import Model
from textgen_runtime._core import CoreModel
from textgen_runtime.cli.info import describe_file
from textgen_runtime.cli.web import read_abcjs
from textgen_runtime.engine import NativeEngine
from textgen_runtime.model_file import Metadata, make_tokenizer, read_model
from textgen_runtime.surprise_page import surprise_page
from textgen_runtime.text import Normalization
from textgen_runtime.web.known_records import known_records
from textgen_runtime.web.page import write_page
from textgen_train._core import Corpus, Trainer, choose_preset

from tests.helpers.byte_models import accented_content
from tests.helpers.int8_models import quantize_model
from tests.helpers.make_tiny_model import SYMBOLS, build_model, make_model, random_weights
from tests.helpers.paths import ROOT, TINY, TINY_INT8
from tests.helpers.record_models import LEVELS, record_content

PROMPT = "the will to "

# With 8-bit and with float32 weights.
BUNDLED = ("nietzsche", "nietzsche-float32")

# Letters that are written from right to left.
HEBREW = "\n אבגדה"

# The printable characters of ASCII.
PRINTABLE = "".join(map(chr, range(32, 127)))

ABCJS = ROOT / "tests/web/node_modules/abcjs/dist/abcjs-basic-min.js"


def small_content(symbols: Sequence[str]) -> bytes:
    """Return the content of a model of characters with random weights."""
    metadata = Metadata(make_tokenizer("character", symbols), Normalization(), prompts=("abc",))
    return build_model(random_weights(len(symbols)), metadata).SerializeToString()


def surprise_site(model: textgen.Model) -> bytes:
    """Return a surprise page of two texts, the first with lines of different lengths."""
    texts = ["the will\nto\n\npower and ", "again and again"]
    return surprise_page(
        "Surprise", [(text[:3], "", textgen.predict(model, text)) for text in texts]
    ).encode()


def write_sites(folder: Path) -> None:
    """Write a folder for each page, and ``expected.json``."""
    nietzsche = read_model("nietzsche")
    model = textgen.load(nietzsche)
    tunes, abcjs = read_model(ROOT / "tests/golden/tunes.onnx"), read_abcjs(ABCJS)
    names = record_content(end_bias=2.0)
    # Most texts that the page would write.
    known = sorted(set(textgen.load(names).generate([""] * 2000, temperature=0.5, seed=1)))
    pages = {
        "textgen": write_page(),
        "known": write_page(names, title="Names", prompt="", known=known_records(known)),
        **{name: write_page(read_model(name), title=name.title(), prompt=PROMPT) for name in BUNDLED},
        "hebrew": write_page(make_model(HEBREW).SerializeToString(), title="Hebrew", prompt="אב"),
        "accented": write_page(accented_content(), title="Accents", prompt="abc"),
        "tunes": write_page(tunes, title="Tunes", prompt="", abcjs=abcjs),
        "abc": write_page(small_content(f"\n{PRINTABLE}"), title="ABC", prompt="", abcjs=abcjs),
        "damaged": write_page(nietzsche[:-1000], title="Damaged", prompt=""),
        **{
            level: write_page(record_content(level, end_bias=1.0), title=level, prompt="") for level in LEVELS
        },
        "surprise": surprise_site(model),
    }
    for name, page in pages.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "index.html").write_bytes(page)
    cold = model.generate(PROMPT, length=400, temperature=0.5, seed=7)
    branch = f"{cold[:30]}z"
    expected = {
        "branch": branch + model.generate(PROMPT + branch, length=100, temperature=1.2, seed=8),
        "cold": {
            name: textgen.load(name).generate(PROMPT, length=400, temperature=0.5, seed=7) for name in BUNDLED
        },
        "warm": model.generate(PROMPT, length=400, temperature=1.0, seed=4294967295),
        "known": known,
        "records": {
            level: [
                textgen.load(record_content(level, end_bias=1.0)).generate(temperature=0.8, seed=seed)
                for seed in range(2)
            ]
            for level in LEVELS
        },
    }
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")


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
    forward = model.engine.forward(np.asarray(tokens)[:, np.newaxis], model.engine.initial_state())
    logits = np.asarray(forward[0])[:-1, 0].astype(np.float64)
    logits[:, list(model.tokenizer.special.never_drawn)] = -np.inf
    nats = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), tokens[1:]]
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


# Two networks that learn for some updates: of a continuous text, and of records.
LESSONS: dict[str, dict[str, float]] = {
    "": {"units": 12, "layers": 2, "batch": 9, "sequenceLength": 8, "weightDropout": 0.2, "residual": 1},
    "lines": {"units": 20, "layers": 1, "muonLr": 0, "dropout": 0.1, "confidencePenalty": 0.1, "parts": 3},
}


def learned(kernels: str | None) -> list[dict[str, Any]]:
    """Return texts, and the run and the model that the trainer makes of each."""
    results = []
    for records, values in LESSONS.items():
        rng = np.random.default_rng(5)
        text = "".join(f"{rng.choice(['Zoë', 'Ana', 'Bo'])}{rng.integers(99)}\n" for _ in range(400))
        corpus = Corpus(text.encode(), "names", records=records or None, unicode="NFC")
        chosen = choose_preset("small", corpus.common_symbols, corpus.training_tokens, 30.0)
        chosen |= {
            re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name): value
            for name, value in values.items()
        }
        trainer = Trainer(corpus, chosen, 7, 2, kernels)
        losses = [trainer.update(step / 12) for step in range(12)]
        results.append(
            {
                "text": text,
                "records": records,
                "values": values,
                "losses": losses,
                "heldOut": trainer.score(),
                "run": sha256(trainer.save()).hexdigest(),
            }
        )
    return results


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
        "learned": {"baseline": learned("baseline"), "relaxed-simd": learned(None)},
    }
    (folder / "cases.json").write_text(json.dumps(document, allow_nan=False), encoding="utf-8")


def main() -> None:
    """Write the files of the tests in ``tests/web``."""
    write_cases(Path(sys.argv[1], "cases"))
    write_sites(Path(sys.argv[1], "sites"))


if __name__ == "__main__":
    main()
