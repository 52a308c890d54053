"""The page of ``textgen-eval --surprise`` shows each text, and costs no other file and no figure."""

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


def test_a_name_that_is_no_text(capsys: Captured, texts: Path) -> None:
    name = os.fsdecode(b"b\xffk.txt")
    try:
        (texts / name).write_text(ONE, encoding="utf-8")
    except OSError:
        pytest.skip("this file system takes no such name")
    assert main([str(TINY), name, "--surprise", "page.html"]) == 0
    assert capsys.readouterr().out.startswith("b\\udcffk.txt: ")
    assert "b?k.txt" in (texts / "page.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("texts")
def test_a_page_that_cannot_be_written_is_told_of_before_scoring(capsys: Captured) -> None:
    for name in ("no/such/page.html", "n" * 300):
        code, out, err = run(capsys, "one.txt", "--surprise", name)
        assert (code, out) == (1, "")
        assert f"cannot write {shorten(name)}" in err


@pytest.mark.usefixtures("texts")
def test_a_page_that_can_no_longer_be_written_costs_no_figures(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: bytes) -> None:
        raise OutputError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(eval_module, "write_output", full)
    code, out, err = run(capsys, "one.txt", "--surprise", "page.html")
    assert code == 1
    assert "nats a character" in out
    assert "cannot write page.html" in err


def test_the_page_of_surprise(capsys: Captured, texts: Path, tiny: Model) -> None:
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


def test_the_page_says_what_it_leaves_out(capsys: Captured, texts: Path) -> None:
    (texts / "one.txt").write_text("abxyc" * 10, encoding="utf-8")
    assert run(capsys, "one.txt", "--unknown", "skip", "--last", "0.5", "--surprise", "page.html")[0] == 0
    page = (texts / "page.html").read_text(encoding="utf-8")
    assert "the last 0.5 of the text, 10 unknown ones skipped; " in page


@pytest.mark.parametrize("victim", ["other.txt", "model.onnx"])
def test_the_page_replaces_no_text_and_no_model(capsys: Captured, texts: Path, victim: str) -> None:
    """A shell that expands --surprise *.txt makes a text of one's own the name of the page."""
    (texts / "model.onnx").write_bytes(TINY.read_bytes())
    before = (texts / victim).read_bytes()
    code, out, err = run(capsys, "one.txt", "--surprise", victim)
    assert (code, out) == (1, "")
    assert f"--surprise would replace {victim}" in err
    assert (texts / victim).read_bytes() == before


def test_the_page_does_not_go_where_the_figures_go(texts: Path) -> None:
    program = "import sys; from textgen_runtime.cli.eval import main; sys.exit(main())"
    command = [sys.executable, "-c", program, str(TINY), "one.txt", "--surprise", "out.html"]
    with (texts / "out.html").open("w") as out:
        done = subprocess.run(command, cwd=texts, stdout=out, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"--surprise wants a file of its own for the page, not out.html" in done.stderr
    assert (texts / "out.html").read_bytes() == b""


def test_a_reader_that_goes_away_costs_no_page(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.TextIOWrapper):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Gone(io.BytesIO()))
    assert main([str(TINY), "one.txt", "--surprise", "page.html"]) == 0
    assert (texts / "page.html").exists()
