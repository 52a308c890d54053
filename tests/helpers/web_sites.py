"""Write the pages that the tests of the page open, and the texts that they must show."""

import json
from collections.abc import Sequence
from pathlib import Path

import textgen_runtime as textgen
from textgen_runtime.cli.web import read_abcjs
from textgen_runtime.model_file import Metadata, make_tokenizer, read_model
from textgen_runtime.surprise_page import surprise_page
from textgen_runtime.text import Normalization
from textgen_runtime.web.known_records import known_records
from textgen_runtime.web.page import write_page
from textgen_train.export.onnx_graph import build_model

from tests.helpers.byte_models import accented_content
from tests.helpers.make_tiny_model import make_model, random_network
from tests.helpers.paths import ROOT
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
    return build_model(*random_network(len(symbols)), metadata).SerializeToString()


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
    tunes, abcjs = read_model("tunes"), read_abcjs(ABCJS)
    names = record_content(end_bias=2.0)
    # Most texts that the page would write.
    known = sorted(set(textgen.load(names).generate([""] * 2000, temperature=0.5, seed=1)))
    pages = {
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
