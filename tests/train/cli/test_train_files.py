"""Output files of ``textgen-train``: no accidental overwrites and no partial files."""

import errno
import os
from pathlib import Path
from types import ModuleType

import pytest
import textgen_runtime as textgen
from textgen_runtime.corpora.corpus import Corpus
from textgen_train.cli import _training_run
from textgen_train.cli.train import default_folder
from textgen_train.loop import evaluator, output_folder

from tests.helpers.commands import Captured
from tests.helpers.report_pages import Page
from tests.helpers.train_command import QUICK, TEXT, run


def test_a_model_is_replaced_only_with_overwrite(book: Path, capsys: Captured) -> None:
    model = book.parent / "model.onnx"
    model.write_bytes(b"precious")
    code, _, err = run(capsys, "book.txt", *QUICK, "-o", ".")
    assert code == 1
    assert "model.onnx exists: choose another folder with -o, or pass --overwrite" in err
    assert model.read_bytes() == b"precious"
    assert run(capsys, "book.txt", *QUICK, "-o", ".", "--overwrite")[0] == 0
    assert textgen.load(model)


@pytest.mark.usefixtures("book")
@pytest.mark.parametrize(
    ("limit", "error"),
    [
        ((_training_run, "MAX_PARAMETERS", 10), "an ONNX file holds at most 10: lower --units or --layers"),
        ((output_folder, "REPORT_BYTES", 10**18), "but the run needs about 1,000,000,000,000.0 MB: remove"),
    ],
)
def test_a_run_that_cannot_start_keeps_the_files_that_it_would_replace(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, limit: tuple[ModuleType, str, int], error: str
) -> None:
    assert run(capsys, "book.txt", *QUICK, "--no-samples", "--quantize", "-o", "out")[0] == 0
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    assert {"checkpoint.safetensors", "model.int8.onnx"} < set(before)
    monkeypatch.setattr(*limit)
    code, _, err = run(capsys, "book.txt", *QUICK, "-o", "out", "--overwrite")
    assert code == 1
    assert error in err
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


@pytest.mark.usefixtures("book")
def test_events_for_tensorboard_are_written(capsys: Captured) -> None:
    code, out, _ = run(capsys, "book.txt", *QUICK, "--no-samples", "--tensorboard", "-o", "out")
    assert code == 0
    assert "report.html, checkpoint.safetensors, tensorboard to out" in out
    assert len(os.listdir("out/tensorboard")) == 1


@pytest.mark.usefixtures("book")
def test_the_report_shows_the_command_and_the_changed_values(capsys: Captured) -> None:
    assert run(capsys, "book.txt", *QUICK, "--no-samples", "-o", "my model")[0] == 0
    text = Page(Path("my model/report.html").read_text(encoding="utf-8")).text
    assert f"textgen-train book.txt {' '.join(QUICK)} --no-samples -o 'my model'" in text
    assert "textgen-run 'my model' --temp 0.5" in text
    assert "Recipe: preset small" in text
    assert text.count("(changed)") == 2
    for row in ("8 (changed)88", "4 (changed)16"):
        assert row in text


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (("poems",), "poems/samples.txt is an input; refusing to overwrite it"),
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


@pytest.mark.usefixtures("book")
def test_a_folder_can_be_corpus_and_output(capsys: Captured) -> None:
    Path("song.mid").write_bytes(b"MThd")
    for options, counts in (
        ((), "1 file read, 1 skipped"),
        (("--overwrite",), "1 file read, 1 skipped"),
        (("--overwrite", "--level", "byte"), "2 files read"),
    ):
        code, _, err = run(capsys, ".", *QUICK, *options, "-o", ".")
        assert code == 0
        assert err.startswith(f"{Path.cwd().name} ({counts}): ")


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("novel.txt", "novel-model"),
        ("novel.txt.gz", "novel-model"),
        ("my novel.txt.zst", "my-novel-model"),
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
def test_the_output_folder_can_have_the_name_of_a_known_corpus(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "python-docs").mkdir()
    code, _, err = run(
        capsys, "python-docs", *QUICK, "-o", "python-docs", "--held-out", "0.999", "--no-samples"
    )
    assert code == 0, err


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
        "saved to book-model\n"
    )
    assert not Path("book-model").exists()


@pytest.mark.usefixtures("book")
def test_a_disk_that_fills_up_leaves_a_model_that_is_not_called_the_best(
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
        "textgen-train: error: cannot write out/model.onnx: No space left on device; out/model.onnx holds an "
        f"earlier model, not the best one (held-out loss {loss:.4f} nats); to resume the run: textgen-train "
        "--resume out\n"
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("book")
def test_a_corpus_can_have_any_file_name(capsys: Captured) -> None:
    name = "cash$_$ 红 b\udcffk.txt"
    Path(name).write_text(TEXT, encoding="utf-8")
    code, _, err = run(capsys, name, *QUICK, "--no-samples", "-o", "out")
    assert code == 0
    assert err.count("\n") == 3
