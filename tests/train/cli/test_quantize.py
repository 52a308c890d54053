"""``textgen-quantize`` writes an 8-bit model, and prints and stores the losses of both models."""

import json
import os
import re
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.cli.eval import main as evaluate
from textgen_train.cli import _process
from textgen_train.cli import quantize as command
from textgen_train.export import quantizer
from textgen_train.export.onnx_graph import replace_metadata

from tests.helpers.commands import Captured, run_here
from tests.helpers.make_tiny_model import make_model
from tests.helpers.programs import run_python

TEXT = "Abc dad had a bed\n" * 20
LARGE = make_model(units=24, scale=0.3).SerializeToString()


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model, a folder with a model, and a text."""
    monkeypatch.chdir(tmp_path)
    Path("large.onnx").write_bytes(LARGE)
    Path("run").mkdir()
    Path("run/model.onnx").write_bytes(LARGE)
    Path("book.txt").write_text(TEXT, encoding="utf-8")


def run(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    return run_here(command.main, capsys, *arguments)


def test_the_losses_are_those_of_textgen_eval_and_are_stored(capsys: Captured) -> None:
    code, out, err = run(capsys, "run", "-o", "small.onnx", "--text", "book.txt", "--last", "0.5")
    assert (code, err) == (0, "")
    scores = []
    for path in ("small.onnx", "large.onnx"):
        _, shown, _ = run_here(evaluate, capsys, path, "book.txt", "--last", "0.5", "--json")
        scores.append(f"{json.loads(shown)['all']['nats']:.4f}")
    size = Path("small.onnx").stat().st_size
    quantization = textgen.load("small.onnx").metadata.quantization
    assert quantization is not None
    assert quantization.text == {"name": "book.txt", "last": 0.5, "characters": 180}
    increase = (quantization.loss or 0) - (quantization.float32_loss or 0)
    assert out == (
        f"wrote small.onnx: {size:,} bytes, {size / len(LARGE):.1%} of {len(LARGE):,}\n"
        f"{scores[0]} nats per character, {scores[1]} with float32 weights ({increase:+.4f}), on 180 "
        "characters\n"
        "next: textgen-run small.onnx --temp 0.5\n"
    )


def test_a_difference_that_is_rounded_to_zero_has_no_minus() -> None:
    quantized = quantizer.Quantized(b"", -1e-6, 9, textgen.Quantization(8, 1.5, 1.500001, None), 1)
    assert "(+0.0000), on 9 characters" in command.describe_result(Path("small.onnx"), quantized)


def test_without_a_text_no_losses_are_stored(capsys: Captured) -> None:
    code, out, err = run(capsys, "large.onnx", "-o", "small.onnx")
    assert (code, err) == (0, "")
    assert re.search(
        r"\nno text was scored \(--text\); on 5\d,\d{3} characters that the model generated, the loss "
        r"changes by \+0\.000\d nats per character\n",
        out,
    )
    quantization = textgen.load("small.onnx").metadata.quantization
    assert quantization == textgen.Quantization(8, None, None, None)


def test_characters_outside_the_vocabulary_are_handled_as_in_textgen_eval(capsys: Captured) -> None:
    Path("book.txt").write_text("ABC xyz DAD", encoding="utf-8")
    options = ("large.onnx", "-o", "small.onnx", "--text", "book.txt")
    code, out, err = run(capsys, *options)
    assert (code, out) == (1, "")
    assert "'x'" in err
    code, out, _ = run(capsys, *options, "--unknown", "skip")
    assert code == 0
    assert ", on 7 characters\n" in out
    Path("two.txt").write_text("ab", encoding="utf-8")
    _, out, _ = run(capsys, "large.onnx", "-o", "two.onnx", "--text", "two.txt")
    assert ", on 1 character\n" in out


def test_the_text_is_converted_to_lower_case(capsys: Captured) -> None:
    metadata = textgen.load("large.onnx").metadata._replace(normalization=textgen.Normalization())
    Path("large.onnx").write_bytes(replace_metadata(LARGE, metadata))
    options = ("large.onnx", "-o", "small.onnx", "--text", "book.txt")
    assert "'A'" in run(capsys, *options)[2]
    assert run(capsys, *options, "--lowercase")[0] == 0


def test_torch_is_not_imported() -> None:
    run_python(
        "import sys\n"
        "from textgen_train.cli.quantize import main\n"
        "assert main(['large.onnx', '-o', 'small.onnx']) == 0\n"
        "assert 'onnx' in sys.modules and 'torch' not in sys.modules"
    )


def test_a_larger_increase_gives_a_warning(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizer, "MAX_INCREASE", -1.0)
    code, out, err = run(capsys, "large.onnx", "-o", "small.onnx", "--text", "book.txt")
    assert code == 0
    assert out.startswith("wrote small.onnx")
    assert re.fullmatch("textgen-quantize: warning: 8 bits increase the loss by .*\n", err)


def test_an_input_is_never_replaced(capsys: Captured) -> None:
    os.link("run/model.onnx", "same.onnx")
    for output in ("run/model.onnx", "same.onnx"):
        code, out, err = run(capsys, "run", "-o", output, "--overwrite")
        assert (code, out) == (1, "")
        assert err.endswith(" is an input; refusing to overwrite it: choose another file\n")
    assert Path("run/model.onnx").read_bytes() == LARGE
    code, _, err = run(capsys, "large.onnx", "-o", "book.txt", "--overwrite", "--text", "book.txt")
    assert (code, err.count("\n")) == (1, 1)
    assert "book.txt is an input; refusing to overwrite it" in err
    assert Path("book.txt").read_text(encoding="utf-8") == TEXT


def test_another_file_is_replaced_only_with_overwrite(capsys: Captured) -> None:
    code, out, err = run(capsys, "large.onnx", "-o", "book.txt")
    assert (code, out) == (1, "")
    assert err == (
        "textgen-quantize: error: book.txt exists: choose another file with -o, or pass --overwrite\n"
    )
    assert Path("book.txt").read_text(encoding="utf-8") == TEXT
    assert run(capsys, "large.onnx", "-o", "book.txt", "--overwrite")[0] == 0
    assert textgen.load("book.txt").metadata.quantization


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.onnx", "-o", "small.onnx"), "cannot read the model file none.onnx: No such file"),
        # The output is checked before the work.
        (("none.onnx", "-o", "none/small.onnx"), "cannot write none/small.onnx: No such file"),
        (("large.onnx", "-o", "run", "--overwrite"), "cannot write run: Is a directory"),
        (("large.onnx", "-o", "small.onnx", "--text", "none.txt"), "cannot read none.txt: no file"),
        (("conv.onnx", "-o", "small.onnx"), "conv.onnx: 8 bits are for the LSTMs that textgen-train writes"),
    ],
)
def test_each_error_is_one_line(capsys: Captured, arguments: tuple[str, ...], message: str) -> None:
    Path("conv.onnx").write_bytes(make_model(cell="conv").SerializeToString())
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "")
    assert re.fullmatch(f"textgen-quantize: error: {re.escape(message)}.*\n", err)
    assert not Path("small.onnx").exists()


@pytest.mark.parametrize("option", [("--last", "0.5"), ("--unknown", "skip"), ("--lowercase",)])
def test_options_of_the_text_require_a_text(capsys: Captured, option: tuple[str, ...]) -> None:
    code, _, err = run(capsys, "large.onnx", "-o", "small.onnx", *option)
    assert code == 2
    assert f"{option[0]} requires --text TEXT" in err


def test_without_onnx_the_extra_is_named(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_process, "find_spec", lambda _: None)
    code, _, err = run(capsys, "large.onnx", "-o", "small.onnx")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(
        "textgen-quantize: error: textgen-quantize requires onnx: in a clone of this project, "
        'pip install ".[train]"'
    )
