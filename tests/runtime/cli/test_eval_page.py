"""The page of ``textgen-eval --surprise``: its content, and the files that it must not overwrite."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from textgen_runtime import Model, predict
from textgen_runtime.cli import eval as eval_module
from textgen_runtime.cli.eval import main
from textgen_runtime.errors import OutputError, shorten

from tests.helpers.commands import Captured
from tests.helpers.eval_command import ONE, OTHER, run
from tests.helpers.paths import TINY


def test_a_file_name_that_is_not_unicode(capsys: Captured, texts: Path) -> None:
    name = os.fsdecode(b"b\xffk.txt")
    try:
        (texts / name).write_text(ONE, encoding="utf-8")
    except OSError:
        pytest.skip("this file system rejects the name")
    assert main([str(TINY), name, "--surprise", "page.html"]) == 0
    assert capsys.readouterr().out.startswith("b\\udcffk.txt: ")
    assert "b?k.txt" in (texts / "page.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("texts")
def test_the_page_is_checked_before_scoring(capsys: Captured) -> None:
    for name in ("no/such/page.html", "n" * 300):
        code, out, err = run(capsys, "one.txt", "--surprise", name)
        assert (code, out) == (1, "")
        assert f"cannot write {shorten(name)}" in err


@pytest.mark.usefixtures("texts")
def test_the_results_are_printed_if_writing_the_page_fails(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: bytes) -> None:
        raise OutputError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(eval_module, "write_output", full)
    code, out, err = run(capsys, "one.txt", "--surprise", "page.html")
    assert code == 1
    assert "nats per character" in out
    assert "cannot write page.html" in err


def test_the_page_shows_each_text(capsys: Captured, texts: Path, tiny: Model) -> None:
    code, out, err = run(capsys, "one.txt", "other.txt", "--surprise", "page.html")
    assert (code, err) == (0, "")
    assert out
    page = (texts / "page.html").read_text(encoding="utf-8")
    for text, name in ((ONE, "one.txt"), (OTHER, "other.txt")):
        assert f"<h2>{name}</h2>" in page
        assert f"{predict(tiny, text).score.nats:.4f} nats" in page
    # An older page is replaced.
    assert run(capsys, "one.txt", "--surprise", "page.html")[0] == 0
    assert "other.txt" not in (texts / "page.html").read_text(encoding="utf-8")


def test_the_page_states_skipped_characters(capsys: Captured, texts: Path) -> None:
    (texts / "one.txt").write_text("abxyc" * 10, encoding="utf-8")
    assert run(capsys, "one.txt", "--unknown", "skip", "--last", "0.5", "--surprise", "page.html")[0] == 0
    page = (texts / "page.html").read_text(encoding="utf-8")
    assert "the last 50% of the text, 10 unknown characters skipped; " in page


@pytest.mark.parametrize("victim", ["other.txt", "model.onnx"])
def test_the_page_overwrites_no_text_and_no_model(capsys: Captured, texts: Path, victim: str) -> None:
    """A shell may expand ``--surprise *.txt``, so that the page would have the name of a text."""
    (texts / "model.onnx").write_bytes(TINY.read_bytes())
    before = (texts / victim).read_bytes()
    code, out, err = run(capsys, "one.txt", "--surprise", victim)
    assert (code, out) == (1, "")
    assert f"--surprise {victim}: the file exists and is not a page" in err
    assert (texts / victim).read_bytes() == before


def test_the_page_and_the_results_need_different_files(texts: Path) -> None:
    program = "import sys; from textgen_runtime.cli.eval import main; sys.exit(main())"
    command = [sys.executable, "-c", program, str(TINY), "one.txt", "--surprise", "out.html"]
    with (texts / "out.html").open("w") as out:
        done = subprocess.run(command, cwd=texts, stdout=out, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"--surprise out.html: the file is also standard output" in done.stderr
    assert (texts / "out.html").read_bytes() == b""


def test_a_closed_pipe_does_not_prevent_the_page(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ClosedPipe(io.TextIOWrapper):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", ClosedPipe(io.BytesIO()))
    assert main([str(TINY), "one.txt", "--surprise", "page.html"]) == 0
    assert (texts / "page.html").exists()
