"""``textgen-train --quantize`` also writes the best model with 8-bit weights."""

import errno
import json
import os
import signal
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.cli.eval import main as evaluate
from textgen_train.export.quantizer import QuantizedModel, quantize_model
from textgen_train.report import files

from tests.helpers.commands import Captured, run_here
from tests.helpers.train_command import QUICK, TEXT, run

OPTIONS = (*QUICK, "--no-samples", "--threads", "1", "-o", "out", "--quantize")
MODEL, SMALL = Path("out/model.onnx"), Path("out/model.int8.onnx")


pytestmark = pytest.mark.usefixtures("book")


def quantization_of(path: Path) -> textgen.Quantization:
    quantization = textgen.load(path).metadata.quantization
    assert quantization is not None
    return quantization


def test_the_8_bit_model_is_scored_on_the_held_out_text(capsys: Captured) -> None:
    code, out, err = run(capsys, "book.txt", *OPTIONS)
    assert code == 0, err
    best = textgen.load(MODEL)
    quantization = quantization_of(SMALL)
    assert quantization.text == {"name": "book.txt", "last": 0.1, "characters": len(TEXT) // 10}
    assert quantization.float32_loss == best.training["held_out_nats"]
    assert textgen.load(SMALL).training == best.training
    _, scored, _ = run_here(evaluate, capsys, str(SMALL), "book.txt", "--last", "0.1", "--json")
    assert quantization.loss == pytest.approx(json.loads(scored)["all"]["nats"], rel=1e-12)
    assert quantization.loss != quantization.float32_loss
    size, increase = SMALL.stat().st_size, (quantization.loss or 0) - (quantization.float32_loss or 0)
    line = f"8 bits: held-out loss {quantization.loss:.4f} nats ({increase:+.4f}), {size:,} bytes, "
    assert f"\n{line}{size / MODEL.stat().st_size:.1%} of {MODEL.stat().st_size:,}\n" in out
    assert "; wrote model.onnx, model.int8.onnx, metrics.jsonl," in out.splitlines()[-3]
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert f"<dt>with 8-bit weights</dt><dd>{quantization.loss:.4f} nats per character</dd>" in page


def test_a_run_whose_8_bit_model_cannot_be_written_is_resumed(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        if path.name == SMALL.name:
            raise textgen.OutputError(f"cannot write {SMALL}: {os.strerror(errno.ENOSPC)}")
        path.write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr(files, "replace_file", full)
        code, _, err = run(capsys, "book.txt", *OPTIONS)
    assert code == 1
    assert err.splitlines()[-1].startswith(
        f"textgen-train: error: cannot write {SMALL}: No space left on device; "
    )
    assert err.endswith(
        "; when the folder can be written again, resume the run: textgen-train --resume out\n"
    )
    assert MODEL.exists()
    code, out, err = run(capsys, "--resume", "out")
    assert code == 0, err
    assert "; wrote model.onnx, model.int8.onnx, " in out.splitlines()[-3]
    assert quantization_of(SMALL).float32_loss == textgen.load(MODEL).training["held_out_nats"]


def test_an_interrupt_after_the_last_evaluation_changes_only_the_exit_code(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The 8-bit model is complete, so there is nothing to resume."""

    def interrupted(content: bytes, threads: int) -> QuantizedModel:
        signal.raise_signal(signal.SIGINT)
        return quantize_model(content, threads)

    monkeypatch.setattr(files, "quantize_model", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, out, err = run(capsys, "book.txt", *OPTIONS)
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130
    assert "interrupted" not in err
    assert "; wrote model.onnx, model.int8.onnx, " in out.splitlines()[-3]
    assert out.splitlines()[-2:] == [
        "next: textgen-run out --temp 0.5",
        "a page for the browser: textgen-web out",
    ]
    assert quantization_of(SMALL).loss
    assert "the run in out is complete" in run(capsys, "--resume", "out")[1]
