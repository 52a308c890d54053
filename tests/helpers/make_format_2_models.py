"""Models of format 2 with random weights. As a program, it writes them to ``data/format_2``.

python -m tests.helpers.make_format_2_models
"""

from typing import Any

from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.text import Normalization, RecordKind
from textgen_runtime.tokenizer import BYTE_SYMBOLS, SpecialTokens, Tokenizer
from textgen_train.export.onnx_graph import build_model

from tests.helpers.make_tiny_model import SYMBOLS, random_network
from tests.helpers.paths import FORMAT_2

CHARACTERS = make_tokenizer("character", SYMBOLS)
WORDS = make_tokenizer("word", ["", *" abcd\n", "cab", " cab", "ab"], SpecialTokens(unknown=0))
RECORDS = make_tokenizer("character", ["", *" abcdé\n", "", ""], SpecialTokens(unknown=0, begin=8, end=9))


def make_model(
    tokenizer: Tokenizer, prompt: str = "", records: RecordKind | None = None, **sizes: Any
) -> bytes:
    metadata = Metadata(
        tokenizer,
        Normalization(unicode=None if tokenizer.level == "byte" else "NFC"),
        (prompt,) if prompt else (),
        {"corpus": "none: the weights are random"},
        records=records,
    )
    model = build_model(*random_network(len(tokenizer), **sizes), metadata)
    return model.SerializeToString(deterministic=True)


def make_models() -> dict[str, bytes]:
    """Return the content of each file, by its name without the extension."""
    return {
        "byte": make_model(make_tokenizer("byte", BYTE_SYMBOLS), "é", units=2, embedding=2),
        "word": make_model(WORDS, "cab ab"),
        "records": make_model(RECORDS, records="blank"),
        "gru": make_model(CHARACTERS, "abc", cell="gru", layers=2, residual=True),
        "conv": make_model(CHARACTERS, "abc", cell="conv", layers=2, residual=True),
    }


if __name__ == "__main__":
    FORMAT_2.mkdir(exist_ok=True)
    for name, content in make_models().items():
        (FORMAT_2 / f"{name}.onnx").write_bytes(content)
