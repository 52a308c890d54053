"""Fixtures of the tests of training."""

import pytest
from textgen_train.report import files

from tests.helpers.training_runs import FinishedRun, evaluate_after_every_epoch, make_run


def skip_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not draw curves, which takes longer than the rest of a quick run. Other processes draw them."""
    monkeypatch.setattr(files, "draw_curves", lambda *_: b"PNG")


@pytest.fixture(autouse=True)
def _without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_curves(monkeypatch)


@pytest.fixture
def _evaluations_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate_after_every_epoch(monkeypatch)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A complete run of three epochs with an evaluation after each. Do not change its folder."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as monkeypatch:
        skip_curves(monkeypatch)
        evaluate_after_every_epoch(monkeypatch)
        run, progress = make_run(folder)
        run.run()
    return FinishedRun(folder, run, progress)
