"""The file of the report, during a run and after it."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import textgen_runtime as textgen
from textgen_runtime.sampler import entropy
from textgen_runtime.temperatures import compare_temperatures, copied_shares, draw_texts
from textgen_train.export.onnx_graph import replace_metadata
from textgen_train.loop.events import EvaluationHistory
from textgen_train.loop.run import TrainingRun
from textgen_train.report import page
from textgen_train.report.losses import References
from textgen_train.report.page import ReportPage

from tests.helpers.report_pages import Page, dataset_of, evaluation, facts_of
from tests.helpers.training_runs import FinishedRun

DATASET = dataset_of("do re mi fa sol la si do\n" * 60)
FIRST = EvaluationHistory([evaluation(10, 2.5)], [""], evaluation(10, 2.5))
SECOND = EvaluationHistory([evaluation(10, 2.5), evaluation(100, 1.5)], ["", ""], evaluation(100, 1.5))


class FakeRun:
    """What the report asks a run for."""

    def __init__(self) -> None:
        self.trainer, self.evaluator = SimpleNamespace(progress=0.0), SimpleNamespace(history=None)
        self.is_complete = False

    def evaluate(self, watcher: ReportPage, history: EvaluationHistory, progress: float = 0.5) -> None:
        self.trainer.progress, self.evaluator.history = progress, history
        watcher.on_evaluation(history)


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def run() -> FakeRun:
    return FakeRun()


@pytest.fixture
def watcher(run: FakeRun, tmp_path: Path, warnings: list[str]) -> ReportPage:
    return ReportPage(
        cast("TrainingRun", run), facts_of(DATASET, tmp_path), References(DATASET), warnings.append
    )


def test_the_report_is_written_at_each_evaluation_and_at_the_end(
    run: FakeRun, watcher: ReportPage, tmp_path: Path, warnings: list[str]
) -> None:
    path = tmp_path / "report.html"
    watcher.on_start()
    run.evaluate(watcher, FIRST, 0.25)
    assert "The run is in progress: 25% of its budget is used." in Page(path.read_text("utf-8")).text
    run.evaluate(watcher, SECOND, 1.0)
    assert "best held-out loss1.5000 nats" in Page(path.read_text("utf-8")).text
    run.is_complete = True
    watcher.on_end()
    text = Page(path.read_text("utf-8")).text
    assert "The run is complete." in text
    assert all(name in text for name in ("7-gram", "gzip", "bz2", "xz"))
    assert (watcher.files, warnings) == (["report.html"], [])


def test_a_resumed_run_without_an_evaluation_gives_the_same_report(
    run: FakeRun, watcher: ReportPage, tmp_path: Path
) -> None:
    """The run before was killed after its last evaluation."""
    run.is_complete = True
    watcher.on_start()
    for history in (FIRST, SECOND):
        run.evaluate(watcher, history)
    watcher.on_end()
    expected = (tmp_path / "report.html").read_bytes()
    resumed = ReportPage(cast("TrainingRun", run), facts_of(DATASET, tmp_path), References(DATASET), print)
    resumed.on_start()
    resumed.on_end()
    assert (tmp_path / "report.html").read_bytes() == expected


@pytest.mark.parametrize(
    ("progress", "status"),
    [
        (0.4, "The run ended early, after 40% of its budget."),
        (0.996, "The run ended early, after 99% of its budget."),
        # The 8-bit model could not be written, or the last evaluation was interrupted.
        (1.0, "The budget is used, but the run is not complete."),
    ],
)
def test_an_early_end_is_stated(
    run: FakeRun, watcher: ReportPage, tmp_path: Path, progress: float, status: str
) -> None:
    watcher.on_start()
    run.evaluate(watcher, FIRST, progress)
    watcher.on_end()
    # In a paragraph of its own.
    assert f">{status}<" in (tmp_path / "report.html").read_text("utf-8")


def test_a_resumed_run_that_is_interrupted_before_its_start_keeps_the_report(
    run: FakeRun, watcher: ReportPage, tmp_path: Path
) -> None:
    run.evaluator.history = FIRST
    watcher.on_end()
    assert not list(tmp_path.iterdir())


def test_a_run_without_evaluations_writes_no_report(watcher: ReportPage, tmp_path: Path) -> None:
    watcher.on_start()
    watcher.on_end()
    assert not list(tmp_path.iterdir())


def test_slow_references_do_not_block_the_end(
    run: FakeRun, watcher: ReportPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MAX_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(References, "start", lambda _: None)
    watcher.on_start()
    run.evaluate(watcher, FIRST)
    path = tmp_path / "report.html"
    assert "Some reference models are still being computed." in path.read_text("utf-8")
    watcher.on_end()
    assert "The run ended before all reference models were computed." in path.read_text("utf-8")


def test_a_report_that_cannot_be_written_is_warned_about(
    watcher: ReportPage, tmp_path: Path, warnings: list[str]
) -> None:
    (tmp_path / "report.html").mkdir()
    watcher.on_evaluation(FIRST)
    assert warnings == [
        f"cannot write {tmp_path}/report.html: Is a directory; the model file is not affected"
    ]
    assert watcher.files == []


@pytest.fixture
def _evaluated_run(tmp_path: Path, finished_run: FinishedRun) -> None:
    shutil.copytree(finished_run.folder, tmp_path, dirs_exist_ok=True)


@pytest.mark.usefixtures("_evaluated_run")
def test_a_run_shows_its_model(tmp_path: Path) -> None:
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    # Embedding, LSTM layer and output layer of 8 units, an embedding of 4, and 12 symbols.
    for row in ("embedembedding48124", "lstm_0lstm41648", "outputlinear108812", "all layers572"):
        assert row in page.text
    assert "604 parameters were trained" in page.text
    text = "do re mi fa sol la si do\n" * 60
    shares = copied_shares(
        draw_texts(textgen.load(tmp_path), texts=8, length=1000), text[: len(text) * 9 // 10]
    )
    assert max(shares.values()) > 0.1
    shown = "".join(f"temperature {temperature:g}{share:.1%}" for temperature, share in shares.items())
    assert f"phrases of the language.{shown}" in page.text
    assert len(page.find("section", "moment")) == 3
    assert len(page.find("svg")) == 8


@pytest.mark.usefixtures("_evaluated_run")
def test_copies_are_measured_when_the_run_is_complete(
    run: FakeRun, watcher: ReportPage, tmp_path: Path
) -> None:
    """It takes seconds, which a run that is interrupted does not have."""
    watcher.on_start()
    run.evaluate(watcher, FIRST)
    for is_complete in (False, True):
        run.is_complete = is_complete
        watcher.on_end()
        text = Page((tmp_path / "report.html").read_text("utf-8")).text
        assert "604 parameters were trained" in text
        assert ("phrases of the language." in text) is is_complete


@pytest.mark.usefixtures("_evaluated_run")
def test_a_missing_model_file_leaves_the_rest_of_the_report(watcher: ReportPage, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").unlink()
    watcher.on_evaluation(FIRST)
    text = Page((tmp_path / "report.html").read_text("utf-8")).text
    assert "Recipe" in text
    assert "all layers" not in text


@pytest.mark.usefixtures("_evaluated_run")
def test_a_better_model_replaces_the_shown_one(watcher: ReportPage, tmp_path: Path, tiny_path: Path) -> None:
    watcher.on_evaluation(FIRST)
    text = Page((tmp_path / "report.html").read_text("utf-8")).text
    assert "embedembedding48124" in text
    # That takes too long for each evaluation.
    assert "Copied text" not in text
    (tmp_path / "model.onnx").write_bytes(tiny_path.read_bytes())
    watcher.on_evaluation(SECOND)
    assert "embedembedding48124" not in Page((tmp_path / "report.html").read_text("utf-8")).text


def test_the_temperatures_are_those_after_the_prompt_that_is_hardest_to_continue(
    watcher: ReportPage, tmp_path: Path, tiny_path: Path
) -> None:
    model = textgen.load(tiny_path)
    prompts = sorted(
        ("abc", "dad", "had a"),
        key=lambda prompt: float(entropy(compare_temperatures(model, prompt).original)),
    )
    for order in (prompts, prompts[::-1]):
        metadata = model.metadata._replace(prompts=tuple(order))
        (tmp_path / "model.onnx").write_bytes(replace_metadata(tiny_path.read_bytes(), metadata))
        watcher.on_evaluation(FIRST if order is prompts else SECOND)
        text = Page((tmp_path / "report.html").read_text("utf-8")).text
        assert f"The probabilities of the next character after {prompts[-1]}." in text
