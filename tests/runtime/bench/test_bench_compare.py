"""The comparison of reports by ``textgen-bench --compare``."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from textgen_runtime.bench.compare import compare
from textgen_runtime.bench.report import ReportError, is_report, read_report, write_report

from tests.helpers.bench_reports import REPORT, report

OLD = Path("old.json")


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_written_report_is_recognized_and_read(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(write_report({"date": "today", "models": []}), encoding="utf-8")
    assert is_report(path)
    assert read_report(path) == {"textgen-bench": 1, "date": "today", "models": []}
    assert not is_report(write(tmp_path / "other.json", {"a": 1}))
    assert not is_report(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[NaN]", "not valid JSON"),
        ("[1]", "the key 'textgen-bench' is missing"),
        ('{"machine": {}}', "the key 'textgen-bench' is missing"),
        ('{"textgen-bench": 2}', "has format 2"),
    ],
)
def test_other_files_are_not_reports(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "old.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ReportError, match=message) as caught:
        read_report(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_report_is_an_error() -> None:
    with pytest.raises(ReportError, match=r"cannot read the report missing\.json: No such file"):
        read_report(Path("missing.json"))


def test_a_larger_ratio_is_worse() -> None:
    comparison = compare(report(plain=0.1, weights=1.2), report(plain=0.112, weights=1.0), OLD)
    assert {change.name: round(change.percent, 3) for change in comparison.changes} == {
        "one-stream: native / plain": 12.0,
        "one-stream: native / weights": -16.667,
        "latency: native p99 / p50": 0.0,
    }
    assert [change.name for change in comparison.worse(10)] == ["one-stream: native / plain"]
    assert comparison.worse(12.5) == []
    table = str(comparison.table(10))
    assert "old.json (2026-01-02T03:04:05+00:00)" in table
    assert "0.100 x  0.112 x  +12.0%  worse" in table
    assert "1.200 x  1.000 x  -16.7%\n" in table


def test_times_are_not_compared() -> None:
    slower = copy.deepcopy(REPORT)
    slower["models"][0]["sections"]["one-stream"]["figures"]["seconds"]["native"]["median"] = 1.0
    assert {change.percent for change in compare(REPORT, slower, OLD).changes} == {0.0}


def test_notes_list_the_differences() -> None:
    new = report(plain=0.2)
    new["models"][0] |= {"file": "new.onnx", "sha256": "1" * 64, "units": 256, "special_tokens": 3}
    new["machine"]["processor"] = "Another chip"
    new["options"] = {"temperature": 1.0, "quick": True}
    del new["models"][0]["sections"]["latency"]
    new["models"][0]["sections"]["memory"] = {"figures": {}, "ratios": {"long / short": {"value": 1.0}}}
    assert compare(REPORT, new, OLD).notes == [
        (
            "different models: model.onnx (1 x 128 units, 57 characters, sha256 000000000000) before, "
            "new.onnx (1 x 256 units, 54 characters and 3 special tokens, sha256 111111111111) now"
        ),
        "different processors: A chip before, Another chip now",
        "different temperature: 0.5 before, 1.0 now",
        "different quick: False before, True now",
        "only in the earlier report: latency: native p99 / p50",
        "only in this report: memory: long / short",
    ]


def test_models_are_compared_in_order() -> None:
    old, new = report(plain=0.1), report(plain=0.1)
    for document, plain in ((old, 0.4), (new, 0.5)):
        document["models"].append(report(plain=plain)["models"][0] | {"file": "b/second.onnx"})
    (worse,) = compare(old, new, OLD).worse(10)
    assert worse.name == "second.onnx, one-stream: native / plain"
    with pytest.raises(ReportError, match="has 1 model and this report has 2"):
        compare(REPORT, new, OLD)


def damaged(key: str) -> dict[str, Any]:
    """Return a report with an invalid key, or with ``key`` as the value of a ratio."""
    document = report()
    if key == "models":
        document["models"] = 5
    elif key == "date":
        del document["date"]
    elif key == "sections":
        document["models"][0]["sections"] = []
    else:
        document["models"][0]["sections"]["one-stream"]["ratios"]["native / plain"]["value"] = json.loads(key)
    return document


@pytest.mark.parametrize("key", ["models", "date", "sections", "0", "-1", "null", '"x"', "[]"])
def test_a_damaged_report_is_an_error(key: str) -> None:
    with pytest.raises(ReportError, match=r"old\.json is damaged"):
        compare(damaged(key), REPORT, OLD)


def test_reports_without_common_ratios_are_an_error() -> None:
    new = report()
    new["models"][0]["sections"] = {}
    with pytest.raises(ReportError, match="no ratio in common"):
        compare(REPORT, new, OLD)
