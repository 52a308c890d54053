"""The command ``textgen-web``."""

import os
from pathlib import Path

import pytest
from textgen_runtime.cli import web
from textgen_runtime.cli.web import main
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.text import Normalization
from textgen_runtime.tokenizer import SpecialTokens, Tokenizer
from textgen_runtime.web.known_records import known_records
from textgen_train.export.onnx_graph import build_model

from tests.helpers.commands import Captured, run_here
from tests.helpers.make_tiny_model import make_model, random_network
from tests.helpers.paths import TINY
from tests.helpers.record_models import record_content


def run(capsys: Captured, *arguments: str | Path) -> tuple[int, str, str]:
    """Run the command; return its exit code, standard output and standard error."""
    return run_here(main, capsys, *map(str, arguments))


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of each file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refusal(path: Path) -> str:
    """Return the error about a file that the command may not replace."""
    return f"textgen-web: error: {path} is no page of textgen-web: choose another folder with -o\n"


def test_the_page_is_one_file(tmp_path: Path, capsys: Captured) -> None:
    site = tmp_path / "a" / "site"
    code, out, err = run(capsys, TINY, "-o", site)
    assert (code, err) == (0, "")
    assert out == f"{site / 'index.html'} (0.1 MB)\n"
    assert os.listdir(site) == ["index.html"]


def test_the_title_and_the_prompt_come_from_the_model(tmp_path: Path, capsys: Captured) -> None:
    assert run(capsys, TINY, "-o", tmp_path)[0] == 0
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<title>tiny</title>" in html
    assert "\nabc</textarea>" in html


def test_the_options_choose_title_and_prompt(tmp_path: Path, capsys: Captured) -> None:
    assert run(capsys, TINY, "-o", tmp_path, "--title", "A & B", "--prompt", "dad\\nhad")[0] == 0
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<h1>A &amp; B</h1>" in html
    assert "\ndad\nhad</textarea>" in html


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize(
    "tokenizer",
    [
        make_tokenizer("character", "\n abc"),
        make_tokenizer("character", ("", *"\n abc"), SpecialTokens(unknown=0)),
    ],
    ids=["plain", "unknown symbol"],
)
def test_characters_of_the_prompt_that_the_page_skips_are_told(
    tokenizer: Tokenizer, tmp_path: Path, capsys: Captured, *, lowercase: bool
) -> None:
    """Capitals are read in lower case."""
    metadata = Metadata(tokenizer, Normalization(lowercase=lowercase), prompts=("a",))
    network = random_network(len(tokenizer))
    (tmp_path / "m.onnx").write_bytes(build_model(*network, metadata).SerializeToString())
    code, _, err = run(capsys, tmp_path / "m.onnx", "-o", tmp_path, "--prompt", "Axb日")
    assert code == 0
    assert err == (
        "textgen-web: warning: the page skips characters of the prompt that the model does not know: "
        "'x' (U+0078), '日' (U+65E5)\n"
    )


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
    code, _, err = run(capsys, model, "-o", site, "--overwrite")
    assert code == 0
    assert err.startswith("the page may write records of the corpus: to prevent this, pass --novel CORPUS\n")
    assert element not in (site / "index.html").read_text(encoding="utf-8")


def test_only_a_model_of_records_knows_a_corpus(tmp_path: Path, capsys: Captured) -> None:
    code, out, err = run(capsys, TINY, "-o", tmp_path / "site", "--novel", TINY)
    assert (code, out) == (1, "")
    assert err == f"textgen-web: error: --novel: {TINY} is not a model of records\n"
    assert not (tmp_path / "site").exists()


def test_the_page_contains_abcjs(tmp_path: Path, capsys: Captured) -> None:
    script = tmp_path / "abcjs-basic-min.js"
    script.write_text("renderAbc; TimingCallbacks;", encoding="utf-8")
    (tmp_path / "abcjs-basic-min.js.LICENSE").write_text("/* MIT */\n", encoding="utf-8")
    assert run(capsys, TINY, "-o", tmp_path / "site", "--abcjs", script)[0] == 0
    html = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "<script>/* MIT */\nrenderAbc; TimingCallbacks;</script>" in html


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read {script}: No such file or directory"),
        (b"\xff", "the file is not UTF-8"),
        (b"renderAbc", "the file is not abcjs-basic-min.js"),
    ],
)
def test_a_script_that_is_not_abcjs_is_an_error(
    tmp_path: Path, capsys: Captured, content: bytes | None, message: str
) -> None:
    script, site = tmp_path / "a.js", tmp_path / "site"
    license_path = tmp_path / "a.js.LICENSE"
    license_path.write_text("/* MIT */", encoding="utf-8")
    if content is not None:
        script.write_bytes(content)
    code, _, err = run(capsys, TINY, "-o", site, "--abcjs", script)
    assert (code, err) == (1, f"textgen-web: error: --abcjs {script}: {message.format(script=script)}\n")
    assert not site.exists()
    license_path.unlink()
    script.write_text("renderAbc; TimingCallbacks;", encoding="utf-8")
    code, _, err = run(capsys, TINY, "-o", site, "--abcjs", script)
    assert (code, f"cannot read {license_path}: No such file" in err) == (1, True)


def test_an_earlier_page_is_replaced_only_with_overwrite(tmp_path: Path, capsys: Captured) -> None:
    assert run(capsys, TINY, "-o", tmp_path)[0] == 0
    before = contents(tmp_path)
    first = tmp_path / "index.html"
    code, out, err = run(capsys, TINY, "-o", tmp_path, "--title", "new")
    assert (code, out) == (1, "")
    assert err == f"textgen-web: error: {first} exists: choose another folder with -o, or pass --overwrite\n"
    assert contents(tmp_path) == before
    assert run(capsys, TINY, "-o", tmp_path, "--title", "new", "--overwrite")[0] == 0
    assert "<title>new</title>" in (tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_a_page_of_another_origin_is_never_replaced(
    options: tuple[str, ...], tmp_path: Path, capsys: Captured
) -> None:
    page = tmp_path / "index.html"
    page.write_text("<!doctype html><title>mine</title>", encoding="utf-8")
    before = contents(tmp_path)
    code, out, err = run(capsys, TINY, "-o", tmp_path, *options)
    assert (code, out) == (1, "")
    assert err == refusal(page)
    assert contents(tmp_path) == before


def test_the_model_itself_is_never_overwritten(tmp_path: Path, capsys: Captured) -> None:
    model = tmp_path / "index.html"
    model.write_bytes(TINY.read_bytes())
    alias = tmp_path / "alias.onnx"
    alias.symlink_to(model)
    assert run(capsys, alias, "-o", tmp_path, "--overwrite")[:2] == (1, "")
    assert model.read_bytes() == TINY.read_bytes()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    for folder in (file, file / "site"):
        code, out, err = run(capsys, TINY, "-o", folder)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert f"{folder}: " in err


def test_a_model_that_the_core_refuses_is_told_before_anything_is_written(
    tmp_path: Path, capsys: Captured
) -> None:
    proto, path = make_model("ab"), tmp_path / "model.onnx"
    proto.graph.node[-1].op_type = "Sub"
    for content, message in (
        (TINY.read_bytes()[:-40], f"textgen-web: error: {path}: "),
        (proto.SerializeToString(), "is not that of an LSTM network"),
    ):
        path.write_bytes(content)
        code, out, err = run(capsys, path, "-o", tmp_path / "site")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert message in err
        assert "--engine" not in err
        assert os.listdir(tmp_path) == ["model.onnx"]


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
    code, out, err = run(capsys, TINY, "-o", tmp_path, "--overwrite", "--title", "new")
    assert (code, out) == (1, "")
    assert "No space left on device" in err
    assert os.listdir(tmp_path) == ["index.html"]
    assert (tmp_path / "index.html").read_bytes() == before
