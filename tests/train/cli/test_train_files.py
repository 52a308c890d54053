"""Output files of ``textgen-train``: no accidental overwrites and no partial files."""

import errno
import os
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.corpus import Corpus
from textgen_train.cli import _training_run
from textgen_train.cli.train import default_folder
from textgen_train.loop import evaluator, output_folder

from tests.helpers.commands import Captured
from tests.helpers.train_command import QUICK, TEXT, run
from tests.helpers.training_runs import InterruptAt


@pytest.mark.usefixtures("book")
def test_a_run_that_cannot_start_keeps_the_files_that_it_would_replace(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(capsys, "book.txt", *QUICK, "--no-samples", "--quantize", "-o", "out")[0] == 0
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    assert {"checkpoint.safetensors", "model.int8.onnx"} < set(before)
    for module, name, limit, error in (
        (_training_run, "MAX_PARAMETERS", 10, "an ONNX file holds at most 10: lower --units or --layers"),
        (output_folder, "REPORT_BYTES", 10**18, "but the run needs about 1,000,000,000,000.0 MB: remove"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, limit)
            code, _, err = run(capsys, "book.txt", *QUICK, "-o", "out", "--overwrite")
        assert code == 1
        assert error in err
        assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


@pytest.mark.parametrize("budget", ["--epochs", "--minutes"])
@pytest.mark.usefixtures("book")
def test_a_run_that_is_interrupted_before_its_first_checkpoint_keeps_the_files_of_an_earlier_run(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, budget: str
) -> None:
    """It does not offer to resume the earlier run. Later, the files are the new run's.

    A run checks for interrupts once before its first checkpoint, and then after each update. So the first
    check comes before the checkpoint, and the third one after the second update.
    """
    assert run(capsys, "book.txt", *QUICK, "--quantize", "-o", "out")[0] == 0
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    arguments = ("book.txt", *QUICK[:-2], budget, "9", "--no-samples", "-o", "out", "--overwrite")
    for checks, files in (
        (1, set(before)),
        (3, set(before) - {"model.int8.onnx", "samples.txt"}),
    ):
        monkeypatch.setattr(_training_run, "deferred_interrupts", lambda: InterruptAt(checks))  # noqa: B023
        code, _, err = run(capsys, *arguments)
        assert code == 130
        assert set(os.listdir("out")) == files
        after = {path.name: path.read_bytes() for path in Path("out").iterdir()}
        assert (after == before) is (checks == 1)
        assert err.endswith(
            "; without a checkpoint, the run cannot be resumed: start it again\n"
            if checks == 1
            else "; to resume the run: textgen-train --resume out\n"
        )
    # A resumed run has a checkpoint of its own, even at the first check.
    monkeypatch.setattr(_training_run, "deferred_interrupts", lambda: InterruptAt(1))
    code, _, err = run(capsys, "--resume", "out")
    assert code == 130
    assert "--resume out" in err
    assert set(os.listdir("out")) == files


@pytest.mark.usefixtures("book")
def test_events_for_tensorboard_are_written(capsys: Captured) -> None:
    code, out, _ = run(capsys, "book.txt", *QUICK, "--no-samples", "--tensorboard", "-o", "out")
    assert code == 0
    assert "report.html, checkpoint.safetensors, tensorboard to out" in out
    assert len(os.listdir("out/tensorboard")) == 1


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (("poems/samples.txt",), "poems/samples.txt is an input; refusing to overwrite it"),
        (("book.txt", "--held-out-file", "poems/samples.txt"), "poems/samples.txt is an input; refusing to"),
        ((".",), "poems/samples.txt is an input; refusing to overwrite it"),
    ],
)
def test_a_corpus_is_never_replaced(
    book: Path, capsys: Captured, sources: tuple[str, ...], message: str
) -> None:
    poem = book.parent / "poems" / "samples.txt"
    poem.parent.mkdir()
    poem.write_text(TEXT, encoding="utf-8")
    code, _, err = run(capsys, *sources, *QUICK, "-o", "poems", "--overwrite")
    assert (code, err.count("\n")) == (1, 1)
    assert message in err
    assert poem.read_text(encoding="utf-8") == TEXT
    assert os.listdir(poem.parent) == ["samples.txt"]


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("novel.txt", "novel-model"),
        ("novel.txt.gz", "novel-model"),
        # The name of a folder has no extension.
        ("letters.2020", "letters.2020-model"),
    ],
)
def test_the_default_output_folder_is_named_after_the_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("letters.2020").mkdir()
    assert default_folder(source, Corpus.from_text(source, TEXT)) == Path(folder)


@pytest.mark.usefixtures("book")
def test_a_full_disk_leaves_no_partial_file(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    code, _, err = run(capsys, "book.txt", *QUICK)
    assert code == 1
    assert (
        "textgen-train: warning: cannot write book-model/checkpoint.safetensors: No space left on device; "
        "the last state is not saved" in err
    )
    assert err.endswith(
        "textgen-train: error: cannot write book-model/model.onnx: No space left on device; no model was "
        "saved to book-model; without a checkpoint, the run cannot be resumed: start it again\n"
    )
    assert not Path("book-model").exists()


@pytest.mark.usefixtures("book")
def test_a_run_on_a_disk_that_fills_up_can_be_resumed_later(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def write_once(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) > 1:
            raise textgen.OutputError(f"cannot write {path}: No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr(evaluator, "replace_file", write_once)
    code, _, err = run(capsys, "book.txt", *QUICK, "--no-samples", "-o", "out")
    assert code == 1
    loss = textgen.load("out").training["held_out_nats"]
    assert err.endswith(
        "textgen-train: error: cannot write out/model.onnx: No space left on device; out/model.onnx holds "
        f"the best model that was saved (held-out loss {loss:.4f} nats); when the folder can be written "
        "again, resume the run: textgen-train --resume out\n"
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("book")
def test_a_corpus_can_have_any_file_name(capsys: Captured) -> None:
    name = "cash$_$ 红 b\udcffk.txt"
    Path(name).write_text(TEXT, encoding="utf-8")
    code, _, err = run(capsys, name, *QUICK, "--no-samples", "-o", "out")
    assert code == 0
    assert err.count("\n") == 3
