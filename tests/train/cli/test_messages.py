"""The lines that a run prints at its start and at its end."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textgen_runtime.corpus import RUN_FILES, Corpus, read_corpus
from textgen_runtime.model_file import MODEL_FILE
from textgen_runtime.text import Normalization, RecordKind
from textgen_train.cli._messages import (
    describe_corpus,
    describe_dataset,
    describe_evaluation_share,
    describe_hidden_files,
    describe_list,
    describe_overfitting,
    describe_result,
)
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.loop.checkpoint import ScheduleState
from textgen_train.loop.events import Evaluation
from textgen_train.options import RunOptions

from tests.helpers.paths import TINY

LIST = "".join(f"name{i}\n" for i in range(500))

BEST = Evaluation(
    step=80,
    epoch=20.0,
    seconds=81.0,
    training_nats=1.5,
    held_out_nats=1.75,
    bits_per_character=2.5,
    learning_rate=0.01,
    training_eval_nats=1.4375,
)
LAST = replace(BEST, step=360, epoch=90.0, seconds=359.0, held_out_nats=1.7685)


SIX_MINUTES, NINETY_EPOCHS = RunOptions("text", minutes=6), RunOptions("text", epochs=90)


def test_a_named_corpus_that_hides_a_file_or_a_folder_is_mentioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = RunOptions("names", held_out_file="nietzsche")
    assert not describe_hidden_files(options)
    for name in ("names", "nietzsche", "python-docs"):
        (tmp_path / name).mkdir()
    start, end = "is the name of a corpus; for the file or folder with this name, pass", "\n"
    assert describe_hidden_files(options) == (
        f"hint: names {start} ./names{end}hint: nietzsche {start} ./nietzsche{end}"
    )
    assert not describe_hidden_files(RunOptions("./names"))


def test_a_run_whose_loss_has_risen_says_when_the_best_model_was_there() -> None:
    assert describe_overfitting(BEST, LAST, SIX_MINUTES) == (
        "the run has overfitted: its best model is from 1:21 of 5:59; more text or more dropout "
        "would help, more minutes would not\n"
    )
    assert describe_overfitting(BEST, LAST, NINETY_EPOCHS) == (
        "the run has overfitted: its best model is from epoch 20.0 of 90.0; more text or more "
        "dropout would help, more epochs would not\n"
    )


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"preset": "small"}, "more text or more dropout would help"),
        ({"preset": "medium"}, "more text or a smaller preset would help"),
        ({"preset": "medium", "parent": "model.onnx"}, "more text or more dropout would help"),
        ({"recipe": "classic"}, "more text would help"),
    ],
    ids=["smallest", "larger", "network of a model", "classic"],
)
def test_a_run_that_has_overfitted_names_a_remedy_that_it_has(options: dict[str, Any], remedy: str) -> None:
    assert remedy in describe_overfitting(BEST, LAST, RunOptions("text", epochs=90, **options))


@pytest.mark.parametrize("changes", [{"seconds": 100.0}, {"held_out_nats": 1.755}])
def test_a_best_model_shortly_before_the_end_or_a_plateau_is_no_overfitting(
    changes: dict[str, float],
) -> None:
    assert describe_overfitting(BEST, replace(LAST, **changes), SIX_MINUTES) == ""  # type: ignore[arg-type]


def test_evaluations_that_take_more_than_a_fifth_are_mentioned() -> None:
    schedule = ScheduleState(paused_seconds=12.0, last_seconds=60.0)
    assert describe_evaluation_share(schedule) == ""
    schedule.paused_seconds = 12.5
    assert describe_evaluation_share(schedule).startswith("evaluations took 12 s of 1:00: ")


def corpus_of(text: str) -> Corpus:
    return Corpus.from_text("text", text)


def result(tmp_path: Path, options: RunOptions, schedule: ScheduleState) -> list[str]:
    """Return the last lines of a run whose best evaluation is not its last one."""
    (tmp_path / MODEL_FILE).write_bytes(TINY.read_bytes())
    evaluator = SimpleNamespace(best=BEST, evaluations=[BEST, LAST])
    run: Any = SimpleNamespace(
        evaluator=evaluator,
        schedule=SimpleNamespace(state=schedule),
        files=["model.onnx", "loss.svg"],
    )
    return describe_result(tmp_path, run, options).splitlines()


def test_the_advice_stands_before_the_next_commands(tmp_path: Path) -> None:
    slow = ScheduleState(paused_seconds=30.0, last_seconds=60.0)
    for options, advice in (
        (NINETY_EPOCHS, ["the run has overfitted"]),
        (SIX_MINUTES, ["the run has overfitted", "evaluations took 30 s"]),
    ):
        first, *lines, command, _, _ = result(tmp_path, options, slow)
        assert (
            first
            == f"held-out loss 1.7500 nats, training loss 1.4375; wrote model.onnx, loss.svg to {tmp_path}"
        )
        assert [line.startswith(start) for line, start in zip(lines, advice, strict=True)] == [True] * len(
            lines
        )
        assert command.startswith("next: textgen-run ")


def test_the_first_line_counts_rare_symbols() -> None:
    text = corpus_of("ab" * 400 + "xy" + "ab" * 90 + "z" + "ab" * 9)
    dataset = make_dataset(text, Normalization(), 0.1, 2)
    assert describe_dataset(text, dataset).endswith(
        "100 held-out characters, 3 symbols; the unknown symbol replaces 3 rare symbols, 0.22% of the "
        "training text and 1.00% of the held-out text\n"
    )


def test_the_first_line_counts_the_records_or_the_tokens_of_a_level() -> None:
    text = corpus_of("".join(f"name {i}\n" for i in range(500)))
    for options, expected in (
        ({"records": "lines"}, r"455 training records, 45 held-out records \(3,998 and 392 characters with "),
        ({"level": "word"}, r"3,951 training characters, 439 held-out characters, [\d,]+ and \d+ tokens, "),
    ):
        dataset = make_dataset(text, Normalization(), 0.1, **options)  # type: ignore[arg-type]
        assert re.match(f"text: {expected}", describe_dataset(text, dataset))


def test_the_files_of_a_folder_are_counted_without_those_of_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "song.mid", *RUN_FILES, "predictions-0123456789abcdef.bin"):
        Path(name).write_text("do re", encoding="utf-8")
    name = tmp_path.name
    assert describe_corpus(read_corpus(".")) == f"{name} (1 file read, 1 skipped)"
    assert describe_corpus(read_corpus(".", any_bytes=True)) == f"{name} (2 files read)"


@pytest.mark.parametrize(
    ("text", "records", "expected"), [(LIST, None, True), (LIST, "lines", False), ("do " * 999, None, False)]
)
def test_a_list_without_records_gets_a_hint(text: str, records: RecordKind | None, expected: bool) -> None:
    dataset = make_dataset(corpus_of(text), Normalization(), records=records)
    hint = "hint: the corpus looks like a list; with --records lines, each line is a text of its own\n"
    assert describe_list(dataset) == hint * expected
