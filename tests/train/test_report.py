"""The report of a run, its charts, and the verdict on the result."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textgen_train.chart import HEIGHT, WIDTH, Curve, draw
from textgen_train.evaluate import BITS_PER_NAT, Sample
from textgen_train.page import describe_result, measure_copied, write_report
from textgen_train.train import Run

from tests.helpers.short_runs import TEXT, Page, evaluation, make_run

HOSTILE = "</title><script>alert('&')</script><img src=x> \" $title ${x}"
CONTROLS = "\u202eright\u0627 \x00\x07\x1b[2J\x7f\x85\ud800"


def page_of(run: Run, status: str = "complete", copied: dict[float, float] | None = None) -> tuple[str, Page]:
    path = run.folder / "report.html"
    run.copied = copied or {}
    write_report(run, status, path)
    content = path.read_text(encoding="utf-8")
    return content, Page(content)


def test_the_page_shows_the_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, 2.0, 1.25, 1.5)
    run.state.samples = {i: Sample(f"prompt{i}", [f"text{i}{j}" for j in range(4)]) for i in range(3)}
    run.references.losses["7-gram"] = 1.875
    run.origin = replace(
        run.origin, command=["textgen-train", "a b"], teachers=[{"source": "big", "sha256": "c" * 64}]
    )
    content, page = page_of(run, copied={0.5: 0.75, 1.0: 0.125})
    numbers = [
        "1.2500",
        "2.0000",
        "1.5000",
        f"{1.25 * BITS_PER_NAT:.3f}",
        "1.8750",
        f"{1.875 * BITS_PER_NAT:.3f}",
    ]
    numbers += [
        "2.2500",
        "75.0%",
        "12.5%",
        f"{run.learner.parameters:,}",
        "3.0",
        "5:00",
        "3:20",
        "(best)",
        "200",
    ]
    numbers += [
        "<mark>8</mark>" and "8 (changed)",
        "textgen-train 'a b'",
        "big (cccccccc)",
        "the trainer in C",
    ]
    for number in numbers:
        assert number in page.text, number
    assert page.text.count("(best)") == 1
    assert {f"text{i}{j}" for i in range(3) for j in range(4)} <= {*re.findall(r"text\d\d", page.text)}
    # Nothing is loaded from elsewhere.
    assert not any("src" in values or "http" in values.get("href", "") for _, values in page.elements)
    assert len(page.find("script")) == 1
    assert "url(" not in content
    (language,) = page.find("html")
    assert language["lang"] == "en"
    assert len(page.find("svg")) == 5
    for status, shown in (("running", "progress"), ("interrupted", "interrupted")):
        assert shown in page_of(run, status)[1].text


@pytest.mark.parametrize("text", [HOSTILE, CONTROLS], ids=["markup", "controls"])
def test_texts_of_users_are_shown_and_never_interpreted(tmp_path: Path, text: str) -> None:
    run = make_run(tmp_path, 2.0)
    run.state.samples = {0: Sample(text, [text] * 4)}
    run.origin = replace(run.origin, command=["textgen-train", text])
    run.dataset.source.name = text
    run = replace(run, hardware=text, folder=tmp_path)
    content, page = page_of(run)
    assert (len(page.find("script")), len(page.find("img"))) == (1, 0)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", content)
    if text is HOSTILE:
        assert page.text.count(text) >= 10


def test_the_page_without_evaluation_model_or_samples(tmp_path: Path) -> None:
    write_report(make_run(tmp_path), "running", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
    run = make_run(tmp_path, 2.0)
    (tmp_path / "model.onnx").write_bytes(b"another")
    _, page = page_of(run)
    ids = {values["id"] for values in page.find("section") if "id" in values}
    assert {"loss", "corpus", "recipe"} <= ids
    assert not {"samples", "temperature"} & ids


@pytest.mark.parametrize("count", [1, 2, 500])
@pytest.mark.parametrize(
    "value", [lambda _: 2.0, lambda i: 9.0 / (i + 1), lambda i: 1e-9 * i, lambda i: 1e12 * i]
)
def test_a_chart_is_within_its_bounds(count: int, value: Callable[[int], float]) -> None:
    for scale in (0.0, 1e-3, 1e7):
        points = [(scale * i, value(i)) for i in range(count)]
        last = points[-1][1]
        references = [("near", last + 0.01), ("far", last + 1e15), ("same", last)]
        curve = Curve("run", "label", points, ["t"] * count)
        page = Page(draw("Loss", [curve, curve], references))
        for tag, values in page.elements:
            numbers = {"x": "x x1 x2 cx", "y": "y y1 y2 cy"}
            for axis, limit in (("x", WIDTH), ("y", HEIGHT)):
                for name in numbers[axis].split():
                    if name in values:
                        assert 0 <= float(values[name]) <= limit, (tag, values)
            for pair in re.findall(
                r"(-?[\d.]+|nan|inf)[, ](-?[\d.]+|nan|inf)", values.get("points", values.get("d", ""))
            ):
                assert 0 <= float(pair[0]) <= WIDTH
                assert 0 <= float(pair[1]) <= HEIGHT
        (first, _) = page.find("polyline")
        drawn = first["points"].split()
        assert 0 < len(drawn) <= min(count, 162)
        assert len(page.find("line", "reference")) == 2


def test_a_lower_loss_is_lower_in_a_chart_and_ticks_are_at_their_values() -> None:
    points = [(0.0, 3.0), (60.0, 1.0), (120.0, 2.0)]
    page = Page(draw("Loss", [Curve("run", "label", points, ["a", "b", "c"])]))
    circles = [(float(dot["cx"]), float(dot["cy"])) for dot in page.find("circle")]
    assert circles[0][0] < circles[1][0] < circles[2][0]
    assert circles[0][1] < circles[2][1] < circles[1][1]
    assert circles[2][1] == pytest.approx((circles[0][1] + circles[1][1]) / 2, abs=0.1)
    grid = sorted(float(line["y1"]) for line in page.find("line", "grid"))
    assert any(abs(place - circles[2][1]) < 0.1 for place in grid)


def change(run: Run, **values: Any) -> None:
    for name, value in values.items():
        setattr(run.state, name, value)


@pytest.mark.parametrize(
    ("word", "losses", "counted", "copied", "state"),
    [
        ("stopped", (1.0, 2.0), None, 0.0, {"progress": 0.5}),
        ("overfitted", (1.0, 2.0, 2.0), None, 0.0, {}),
        ("no update", (1.0, 2.0), None, 0.0, {"evaluations": [evaluation(0, 1.0), evaluation(9, 2.0)]}),
        ("counting", (2.0, 1.0), 0.99, 0.0, {}),
        ("copied", (2.0, 1.0), None, 0.5, {}),
        ("", (2.0, 1.0), 1.0, 0.49, {}),
        ("", (2.0, 1.0, 1.005), None, 0.0, {}),
        ("", (9.0, 9.0, 9.0, 1.0, 2.0), None, 0.0, {}),
        ("", (1.0,), math.inf, 0.0, {"evaluations": [evaluation(0, 1.0)]}),
    ],
)
def test_the_verdict(  # noqa: PLR0913, PLR0917 (each is a part of a run)
    tmp_path: Path,
    word: str,
    losses: tuple[float, ...],
    counted: float | None,
    copied: float,
    state: dict[str, Any],
) -> None:
    run = make_run(tmp_path, *losses)
    change(run, **state)
    if "evaluations" in state:
        run.best = run.state.evaluations[0]
    if counted is not None:
        run.references.losses["7-gram"] = counted
    words = ("stopped", "overfitted", "no update", "counting", "copied")
    run.copied = {0.5: copied, 1.0: 1.0}
    result = describe_result(run)
    assert [one for one in words if one in result] == ([word] if word else [])


def test_the_references_and_the_copied_shares_are_measured(tmp_path: Path) -> None:
    run = make_run(tmp_path, 2.0, text=TEXT + "si mi do la " * 40)
    run.references.wait(60)
    assert run.references.losses.keys() == {"7-gram"}
    assert all(0 <= nats < 10 for nats in run.references.losses.values())
    assert measure_copied(make_copying_model(), run.dataset) == {0.2: 0.0, 0.5: 0.0, 1.0: 0.0, 1.2: 0.0}


def make_copying_model() -> Any:
    import textgen_runtime

    return textgen_runtime.load("nietzsche")
