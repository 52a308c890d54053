"""``textgen-quantize`` writes an 8-bit model, and prints and stores the losses of both models."""

import json
import os
import re
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.cli.eval import main as evaluate
from textgen_runtime.errors import ModelFileError
from textgen_train import quantize as module
from textgen_train.errors import ExportError
from textgen_train.quantize import main, quantize_model

from tests.helpers.commands import Captured, run_here
from tests.helpers.short_runs import TEXT, make_run

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a model and its text."""
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path)


def run(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    return run_here(main, capsys, *arguments)


def test_the_losses_are_those_of_textgen_eval_and_are_stored(capsys: Captured) -> None:
    code, out, err = run(capsys, ".", "-o", "small.onnx", "--text", "book.txt", "--last", "0.5")
    assert (code, err) == (0, "")
    losses = []
    for path in ("small.onnx", "model.onnx"):
        _, shown, _ = run_here(evaluate, capsys, path, "book.txt", "--last", "0.5", "--json")
        losses.append(json.loads(shown)["all"]["nats"])
        assert f"{losses[-1]:.4f}" in out
    stored = textgen.load("small.onnx").metadata.quantization
    assert stored is not None
    assert [stored.loss, stored.float32_loss] == pytest.approx(losses, abs=1e-6)
    assert stored.text == {"name": "book.txt", "last": 0.5, "characters": len(TEXT) // 2}
    sizes = [Path(path).stat().st_size for path in ("small.onnx", "model.onnx")]
    assert f"{sizes[0]:,} bytes, {sizes[0] / sizes[1]:.1%} of {sizes[1]:,}" in out
    assert f"{losses[0] - losses[1]:+z.4f}" in out


def test_without_a_text_no_losses_are_stored(capsys: Captured) -> None:
    code, out, err = run(capsys, "model.onnx", "-o", "small.onnx")
    assert (code, err) == (0, "")
    assert re.search(r" 5\d,\d{3} characters .*[+]0\.000\d nats", out)
    assert textgen.load("small.onnx").metadata.quantization == textgen.Quantization()


def test_the_text_is_read_as_the_options_say(capsys: Captured) -> None:
    Path("book.txt").write_text("DO RE xyz", encoding="utf-8")
    options = ("model.onnx", "-o", "small.onnx", "--text", "book.txt")
    code, out, err = run(capsys, *options)
    assert (code, out) == (1, "")
    assert "'O'" in err
    code, out, _ = run(capsys, *options, "--unknown", "skip", "--lowercase")
    assert (code, "on 5 characters" in out) == (0, True)


def test_a_larger_increase_is_a_warning_and_a_much_larger_one_is_refused(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_INCREASE", -1.0)
    code, out, err = run(capsys, "model.onnx", "-o", "small.onnx", "--text", "book.txt")
    assert (code, out[:16], err.count("\n")) == (0, "wrote small.onnx", 1)
    assert "warning" in err
    content = Path("model.onnx").read_bytes()
    assert not module.compared(content, (1.0, 1.0099), 9, None, 1.0).quantization.text
    for loss in (1.0101, float("nan"), float("inf")):
        with pytest.raises(ExportError):
            module.compared(content, (1.0, loss), 9, None, 1.0)
    monkeypatch.setattr(module, "REFUSED_INCREASE", -1.0)
    code, out, _ = run(capsys, "model.onnx", "-o", "refused.onnx", "--text", "book.txt")
    assert (code, out, Path("refused.onnx").exists()) == (1, "", False)


def test_an_input_is_never_replaced_and_another_file_only_with_overwrite(capsys: Captured) -> None:
    model = Path("model.onnx").read_bytes()
    os.link("model.onnx", "same.onnx")
    for output, more in (("model.onnx", ()), ("same.onnx", ()), ("book.txt", ("--text", "book.txt"))):
        assert run(capsys, ".", "-o", output, "--overwrite", *more)[:2] == (1, "")
    assert (Path("model.onnx").read_bytes(), Path("book.txt").read_text(encoding="utf-8")) == (model, TEXT)
    Path("old").write_bytes(b"old")
    assert run(capsys, ".", "-o", "old")[:2] == (1, "")
    assert Path("old").read_bytes() == b"old"
    assert run(capsys, ".", "-o", "old", "--overwrite")[0] == 0
    assert textgen.load("old").metadata.quantization
    # 8 bits are converted once.
    with pytest.raises(ModelFileError):
        quantize_model("old")
    with pytest.raises(ExportError):
        quantize_model(DATA / "format_2" / "conv.onnx")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("none.onnx",), 1),
        (("book.txt",), 1),
        (("model.onnx", "--text", "none.txt"), 1),
        (("model.onnx", "-o", "none/small.onnx"), 1),
        (("model.onnx", "--last", "0.5"), 2),
        (("model.onnx", "--unknown", "skip"), 2),
        (("model.onnx", "--lowercase"), 2),
    ],
)
def test_what_cannot_be_converted_leaves_no_file(
    capsys: Captured, arguments: tuple[str, ...], code: int
) -> None:
    found, out, err = run(capsys, "-o", "small.onnx", *arguments)
    assert (found, out) == (code, "")
    assert code == 2 or err.count("\n") == 1
    assert not Path("small.onnx").exists()
