"""The command ``textgen-web``."""

import os
from pathlib import Path

import pytest
from textgen_runtime.cli import web
from textgen_runtime.cli.web import main
from textgen_runtime.model_file import NORMALIZATION_KEY
from textgen_runtime.web.known_records import known_records

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import TINY
from tests.helpers.record_models import record_content
from tests.helpers.run_command import CASE_UNCHANGED, tiny_with


def run(capsys: Captured, *arguments: str | Path) -> tuple[int, str, str]:
    """Run the command; return its exit code, standard output and standard error."""
    return run_here(main, capsys, *map(str, arguments))


def test_the_page_is_one_file_with_title_and_prompt_of_the_model(tmp_path: Path, capsys: Captured) -> None:
    site = tmp_path / "a" / "site"
    code, out, err = run(capsys, TINY, "-o", site)
    assert (code, out, err) == (0, f"{site / 'index.html'} (0.3 MB)\n", "")
    assert os.listdir(site) == ["index.html"]
    html = (site / "index.html").read_text(encoding="utf-8")
    assert "<title>tiny</title>" in html
    assert "\nabc</textarea>" in html


def test_without_a_model_the_page_first_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(capsys) == (0, f"{Path('textgen-site/index.html')} (0.3 MB)\n", "")
    for option in ("--prompt", "--novel"):
        code, _, err = run(capsys, option, "a")
        assert (code, option in err) == (1, True)


def test_the_options_choose_title_and_prompt_and_replace_an_earlier_page(
    tmp_path: Path, capsys: Captured
) -> None:
    assert run(capsys, TINY, "-o", tmp_path)[0] == 0
    assert run(capsys, TINY, "-o", tmp_path, "--title", "A & B", "--prompt", "dad\\nhad")[0] == 0
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<h1>A &amp; B</h1>" in html
    assert "\ndad\nhad</textarea>" in html


def test_characters_of_the_prompt_that_the_page_skips_are_told(tmp_path: Path, capsys: Captured) -> None:
    """Capitals are read in lower case."""
    model = tmp_path / "model.onnx"
    model.write_bytes(tiny_with(NORMALIZATION_KEY, CASE_UNCHANGED))
    code, _, err = run(capsys, model, "-o", tmp_path, "--prompt", "Axb日")
    assert (code, err.count("\n")) == (0, 1)
    assert err.endswith(": 'x' (U+0078), '日' (U+65E5)\n")


@pytest.mark.parametrize(
    ("source", "folder"),
    [("nietzsche", "nietzsche-site"), ("poems-model", "poems-site"), ("./novel.onnx", "novel-site")],
)
def test_the_default_folder_has_the_name_of_the_model(
    source: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("poems-model").mkdir()
    for path in ("poems-model/model.onnx", "novel.onnx"):
        Path(path).write_bytes(TINY.read_bytes())
    assert run(capsys, source)[0] == 0
    assert (tmp_path / folder / "index.html").is_file()


def test_the_page_knows_the_records_of_a_corpus(tmp_path: Path, capsys: Captured) -> None:
    model, corpus, site = tmp_path / "names.onnx", tmp_path / "names.txt", tmp_path / "site"
    model.write_bytes(record_content())
    corpus.write_text("ab\nCAB\n\nab\n", encoding="utf-8")
    assert run(capsys, model, "-o", site, "--novel", corpus)[0] == 0
    element = known_records(["ab", "cab"])
    assert element in (site / "index.html").read_text(encoding="utf-8")
    code, _, err = run(capsys, model, "-o", site)
    assert (code, "--novel with their file" in err) == (0, True)
    assert element not in (site / "index.html").read_text(encoding="utf-8")


def test_the_page_contains_abcjs(tmp_path: Path, capsys: Captured) -> None:
    script = tmp_path / "abcjs-basic-min.js"
    script.write_text("renderAbc; TimingCallbacks;", encoding="utf-8")
    code, _, err = run(capsys, TINY, "-o", tmp_path / "site", "--abcjs", script)
    assert (code, f"{script}.LICENSE" in err) == (1, True)
    (tmp_path / "abcjs-basic-min.js.LICENSE").write_text("/* MIT */\n", encoding="utf-8")
    assert run(capsys, TINY, "-o", tmp_path / "site", "--abcjs", script)[0] == 0
    html = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "<script>/* MIT */\nrenderAbc; TimingCallbacks;</script>" in html


@pytest.mark.parametrize("kind", ["a page of the user", "a link to the model"])
def test_other_files_are_never_replaced(kind: str, tmp_path: Path, capsys: Captured) -> None:
    page, model = tmp_path / "index.html", tmp_path / "tiny.onnx"
    model.write_bytes(TINY.read_bytes())
    if kind == "a page of the user":
        page.write_text("<!doctype html><title>mine</title>", encoding="utf-8")
    else:
        page.symlink_to(model)
    before = page.read_bytes()
    code, out, err = run(capsys, model, "-o", tmp_path)
    assert (code, out, err.count("\n"), str(page) in err) == (1, "", 1, True)
    assert page.read_bytes() == before


def test_a_model_too_large_for_a_page_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(web, "MAX_EMBEDDED", TINY.stat().st_size - 1)
    code, _, err = run(capsys, TINY, "-o", tmp_path)
    assert (code, str(TINY) in err) == (1, True)


def test_a_failed_write_leaves_the_old_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    assert run(capsys, TINY, "-o", tmp_path)[0] == 0
    before = (tmp_path / "index.html").read_bytes()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    code, out, err = run(capsys, TINY, "-o", tmp_path, "--title", "new")
    assert (code, out, "No space left on device" in err) == (1, "", True)
    assert os.listdir(tmp_path) == ["index.html"]
    assert (tmp_path / "index.html").read_bytes() == before
