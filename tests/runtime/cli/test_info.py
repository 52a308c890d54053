"""``textgen-info``: descriptions of model files as text and as JSON."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
import textgen_runtime as textgen
from onnx import helper
from textgen_runtime.cli.info import describe_file, main
from textgen_runtime.model_file import TRAINING_KEY
from textgen_train.quantize import compared

from tests.helpers.commands import Captured, run_here
from tests.helpers.make_tiny_model import SYMBOLS, make_model
from tests.helpers.paths import TINY
from tests.helpers.record_models import record_content


def run(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    """Run the command; return its exit code, standard output and standard error."""
    return run_here(main, capsys, *arguments)


def set_metadata(model: onnx.ModelProto, key: str, value: str) -> onnx.ModelProto:
    next(entry for entry in model.metadata_props if entry.key == key).value = value
    return model


def write(model: onnx.ModelProto, path: Path) -> str:
    path.write_bytes(model.SerializeToString())
    return str(path)


def test_the_description_is_printed_as_text(capsys: Captured) -> None:
    code, out, err = run(capsys, str(TINY))
    assert (code, err) == (0, "")
    assert (
        out
        == f"""\
path           {TINY}
bytes          {TINY.stat().st_size}
sha256         {textgen.load(TINY).sha256}
format         1
level          character
cell           lstm
residual       false
layers         1
units          4
parameters     240
engine         native
normalization
  lowercase  true
  unicode    NFC
training
  corpus  none: the weights are random
vocabulary, 12 characters
  newline space a b c d e h é € ж 𝄞
prompts, 3
  "abc"
  "dad had"
  "é€ж𝄞"
"""
    )


def test_the_description_is_printed_as_json(capsys: Captured) -> None:
    code, out, err = run(capsys, str(TINY), "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "path": str(TINY),
        "bytes": TINY.stat().st_size,
        "sha256": textgen.load(TINY).sha256,
        "format": 1,
        "level": "character",
        "cell": "lstm",
        "residual": False,
        "layers": 1,
        "units": 4,
        "parameters": 240,
        "engine": "native",
        "why_not_native": None,
        "vocabulary": list(SYMBOLS),
        "special": {},
        "records": None,
        "quantization": None,
        "normalization": {"lowercase": True, "unicode": "NFC"},
        "prompts": ["abc", "dad had", "é€ж𝄞"],
        "training": {"corpus": "none: the weights are random"},
    }


def test_8_bit_weights_are_described_with_their_losses(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(compared(TINY.read_bytes(), (1.5, 1.25), 12, "book", 0.1).content)
    described = json.loads(run(capsys, str(path), "--json")[1])
    text = {"name": "book", "last": 0.1, "characters": 12}
    assert described["quantization"] == {"bits": 8, "loss": 1.25, "float32_loss": 1.5, "text": text}
    assert described["format"] == 2
    lines = run(capsys, str(path))[1].splitlines()
    first = lines.index("quantization")
    assert lines[first + 1 : first + 6] == [
        *("  bits          8", "  loss          1.25", "  float32_loss  1.5"),
        *("  text", "    name        book"),
    ]


def test_a_graph_that_only_onnxruntime_runs(capsys: Captured, tmp_path: Path) -> None:
    model = make_model()
    model.graph.node.append(helper.make_node("Identity", ["logits"], ["other"]))
    path = write(model, tmp_path / "other.onnx")
    document = json.loads(run(capsys, path, "--json")[1])
    assert (document["engine"], document["why_not_native"]) == (
        None,
        "the graph is not that of an LSTM network: byte 356",
    )
    assert (document["layers"], document["units"], document["parameters"]) == (None, None, 240)
    assert "\nwhy_not_native  the graph is not" in run(capsys, path)[1]


def test_metadata_that_is_nested_too_deeply_is_an_error(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    nested: dict[str, Any] = {}
    for _ in range(100_000):
        nested = {"a": nested}
    document, metadata = describe_file(str(TINY))
    deep = document | {"training": nested}
    monkeypatch.setattr("textgen_runtime.cli.info.describe_file", lambda _: (deep, metadata))
    for options in ((), ("--json",)):
        code, out, err = run(capsys, str(TINY), *options)
        assert (code, out, err.count("\n"), str(TINY) in err) == (1, "", 1, True)


def test_control_characters_in_a_file_are_escaped(capsys: Captured, tmp_path: Path) -> None:
    model = make_model("\x1b[\u202ea")
    set_metadata(model, TRAINING_KEY, json.dumps({"co\x1b[2Jrpus": "\x1b[31mred\u202e", "many": "a" * 9999}))
    code, out, _ = run(capsys, write(model, tmp_path / "m.onnx"))
    assert code == 0
    assert "  \\x1b [ \\u202e a\n" in out
    assert "  co\\x1b[2Jrpus  \\x1b[31mred\\u202e\n" in out
    assert "... and 9,699 more characters\n" in out
    assert all(line.isprintable() for line in out.splitlines())


def test_each_special_token_has_its_own_name(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(record_content())
    _, out, _ = run(capsys, str(path))
    heading, symbols = out.partition("vocabulary, ")[2].splitlines()[:2]
    assert heading == "7 characters and 3 special tokens"
    assert symbols == "  <unknown> space a b c d \u00e9 newline <begin> <end>"


@pytest.mark.parametrize(
    "arguments",
    [("--match", "(ab|cd)"), ("--choices", "ab", "cd"), ("--json-schema", "schema.json")],
    ids=["match", "choices", "schema"],
)
def test_the_table_of_a_constraint_is_printed_as_json(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = write(make_model('"abcd'), tmp_path / "model.onnx")
    (tmp_path / "schema.json").write_text('{"enum": ["ab", "cd"]}')
    code, out, err = run(capsys, model, *arguments)
    assert (code, err) == (0, "")
    states, texts, unfinished = json.loads(out)["states"], set(), [(0, "")]
    while unfinished:
        state, text = unfinished.pop()
        if states[state]["accepting"]:
            texts.add(text.strip('"'))
        unfinished += [(following, text + symbol) for symbol, following in states[state]["next"].items()]
    assert texts == {"ab", "cd"}
