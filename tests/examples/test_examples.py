"""What the examples compute."""

import json
import re
import threading
from fractions import Fraction
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import pytest
import textgen_runtime as textgen

from tests.helpers.commands import Captured
from tests.helpers.documents import blocks
from tests.helpers.examples import EXAMPLES, import_example, run_example
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import FORMAT_2, ROOT, TINY_INT8
from tests.helpers.record_models import record_content

ABC = " \n%:/|0123456789ABCDEFGKLMNTXabcdefgm"
ONE_PAGE_REFUSES = "one_page.py: the model must be an LSTM of format 1, without residual connections"


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_an_example_is_listed_and_shows_its_usage(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert f"[`{name}`](../examples/{name})" in page
    code, _ = run_example(name.removesuffix(".py"), monkeypatch, capsys)
    assert code == 2 or f"python examples/{name} " in str(code)


@pytest.mark.parametrize(("key", "meter"), [("D", "6/8"), ("Em", "4/4")])
def test_tunes_have_the_key_and_the_meter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, key: str, meter: str
) -> None:
    model = tmp_path / "tunes.onnx"
    model.write_bytes(record_content(kind="blank", symbols=ABC))
    options = ("--key", key, "--meter", meter, "--count", "2", "--seed", "3")
    code, out = run_example("tunes", monkeypatch, capsys, model, *options)
    *tunes, rest = out.split("\n\n")
    assert (code, len(tunes), rest) == (0, 2, "")
    for number, tune in enumerate(tunes, 1):
        header, notes = re.split(rf"^K: ?{key}\n", tune, maxsplit=1, flags=re.MULTILINE)
        assert header.startswith(f"X:{number}\n")
        assert re.findall("^M: ?(.*)", header, re.MULTILINE) == [meter]
        assert notes


@pytest.mark.parametrize(
    ("music", "meter", "faults"),
    [
        ("G|d2A G2F|A3-A2B:|\nP:B\n|:d/2e/2|fdA D3||", "6/8", 0),
        ("d2A G2F|A2B A2|d6|", "6/8", 1),
        # The first bar of a section, and the last one, may be short but not long.
        ("A2|d6|d4", "6/8", 0),
        ("A2d6|d6|d4", "6/8", 1),
        ("d6|d7:|", "6/8", 1),
        # Chord symbols, grace notes, fields and comments have no length; tuplets and accidentals do.
        ('d6|"Em7"{ga}^g2 _a =b2 z|(3abc (3abc d2|% abc\nK:G\nB,,3 c\'3|d6', "6/8", 0),
        ("d4|d e/f/ g3/2a//b//|d4", "4/4", 1),
        ("L:1/4\nd4|d e/f/ g3/2a//b//|d4", "4/4", 0),
        # The unit is 1/16 below a meter of 3/4.
        ("d8|d2d2d4|d8", "2/4", 0),
    ],
)
def test_the_bars_of_a_tune_add_up(
    monkeypatch: pytest.MonkeyPatch, music: str, meter: str, faults: int
) -> None:
    tunes = import_example("tunes")
    monkeypatch.setattr(tunes, "BARS", 0)
    unit, found, rest = music.rpartition("L:1/4\n")
    assert tunes.faults(f"X:1\nT:abc\n{unit}{found}M:{meter}\nK:D\n{rest}", Fraction(meter)) == faults


def test_the_best_of_several_tunes_is_taken() -> None:
    drawn = [f"X:1\nT:a\nM:6/8\nK:D\n{music}" for music in ("d6", "|d6|d6|d3", "|d6|d6|d5|d6|")]
    model = SimpleNamespace(generate=lambda prompts, **_: drawn[: len(prompts)])
    assert import_example("tunes").compose(model, "D", "6/8") == drawn[1]


def test_a_text_of_tunes_has_their_titles_keys_and_notes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    first = "X:7\nT: The  Hut\nT:Another title\nR:jig\nM:6/8\nL: 1/8\nZ:J. Doe, doe@example.org\nK:Em\n"
    second = (
        "X:8\nT:No key\nM:3/4\nabc\n\nX:9\nT:Sp\xe9cial\nM:C|\nK:D % major\nabc|\nD:|\nK:G\nN::slow\ne|]\n"
    )
    (tmp_path / "b.abc").write_text(first + '"Am"A2 B |\t"1"c3\\\n  d3 :| % end\n', encoding="latin-1")
    (tmp_path / "c.abc").write_text(f"{second}\n{first}A2 B | c3\nd3 :|", encoding="latin-1")
    (tmp_path / "d.abc").write_text("\ufeffX:1\nT:R\xe9el\nM:C|\nK:D\ne::f|", encoding="utf-8")
    text = tmp_path / "tunes.txt"
    assert run_example("clean_tunes", monkeypatch, capsys, tmp_path, text) == (0, "")
    assert text.read_text(encoding="utf-8").split("\n\n") == [
        "X:1\nT:The  Hut\nM:6/8\nL:1/8\nK:Em\nA2 B | c3\nd3 :|",
        "X:1\nT:Sp\xe9cial\nM:C|\nK:D\nabc|\nD:|\ne|]",
        "X:1\nT:R\xe9el\nM:C|\nK:D\ne::f|\n",
    ]


def test_a_text_field_gets_whole_texts_with_their_likeliest_words_first() -> None:
    autocomplete = import_example("autocomplete")
    vars(autocomplete)["MODEL"] = textgen.load("nietzsche")
    with ThreadingHTTPServer(("127.0.0.1", 0), autocomplete.Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}/"

        def suggestions(text: str) -> list[str]:
            with urlopen(f"{address}?{quote(text)}") as answer:  # noqa: S310 (a server of this test)
                return list(json.load(answer))

        with urlopen(address) as answer:
            page = answer.read().decode()
        wills, unknown, nothing = (suggestions(text) for text in ("The wil", "日本", ""))
        long = suggestions("so " * 1000 + "the wil")
        server.shutdown()
    assert '<input id="field" list="texts"' in page
    assert wills[0] == "The will"
    assert (unknown, nothing) == ([], [])
    assert long[0] == "so " * 1000 + "the will"


@pytest.mark.parametrize(("layers", "units"), [(1, 24), (2, 16)])
def test_the_likeliest_text_of_one_page_is_that_of_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, layers: int, units: int
) -> None:
    """The random models have texts that do not repeat themselves soon."""
    path = tmp_path / "random.onnx"
    path.write_bytes(make_model(scale=1.3, units=units, embedding=8, layers=layers).SerializeToString())
    _, out = run_example("one_page", monkeypatch, capsys, path, "a", "0")
    assert out == "a" + textgen.load(path).generate("a", length=400, temperature=0.0) + "\n"


def test_one_page_draws_with_the_probabilities_of_the_engine() -> None:
    logits = np.array([1.0, -2.0, 0.5], np.float32)
    rng = Mock(**{"choice.return_value": 2})
    assert import_example("one_page").draw(logits, 0.7, rng) == 2
    assert rng.choice.call_args[1]["p"] == pytest.approx(textgen.softmax(logits, temperature=0.7))


def test_one_page_refuses_a_model_that_it_does_not_compute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    residual = tmp_path / "residual.onnx"
    residual.write_bytes(make_model(layers=2, residual=True).SerializeToString())
    for path in (*FORMAT_2.glob("*.onnx"), TINY_INT8, residual):
        code, _ = run_example("one_page", monkeypatch, capsys, path, "a", "0")
        assert code == ONE_PAGE_REFUSES


def test_a_document_shows_all_of_one_page() -> None:
    """Each part stands in the program, and the parts have all of its lines except those of its docstring."""
    program = (EXAMPLES / "one_page.py").read_text(encoding="utf-8").partition('"""\n')[2]
    parts = blocks((ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8"), "python")
    assert all(part in program for part in parts)
    assert sorted(filter(None, "".join(parts).splitlines())) == sorted(filter(None, program.splitlines()))
