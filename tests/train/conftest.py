"""Fixtures of the tests of training."""

import pytest

from tests.helpers.training_runs import FinishedRun, evaluate_after_every_epoch, make_run


@pytest.fixture
def _evaluations_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate_after_every_epoch(monkeypatch)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A complete run of three epochs with an evaluation after each. Do not change its folder."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as monkeypatch:
        evaluate_after_every_epoch(monkeypatch)
        run, progress = make_run(folder)
        run.run()
    return FinishedRun(folder, run, progress)
