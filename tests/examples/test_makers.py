"""The examples that make names and tunes."""

import os
import re
from argparse import ArgumentTypeError
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.helpers.commands import Captured
from tests.helpers.examples import import_example, run_example
from tests.helpers.record_models import record_content

ABC = " \n%:/|0123456789ABCDEFGKLMNTXabcdefgm"


@pytest.fixture
def names_model(tmp_path: Path) -> Path:
    path = tmp_path / "names.onnx"
    path.write_bytes(record_content(end_bias=2.0, symbols=" abcdé"))
    return path


@pytest.fixture
def tunes_model(tmp_path: Path) -> Path:
    path = tmp_path / "tunes.onnx"
    path.write_bytes(record_content(kind="blank", symbols=ABC))
    return path


def test_names_are_new(
    names_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    known = tmp_path / "names.txt"
    known.write_text("", encoding="utf-8")
    code, out = run_example("names", monkeypatch, capsys, names_model, known, "--count", "60")
    first = out.splitlines()
    assert code == 0
    assert len({*first}) == len(first) == 60
    assert "" not in first
    # The list is normalized as the training text was.
    known.write_text(out.upper(), encoding="utf-8")
    code, out = run_example("names", monkeypatch, capsys, names_model, known, "--count", "60")
    assert code == 0
    assert len(out.splitlines()) == 60
    assert not {*first} & {*out.splitlines()}


# The beginning is normalized as the training text was.
@pytest.mark.parametrize("beginning", ["ba", "BA"])
def test_names_have_the_beginning(
    beginning: str, names_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    _, out = run_example("names", monkeypatch, capsys, names_model, os.devnull, "--beginning", beginning)
    assert len(out.splitlines()) == 12
    assert all(name.startswith("ba") for name in out.splitlines())


@pytest.mark.parametrize(("key", "meter"), [("D", "6/8"), ("Em", "4/4")])
def test_tunes_have_the_key_and_the_meter(
    tunes_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, key: str, meter: str
) -> None:
    options = ("--key", key, "--meter", meter, "--count", "2", "--seed", "3")
    code, out = run_example("tunes", monkeypatch, capsys, tunes_model, *options)
    assert code == 0
    *tunes, rest = out.split("\n\n")
    assert (len(tunes), rest) == (2, "")
    for number, tune in enumerate(tunes, 1):
        header, notes = re.split(rf"^K: ?{key}\n", tune, maxsplit=1, flags=re.MULTILINE)
        assert header.startswith(f"X:{number}\n")
        assert re.findall("^M: ?(.*)", header, re.MULTILINE) == [meter]
        assert notes
    assert run_example("tunes", monkeypatch, capsys, tunes_model, *options) == (0, out)
    assert run_example("tunes", monkeypatch, capsys, tunes_model, *options[:-1], "4")[1] != out


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
    tune = f"X:1\nT:abc\n{unit}{found}M:{meter}\nK:D\n{rest}"
    assert tunes.faults(tune, Fraction(meter)) == faults
    monkeypatch.setattr(tunes, "BARS", 100)
    assert tunes.faults(tune, Fraction(meter)) > 90


def test_the_best_of_several_tunes_is_taken() -> None:
    drawn = [f"X:1\nT:a\nM:6/8\nK:D\n{music}" for music in ("d6", "|d6|d6|d3", "|d6|d6|d5|d6|")]
    model = SimpleNamespace(generate=lambda prompts, **_: drawn[: len(prompts)])
    assert import_example("tunes").compose(model, "D", "6/8") == drawn[1]


def test_a_wrong_meter_is_wrong_usage(
    tunes_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    for meter in ("jig", "6/0"):
        assert run_example("tunes", monkeypatch, capsys, tunes_model, "--meter", meter)[0] == 2
        with pytest.raises(ArgumentTypeError, match=r"^must be a fraction such as 6/8$"):
            import_example("tunes").checked_meter(meter)


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


@pytest.mark.parametrize("name", ["names", "tunes"])
def test_an_unreadable_model_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    files = [path, path] if name == "names" else [path]
    code, out = run_example(name, monkeypatch, capsys, *files)
    assert isinstance(code, str)
    assert code.startswith(f"{name}.py: ")
    assert (out, "\n" in code) == ("", False)
