"""``textgen-eval`` with models of records, bytes and words."""

import json
from pathlib import Path

import pytest
from textgen_runtime.cli.eval import main
from textgen_runtime.scoring.prediction import predict
from textgen_runtime.text import is_held_out

from tests.helpers.commands import Captured, run_here
from tests.helpers.record_models import LEVELS, record_content, record_model

NAMES = ["abba", "cab", "d", "dé a", "baba"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    return tmp_path


def evaluate(capsys: Captured, folder: Path, level: str, *arguments: str) -> tuple[int, str, str]:
    path = folder / "model.onnx"
    path.write_bytes(record_content(level))
    return run_here(main, capsys, str(path), str(folder / "names.txt"), *arguments)


@pytest.mark.parametrize("level", LEVELS)
def test_records_are_scored_with_their_ends(level: str, capsys: Captured, folder: Path) -> None:
    code, out, err = evaluate(capsys, folder, level, "--json")
    result = json.loads(out)["all"]
    score = predict(record_model(level), "\n".join(NAMES)).score
    assert (code, err) == (0, "")
    assert result["records"] == len(NAMES)
    assert result["characters"] == sum(map(len, NAMES)) + len(NAMES) == score.characters
    assert (result["nats"], result["nats_per_token"]) == pytest.approx((score.nats, score.token_nats))
    code, out, _ = evaluate(capsys, folder, level)
    assert f"{result['characters']} characters of 5 records scored" in out
    assert ("nats per token" in out) == (result["tokens"] != result["characters"])


def test_the_last_share_selects_held_out_records(capsys: Captured, folder: Path) -> None:
    held_out = [name for name in NAMES if is_held_out(name, 0.5)]
    _, out, _ = evaluate(capsys, folder, "character", "--last", "0.5")
    assert f"of {len(held_out)} records scored, the held-out 50% of the records, " in out


def test_one_record_is_no_plural(capsys: Captured, folder: Path) -> None:
    (folder / "names.txt").write_bytes("dé".encode())
    _, out, _ = evaluate(capsys, folder, "byte")
    assert "names.txt: 3 characters of 1 record scored in 4 tokens, " in out
    code, _, err = evaluate(capsys, folder, "byte", "--last", "0.00001")
    assert code == 1
    assert err.endswith("the only record is not in the held-out 0.001%: raise --last\n")


def test_any_file_is_a_text_of_bytes(capsys: Captured, folder: Path) -> None:
    (folder / "names.txt").write_bytes(b"\x00\xff\xe4\xb8\x80\n\xe4")
    code, out, err = evaluate(capsys, folder, "byte", "--json")
    result = json.loads(out)["all"]
    assert (code, err) == (0, "")
    assert (result["records"], result["characters"], result["tokens"]) == (2, 4 + 2, 6 + 2)
    code, _, err = evaluate(capsys, folder, "character")
    assert (code, err.count("\n")) == (1, 1)


@pytest.mark.parametrize("level", LEVELS)
def test_the_page_shows_characters(level: str, capsys: Captured, folder: Path) -> None:
    page = folder / "page.html"
    code, _, err = evaluate(capsys, folder, level, "--surprise", str(page))
    text = page.read_text(encoding="utf-8")
    assert (code, err) == (0, "")
    assert "\u21b5" in text
    details = json.loads(text.partition('<script type="application/json">')[2].partition("</script>")[0])
    assert "".join(details["text"]) == "".join(f"{name}\n" for name in NAMES)
    assert all(details["text"])
    assert len(details["text"]) == len(details["bits"]) == len(details["choices"])
    score = predict(record_model(level), "\n".join(NAMES)).score
    assert sum(details["bits"]) == pytest.approx(score.bits * score.characters, abs=0.2)
