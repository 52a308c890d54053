"""``textgen-compare`` puts training runs side by side."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from textgen_train.compare import main
from textgen_train.folder import locked_folder

from tests.helpers.commands import Captured, run_here
from tests.helpers.short_runs import Page, evaluation, make_run

TRAINING: dict[str, Any] = {
    "sha256": "a",
    "split": {"held_out": "the last 10% of the corpus", "training_tokens": 3},
    "parameters": 1234,
    "recipe": {"name": "default", "units": 8, "dropout": 0.1, "seed": 0},
    "budget": {"minutes": 1.0, "epochs": None},
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make_folder(
    name: str, losses: list[float], training: dict[str, Any] | None = None, **options: Any
) -> Path:
    folder = Path(name)
    folder.mkdir(parents=True)
    lines = [json.dumps(asdict(evaluation(100 * i, loss))) for i, loss in enumerate(losses, 1)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if training is not None:
        content = make_run(folder, **options).learner.model(json.dumps(training))
        (folder / "model.onnx").write_bytes(content)
    return folder


def compare(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    return run_here(main, capsys, *arguments)


def cells(out: str) -> dict[str, list[str]]:
    """Return the cells of each row of the table, by the name of the run, and its different values."""
    shown, _, values = out.partition("\n\ndifferent values\n")
    _, _, *rows = shown.splitlines()
    split = {name: rest for name, *rest in (re.split(r"  +", row.strip()) for row in rows)}
    for row in values.splitlines():
        name, *rest = re.split(r"  +", row.strip())
        split[name] += rest or [""]
    return split


def test_the_table_shows_the_losses_and_what_differs(capsys: Captured) -> None:
    other = {**TRAINING, "recipe": {**TRAINING["recipe"], "units": 16, "seed": 3}}
    make_folder("one", [2.0, 1.0, 1.5], TRAINING)
    make_folder("two", [3.0, 2.5], {**other, "budget": {"epochs": 4}})
    code, out, err = compare(capsys, "one", "two")
    assert (code, err) == (0, "")
    assert cells(out) == {
        "one": [
            "1,234",
            "5:00",
            "3.0",
            "300",
            "1.0000",
            "1.443",
            "1.5000",
            "5,000",
            "units 8, seed 0, minutes 1",
        ],
        "two": [
            "1,234",
            "3:20",
            "2.0",
            "200",
            "2.5000",
            "3.607",
            "2.5000",
            "5,000",
            "units 16, seed 3, epochs 4",
        ],
    }
    assert "different values" not in compare(capsys, "one", "one")[1]


@pytest.mark.parametrize(
    ("training", "options", "values", "warned"),
    [
        ({"teachers": [{"sha256": "b" * 64}]}, {}, ("teacher none", "teacher bbbbbbbb"), False),
        ({"parent": {"sha256": "c" * 64}}, {}, ("from random weights", "from cccccccc"), False),
        (
            {"split": {**TRAINING["split"], "training_tokens": 9}},
            {"level": "word"},
            ("level character", "level word"),
            False,
        ),
        (
            {"split": {**TRAINING["split"], "unknown": {"min_count": 5, "symbols": 3}}},
            {},
            ("min-count 1", "min-count 5"),
            True,
        ),
        (
            {},
            {"records": "lines", "text": "ab\nba\naba\nbab\n" * 99},
            ("records none", "records lines"),
            False,
        ),
        ({"sha256": "b"}, {}, None, True),
        ({"split": {"held_out": "the last 20% of the corpus"}}, {}, None, True),
        ({}, {"lowercase": True}, None, True),
    ],
)
def test_choices_that_differ_and_losses_that_cannot_be_compared(
    capsys: Captured,
    training: dict[str, Any],
    options: dict[str, Any],
    values: tuple[str, str] | None,
    warned: bool,
) -> None:
    make_folder("a", [2.0], TRAINING)
    make_folder("b", [3.0], TRAINING | training, **options)
    code, out, err = compare(capsys, "a", "b")
    assert (code, bool(err)) == (0, warned), err
    if values:
        assert [row[-1] for row in cells(out).values()] == [*values]
    else:
        assert "different values" not in out


def test_runs_with_the_same_name_are_told_apart_by_their_paths(capsys: Captured) -> None:
    for name in ("a/model", "b/model", "b/other"):
        make_folder(name, [2.0], TRAINING)
    assert {*cells(compare(capsys, "a/model", "b/model", "b/other")[1])} == {"a/model", "b/model", "other"}


def test_damaged_metrics_and_a_missing_model(capsys: Captured) -> None:
    good = asdict(evaluation(100, 2.0)) | {"new": 1}
    bad = [b"", b"{", b"[]", b"[" * 99_999, b"\xff", json.dumps(good | {"held_out_nats": "x"}).encode()]
    bad += [json.dumps(good | {"held_out_nats": float("nan")}).encode(), b'{"step": 1}']
    first = json.dumps(good | {"characters_per_second": None}).encode()
    folder = make_folder("run", [9.0])
    (folder / "metrics.jsonl").write_bytes(b"\n".join([first, *bad]))
    code, out, err = compare(capsys, "run")
    assert (code, err.count("\n")) == (0, 2)
    assert "8 damaged" in err
    assert cells(out)["run"] == [
        *["?", "1:40", "1.0", "100", "2.0000", "2.885", "2.0000", "?", "unknown, without a model"][:8],
        "unknown, without a model",
    ]


def test_a_folder_without_a_run_does_not_stop_the_others(capsys: Captured) -> None:
    make_folder("run", [2.0], TRAINING)
    make_folder("empty", [])
    code, out, err = compare(capsys, "none", "run", "empty")
    assert (code, err.count("\n")) == (1, 2)
    assert {*cells(out)} == {"run"}
    assert compare(capsys, "none")[:2] == (1, "")


def test_a_run_that_is_going_on_is_marked(capsys: Captured) -> None:
    folder = make_folder("run", [2.0], TRAINING)
    with locked_folder(folder):
        assert "1:40 so far" in compare(capsys, "run")[1]
    assert "so far" not in compare(capsys, "run")[1]


def test_the_page_has_the_table_and_the_curves_and_replaces_only_pages(capsys: Captured) -> None:
    for number in range(9):
        make_folder(f"<b>{number}", [3.0, 2.0 + number], {**TRAINING, "sha256": str(number)})
    names = [f"<b>{number}" for number in range(9)]
    for _ in range(2):
        assert compare(capsys, *names, "--html", "page.html")[0] == 0
    page = Page(Path("page.html").read_text(encoding="utf-8"))
    assert not page.find("b")
    assert all(page.text.count(name) >= 3 for name in names)
    assert len(page.find("polyline")) == 9
    assert len(page.find("polyline", "run run0")) == 2
    assert "Warning" in page.text
    Path("notes").write_text("mine", encoding="utf-8")
    assert compare(capsys, *names, "--html", "notes")[:2] == (1, "")
    assert Path("notes").read_text(encoding="utf-8") == "mine"
