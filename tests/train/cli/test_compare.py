"""``textgen-compare`` puts training runs side by side."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest
from filelock import FileLock
from textgen_runtime import Normalization
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.tokenizer import SpecialTokens, Tokenizer
from textgen_train.cli.compare import main
from textgen_train.export.onnx_graph import replace_metadata
from textgen_train.loop.output_folder import LOCK_FILE
from textgen_train.report import compared_run

from tests.helpers.commands import Captured, run_here
from tests.helpers.make_tiny_model import make_model
from tests.helpers.report_pages import Page, evaluation

TRAINING: dict[str, Any] = {
    "sha256": "a",
    "split": {"held_out": "the last 10% of the corpus"},
    "parameters": 1234,
    "recipe": {"name": "default", "units": 8, "dropout": 0.1, "seed": 0},
    "replicas": 1,
}
CHARACTERS = make_tokenizer("character", "ab")
SPEED = "5,000"


def model_with(
    training: Mapping[str, Any], *, lowercase: bool = False, tokenizer: Tokenizer = CHARACTERS, **more: Any
) -> bytes:
    metadata = Metadata(tokenizer, Normalization(lowercase=lowercase), training=training, **more)
    content: onnx.ModelProto = make_model([chr(97 + token) for token in range(len(tokenizer))])
    return replace_metadata(content.SerializeToString(), metadata)


def with_cell(cell: str) -> dict[str, Any]:
    return {**TRAINING, "recipe": {**TRAINING["recipe"], "cell": cell}}


def make_folder(name: str, losses: list[float], model: bytes | None = None) -> Path:
    folder = Path(name)
    folder.mkdir()
    lines = [json.dumps(evaluation(100 * i, loss).as_json()) for i, loss in enumerate(losses, 1)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if model:
        (folder / "model.onnx").write_bytes(model)
    return folder


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def compare(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    return run_here(main, capsys, *arguments)


def cells(out: str) -> dict[str, list[str]]:
    """Return the cells of each row of the table, by the name of the run, and its different values."""
    table, _, values = out.partition("\n\ndifferent values\n")
    _, _, *rows = table.splitlines()
    split = {name: rest for name, *rest in (re.split(r"  +", row.strip()) for row in rows)}
    for row in values.splitlines():
        name, *rest = re.split(r"  +", row.strip())
        split[name] += rest or [""]
    return split


def test_the_table_shows_what_differs(capsys: Captured) -> None:
    other = {**TRAINING, "recipe": {**TRAINING["recipe"], "units": 16, "seed": 3}}
    make_folder("one", [2.0, 1.0, 1.5], model_with(TRAINING))
    make_folder("two", [3.0, 2.5], model_with(other))
    code, out, err = compare(capsys, "one", "two")
    assert (code, err) == (0, "")
    assert cells(out) == {
        "one": ["1,234", "5:00", "3.0", "300", "1.0000", "1.443", "1.5000", SPEED, "units 8, seed 0"],
        "two": ["1,234", "3:20", "2.0", "200", "2.5000", "3.607", "2.5000", SPEED, "units 16, seed 3"],
    }


def test_runs_with_the_same_folder_name_are_told_apart_by_their_paths(capsys: Captured) -> None:
    Path("a").mkdir()
    Path("b").mkdir()
    make_folder("a/model", [2.0], model_with(TRAINING))
    make_folder("b/model", [1.0], model_with({**TRAINING, "sha256": "b"}))
    make_folder("b/other", [3.0], model_with(TRAINING))
    _, out, err = compare(capsys, "a/model", "b/model", "b/other")
    assert {name: row[4] for name, row in cells(out).items()} == {
        "a/model": "2.0000",
        "b/model": "1.0000",
        "other": "3.0000",
    }
    assert err.endswith(": a/model, other; b/model\n")


@pytest.mark.parametrize(
    ("other", "values"),
    [
        (model_with(with_cell("gru")), ("cell lstm", "cell gru")),
        (
            model_with(with_cell("lstm"), tokenizer=make_tokenizer("word", ["a", "b", "ab"])),
            ("level character", "level word"),
        ),
        (
            model_with(
                with_cell("lstm"),
                tokenizer=make_tokenizer("character", ["a", "b", "", ""], SpecialTokens(None, 2, 3)),
                records="lines",
            ),
            ("records none", "records lines"),
        ),
        (
            model_with({**with_cell("lstm"), "parent": {"sha256": "0123456789", "corpus": "novel.txt"}}),
            ("from random weights", "from a model of novel.txt (01234567)"),
        ),
        (
            model_with({**with_cell("lstm"), "parent": {"sha256": "0123456789", "corpus": None}}),
            ("from random weights", "from the model 01234567"),
        ),
        (
            model_with(
                {
                    **with_cell("lstm"),
                    "teachers": [{"sha256": "0123456789"}, {"sha256": "abcdef0123"}],
                    "teacher_weight": 0.5,
                }
            ),
            ("teacher none", "teacher 01234567 and abcdef01, weight 0.5"),
        ),
    ],
    ids=["cell", "level", "records", "from", "from without a corpus", "teacher"],
)
def test_the_table_shows_choices_that_are_no_hyperparameters(
    capsys: Captured, other: bytes, values: tuple[str, str]
) -> None:
    make_folder("one", [2.0], model_with(with_cell("lstm")))
    make_folder("two", [2.0], other)
    code, out, err = compare(capsys, "one", "two")
    assert (code, err) == (0, "")
    assert (cells(out)["one"][-1], cells(out)["two"][-1]) == values


def test_losses_of_all_levels_can_be_compared(capsys: Captured) -> None:
    split = {**TRAINING["split"], "training_tokens": 9, "held_out_tokens": 1}
    make_folder("one", [2.0], model_with(TRAINING))
    make_folder("two", [2.0], model_with({**TRAINING, "split": split}))
    assert compare(capsys, "one", "two")[2] == ""


@pytest.mark.parametrize(
    "other",
    [
        model_with({**TRAINING, "sha256": "b"}),
        model_with({**TRAINING, "split": {"held_out": "the last 20% of the corpus"}}),
        model_with(TRAINING, lowercase=True),
        model_with({**TRAINING, "split": {**TRAINING["split"], "unknown": {"min_count": 5, "symbols": 2}}}),
    ],
    ids=["corpus", "split", "normalization", "rare characters"],
)
def test_losses_on_different_texts_are_warned_about(capsys: Captured, other: bytes) -> None:
    make_folder("one", [2.0], model_with(TRAINING))
    make_folder("two", [2.0], other)
    make_folder("three", [2.0], model_with(TRAINING))
    code, out, err = compare(capsys, "one", "two", "three")
    assert (code, err.count("\n"), len(cells(out))) == (0, 1, 3)
    assert "losses cannot be compared: " in err
    assert {"one, three", "two"} == set(err.strip().rpartition(": ")[2].split("; "))


def test_the_option_that_replaces_rare_characters_is_named(capsys: Captured) -> None:
    split = {**TRAINING["split"], "unknown": {"min_count": 5, "symbols": 2}}
    make_folder("one", [2.0], model_with(TRAINING))
    make_folder("two", [2.0], model_with({**TRAINING, "split": split}))
    _, out, err = compare(capsys, "one", "two")
    assert (cells(out)["one"][-1], cells(out)["two"][-1]) == ("min-count 1", "min-count 5")
    assert "the same corpus, normalization, rare characters and held-out text" in err


def test_a_run_without_a_model_is_shown(capsys: Captured) -> None:
    make_folder("one", [2.0], model_with(TRAINING))
    make_folder("two", [1.0])
    code, out, err = compare(capsys, "one", "two")
    assert (code, err.count("\n")) == (0, 1)
    assert "two/model.onnx: No such file or directory; the recipe of this run is not known" in err
    assert cells(out)["two"][-1] == "unknown, without a model"
    assert cells(out)["two"][0] == "?"


def test_damaged_metrics_are_ignored(capsys: Captured) -> None:
    folder = make_folder("one", [2.0, 1.0], model_with(TRAINING))
    good = (folder / "metrics.jsonl").read_bytes()
    damage = (
        b'{"step": 1}',
        b"[1, 2]",
        b'{"step": NaN}',
        b"\xff\xfe",
        b"",
        good.splitlines()[0].replace(b"2.0", b'"x"'),
        good.splitlines()[1][:40],
        b"[" * 100_000,
        good.splitlines()[0].replace(b": 100,", b": 1e999,"),
    )
    (folder / "metrics.jsonl").write_bytes(good + b"\n".join(damage))
    code, out, err = compare(capsys, "one")
    assert (code, err.count("\n")) == (0, 1)
    assert f"one/metrics.jsonl: ignored {len(damage)} damaged lines" in err
    assert cells(out)["one"][3:5] == ["200", "1.0000"]


def test_unknown_fields_and_a_missing_speed_are_no_damage(capsys: Captured) -> None:
    folder = make_folder("one", [2.0], model_with(TRAINING))
    values = evaluation(100, 2.0).as_json()
    del values["characters_per_second"]
    (folder / "metrics.jsonl").write_text(json.dumps({**values, "new": "x"}), encoding="utf-8")
    code, out, err = compare(capsys, "one")
    assert (code, err) == (0, "")
    assert cells(out)["one"][7] == "?"


def test_a_folder_without_metrics_does_not_stop_the_others(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder("one", [2.0], model_with(TRAINING))
    for name, content in (("none", None), ("empty", ""), ("large", "x" * 1000)):
        Path(name).mkdir()
        if content is not None:
            Path(name, "metrics.jsonl").write_text(content, encoding="utf-8")
    monkeypatch.setattr(compared_run, "MAX_METRICS_BYTES", 999)
    code, out, err = compare(capsys, "none", "empty", "one", "large", "one/model.onnx")
    assert (code, list(cells(out))) == (1, ["one"])
    assert err.splitlines() == [
        "textgen-compare: error: the folder none has no metrics.jsonl: pass the output folder of a run",
        "textgen-compare: error: empty/metrics.jsonl has no evaluation: wait for the first one",
        "textgen-compare: error: large/metrics.jsonl is too large to be the metrics of a run: pass another",
        "textgen-compare: error: one/model.onnx is a file: pass the output folder of a run",
    ]
    assert compare(capsys, "empty", "absent")[:2] == (1, "")


def test_a_run_that_is_going_on_is_marked(capsys: Captured) -> None:
    folder = make_folder("one", [2.0], model_with(TRAINING))
    with FileLock(folder / LOCK_FILE):
        assert cells(compare(capsys, "one")[1])["one"][1] == "1:40 so far"
    assert cells(compare(capsys, "one")[1])["one"][1] == "1:40"


def test_another_comparison_is_no_run(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds the lock for a moment."""
    look = FileLock(make_folder("one", [2.0], model_with(TRAINING)) / LOCK_FILE)
    look.acquire()
    monkeypatch.setattr(time, "sleep", lambda _: look.release())
    assert cells(compare(capsys, "one")[1])["one"][1] == "1:40"


def test_different_values_are_named_like_the_options(capsys: Captured) -> None:
    """Model files have other names of some hyperparameters."""
    for name, values in (
        ("one", {"slice_length": 64, "muon_rate": 0.02, "residual": False, "seed": 1234567, "other": None}),
        ("two", {"slice_length": 32, "muon_rate": 0.0, "residual": True, "seed": 0, "other": [1]}),
    ):
        make_folder(name, [2.0], model_with({**TRAINING, "recipe": {"name": "default", **values}}))
    shown = {name: row[-1] for name, row in cells(compare(capsys, "one", "two")[1]).items()}
    assert shown == {
        "one": "sequence-length 64, muon-lr 0.02, residual no, seed 1234567, other None",
        "two": "sequence-length 32, muon-lr 0, residual yes, seed 0, other [1]",
    }


def test_the_budgets_are_among_the_different_values(capsys: Captured) -> None:
    for name, budget in (
        ("one", {"minutes": 1.5, "epochs": None}),
        ("two", {"minutes": None, "epochs": 20}),
        ("odd", "x"),
    ):
        make_folder(name, [2.0], model_with({**TRAINING, "budget": budget}))
    shown = {name: row[-1] for name, row in cells(compare(capsys, "one", "two")[1]).items()}
    assert shown == {"one": "minutes 1.5", "two": "epochs 20"}
    assert compare(capsys, "one", "odd")[0] == 0


def test_the_page_has_the_table_and_the_curves(capsys: Captured) -> None:
    name = '<b>&"two"'
    make_folder("one", [2.0, 1.0, 1.5], model_with(TRAINING))
    make_folder(name, [3.0, 2.5], model_with({**TRAINING, "sha256": "b"}))
    assert compare(capsys, "one", name, "--html", "page.html")[0] == 0
    page = Page(Path("page.html").read_text(encoding="utf-8"))
    assert "1.0000" in page.text
    assert "losses cannot be compared" in page.text
    assert not page.find("b")
    assert [len(page.find("polyline", f"run run{i}")) for i in range(3)] == [4, 4, 0]
    assert len(page.find("circle", "run run0")) == 4 * 3
    # An earlier page is replaced. Another file is not.
    assert compare(capsys, "one", "--html", "page.html")[0] == 0
    Path("page.html").write_text("precious", encoding="utf-8")
    code, out, err = compare(capsys, "one", "--html", "page.html")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert Path("page.html").read_text(encoding="utf-8") == "precious"


def test_the_comparison_imports_no_torch(tmp_path: Path) -> None:
    make_folder("one", [2.0], model_with(TRAINING))
    program = (
        "import sys; from textgen_train.cli.compare import main\n"
        "assert main(['one', '--html', 'page.html']) == 0\n"
        "assert not {'torch', 'onnx', 'matplotlib', 'tqdm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, capture_output=True)
