"""The 8-bit version of the best model, which a run writes at its end."""

import shutil
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.corpus import Corpus
from textgen_runtime.text import Normalization
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.loop.specification import RunSpecification
from textgen_train.options import RunOptions
from textgen_train.recipe import Recipe
from textgen_train.report import files
from textgen_train.report.files import QuantizedFile

from tests.helpers.training_runs import FinishedRun

TEXT = "do re mi fa sol la si do\n" * 20


@pytest.fixture
def specification(tmp_path: Path, finished_run: FinishedRun) -> RunSpecification:
    """A run whose held-out text is separate, and whose folder has a model."""
    shutil.copy(finished_run.folder / "model.onnx", tmp_path)
    corpus, other = Corpus.from_text("song", TEXT), Corpus.from_text("other", TEXT[:100])
    dataset = make_dataset(corpus, Normalization(), other)
    return RunSpecification(RunOptions("song"), corpus, other, dataset, Recipe())


@pytest.mark.parametrize("increase", [0.0, 0.005, 0.5])
def test_a_larger_loss_is_a_warning_and_a_much_larger_one_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, specification: RunSpecification, increase: float
) -> None:
    loss = textgen.load(tmp_path / "model.onnx").training["held_out_nats"]
    monkeypatch.setattr(files, "held_out_loss", lambda *_: loss + increase)
    written, warnings = list[str](), list[str]()
    watcher = QuantizedFile(specification, tmp_path, written.append, warnings.append)
    watcher.on_complete()
    if increase == 0.5:
        assert warnings[0].startswith("the 8-bit model was not written: its loss is 0.5000 nats ")
        assert warnings[0].endswith("; model.onnx is not affected")
        assert (watcher.quantization, watcher.files, written) == (None, [], [])
        assert not (tmp_path / "model.int8.onnx").exists()
        return
    assert [warning[:38] for warning in warnings] == ["8 bits increase the loss by 0.0050 nats"[:38]] * (
        increase > 0
    )
    assert written[0].startswith(f"8 bits: held-out loss {loss + increase:.4f} nats ({increase:+.4f}), ")
    assert watcher.files == ["model.int8.onnx"]
    quantization = textgen.load(tmp_path / "model.int8.onnx").metadata.quantization
    assert quantization == watcher.quantization
    assert quantization is not None
    assert quantization.text == {"name": "other", "last": 1.0, "characters": 99}
