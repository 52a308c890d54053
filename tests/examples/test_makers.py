"""The examples that make names and tunes."""

import re
from pathlib import Path

import pytest
from textgen_runtime.generation.loading import open_model

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
    _, out = run_example("names", monkeypatch, capsys, names_model, "/dev/null", "--beginning", beginning)
    assert len(out.splitlines()) == 12
    assert all(name.startswith("ba") for name in out.splitlines())


def test_names_end_when_there_are_no_more() -> None:
    """A record of this model is empty: every name is the beginning."""
    model = open_model(record_content(end_bias=1000.0))
    assert [*import_example("names").new_names(model, [], "ab")] == ["ab"]


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
