"""The report of a run: what the page shows, and that texts cannot break it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.files import is_output
from textgen_runtime.temperatures import compare_temperatures
from textgen_train.export.network import network_of
from textgen_train.loop.events import EvaluationHistory
from textgen_train.report.html import STYLE, template
from textgen_train.report.losses import Reference
from textgen_train.report.page import BestModel, report_page

from tests.helpers.report_pages import Page, dataset_of, evaluation, facts_of

TEXT = "do re mi fa sol la si do\n" * 60
HISTORY = EvaluationHistory(
    [evaluation(10, 2.5), evaluation(100, 1.5), evaluation(200, 1.6)],
    ["", "", ""],
    evaluation(100, 1.5),
)
# It would end an element, a script or an attribute.
HOSTILE = "</script><script>alert(1)</script><img src=x onerror='a'>\"'&amp;"


def samples_of(prompt: str, text: str) -> str:
    parts = [f"--- generating from: {prompt!r}"]
    for temperature in (0.2, 0.5, 1.0, 1.2):
        parts += [f"------ temperature: {temperature}", f"{prompt}{text} {temperature}"]
    return "\n".join(parts)


@pytest.fixture
def model(tiny_path: Path) -> BestModel:
    tiny = textgen.load(tiny_path)
    training = {
        "parameters": 12345,
        "sha256": "ab" * 32,
        "characters": 1500,
        "split": {
            "training_characters": 1350,
            "held_out_characters": 150,
            "held_out": "the last 10% of the corpus",
        },
        "recipe": {"seed": 77, "bfloat16": True},
        "budget": {"minutes": 2.5, "epochs": None},
        "replicas": 2,
        "versions": {"torch": "9.8.7"},
        "date": "2026-01-02",
    }
    return BestModel(
        network_of(tiny.engine), tiny.metadata._replace(training=training), compare_temperatures(tiny)
    )


def test_the_page_shows_the_run(model: BestModel, tmp_path: Path) -> None:
    words = ("textgen-train", "my song.txt")
    page = Page(
        report_page(
            facts_of(dataset_of(TEXT), tmp_path / "my model", command=words, units=9),
            EvaluationHistory(HISTORY.evaluations, [samples_of("do re", " mi")] * 3, HISTORY.best),
            status="The run is complete.",
            model=model,
            references=[Reference("7-gram", 1.75), Reference("gzip", 2.25)],
        )
    )
    for part in (
        "song: training report",
        "The run is complete.",
        "1.5000 nats per character",
        "12,345",
        "7-gram1.75002.525",
        "gzip2.2500",
        "temperature 0.2",
        "do re mi 1.2",
        "lstm_0",
        "1,500",
        "the last 10% of the corpus",
        "space28.0%",
        "9 (changed)88",
        "2.5 minutes",
        "torch 9.8.7",
        "2026-01-02",
        "textgen-train 'my song.txt'",
        f"textgen-run '{tmp_path}/my model' --temp 0.5",
    ):
        assert part in page.text, part
    assert len(page.find("section", "moment")) == 3
    assert page.text.count("(changed)") == 1
    assert "100 (best)" in page.text


def test_the_page_is_self_contained_and_small(model: BestModel, tmp_path: Path) -> None:
    count = 2000
    history = EvaluationHistory(
        [evaluation(100 * i, 1 + 2 / i) for i in range(1, count + 1)],
        [samples_of("do", " re" * 130)] * count,
        evaluation(123_400, 1 + 2 / 1234),
    )
    facts = facts_of(dataset_of(TEXT), tmp_path)
    content = report_page(facts, history, status="", model=model, references=[])
    assert len(content) < 200_000
    assert len(re.findall("<tr><th scope=.row.>[0-9,]+( .best.)?</th>", content)) < 70
    assert "123,400 (best)" in content
    assert not re.search(r"https?:|//[a-z]|url\(|@import", content)
    page = Page(content)
    for tag, attributes in page.elements:
        assert not {"src", "href", "srcset", "onclick"} & set(attributes), tag


def test_every_figure_has_a_title_and_every_table_has_headings(model: BestModel, tmp_path: Path) -> None:
    facts = facts_of(dataset_of(TEXT), tmp_path)
    page = Page(report_page(facts, HISTORY, status="", model=model, references=[Reference("xz", 2.0)]))
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    figures = page.find("svg")
    assert len(figures) == 8
    for figure in figures:
        assert figure["role"] == "img"
        assert set(figure["aria-labelledby"].split()) <= set(identifiers)
    tables = page.find("table")
    assert len(tables) == len(page.find("caption")) == len(page.find("thead"))
    assert all(heading["scope"] in ("row", "col") for heading in page.find("th"))
    (language,) = page.find("html")
    assert language["lang"] == "en"


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "\u202eright to left\u0627\u0644",
        "\x00\x07\x1b[2J\x7f\x85\ud800",
        "\u65e5\u672c\u8a9e",
        "$title ${x}",
    ],
    ids=["markup", "bidirectional", "control characters", "Japanese", "template"],
)
def test_texts_of_users_are_shown_and_never_interpreted(tmp_path: Path, text: str) -> None:
    """The name of the corpus, the folder, the command and the samples."""
    facts = facts_of(dataset_of(TEXT), tmp_path / "folder", corpus=text, command=("textgen-train", text))
    facts = replace(facts, folder=Path(text.replace("\0", "")))
    history = EvaluationHistory([evaluation(1, 2.0)], [samples_of(text, text)], evaluation(1, 2.0))
    plain = EvaluationHistory(history.evaluations, [text], history.best)
    for shown in (history, plain):
        content = report_page(facts, shown, status=text, model=None, references=[])
        page = Page(content)
        assert len(page.find("script")) == 1
        assert not page.find("img")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", content)
        content.encode()
        printable = "".join(character for character in text if character.isprintable())
        if printable == text:
            assert page.text.count(text) >= 4


def test_the_page_without_samples_model_and_references_is_complete(tmp_path: Path) -> None:
    history = EvaluationHistory([evaluation(1, 2.0)], [""], evaluation(1, 2.0))
    facts = facts_of(dataset_of(TEXT), tmp_path)
    page = Page(report_page(facts, history, status="", model=None, references=[], notes="Computed later."))
    headings = re.findall(r"Loss|Samples|Temperature|Network|Recipe|Use the model", page.text)
    assert "Samples" not in headings
    assert set(headings) == {"Loss", "Recipe"}
    assert "Computed later." in page.text


def test_unchanged_presets_have_no_marks(tmp_path: Path) -> None:
    facts = facts_of(dataset_of(TEXT), tmp_path)
    page = Page(report_page(facts, HISTORY, status="", model=None, references=[]))
    assert not page.find("mark")


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colors as WCAG 2 defines it."""

    def luminance(color: str) -> float:
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("number", [0, 1], ids=["light", "dark"])
def test_every_text_color_has_enough_contrast(number: int) -> None:
    """WCAG 2 level AA requires 4.5."""
    styles = [re.findall(r":root \{(.*?)\}", style, re.DOTALL)[number] for style in (STYLE, template())]
    colors = dict(re.findall(r"--([\w-]+): (#\w{6})", "".join(styles)))
    runs = re.findall(r"--run: (#\w{6})", template())
    assert len(runs) == 16
    texts = [
        *(color for name, color in colors.items() if name not in ("page", "card", "line", "changed")),
        *runs[8 * number : 8 * number + 8],
    ]
    assert len(texts) == 18
    for background in (colors["page"], colors["card"]):
        for color in texts:
            assert contrast(color, background) >= 4.5, color
    assert contrast(colors["ink"], colors["changed"]) >= 4.5


def test_a_budget_of_one_is_singular(model: BestModel, tmp_path: Path) -> None:
    facts = facts_of(dataset_of(TEXT), tmp_path)
    for budget, shown in (
        ({"minutes": 1.0, "epochs": None}, "budget1 minuteseed"),
        ({"minutes": None, "epochs": 1}, "budget1 epochseed"),
        ({"minutes": None, "epochs": 20}, "budget20 epochsseed"),
    ):
        training = {**model.metadata.training, "budget": budget}
        changed = replace(model, metadata=model.metadata._replace(training=training))
        page = Page(report_page(facts, HISTORY, status="", model=changed, references=[]))
        assert shown in page.text


def test_a_page_is_recognized(tmp_path: Path) -> None:
    facts = facts_of(dataset_of(TEXT), tmp_path)
    path = tmp_path / "page.html"
    path.write_text(report_page(facts, HISTORY, status="", model=None, references=[]), encoding="utf-8")
    assert is_output(path)
