"""``textgen-train CORPUS --teacher MODEL``: a run also learns from the predictions of trained models."""

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import textgen_runtime as textgen
import torch
from textgen_runtime import OutputError
from textgen_runtime.corpus import PREDICTIONS_FILES
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.text import Normalization
from textgen_train.cli import _teachers, _training_run
from textgen_train.data.predictions import Form
from textgen_train.export.exporter import build_checked
from textgen_train.loop import checkpoint_file, output_folder
from textgen_train.loop.evaluator import Evaluator
from textgen_train.loop.events import Status
from textgen_train.loop.ranks import Ranks
from textgen_train.models.cells import CharLSTM
from textgen_train.options import RunOptions
from textgen_train.presets import PRESETS, preset

from tests.helpers.commands import Captured
from tests.helpers.train_command import QUICK, TEXT, run
from tests.helpers.training_runs import InterruptAt, timeless_results

BUDGET = ("--epochs", "3", "--threads", "1", "--batch", "16", "--sequence-length", "16")
TAUGHT = ("book.txt", "--teacher", "large", *QUICK[:-2], *BUDGET, "-o", "out")


@cache
def teacher(*, other: bool = False, symbols: str = TEXT, lowercase: bool = False) -> bytes:
    """Return a model file with random weights."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer("character", sorted(set(symbols)))
    network = CharLSTM(len(tokenizer), units=7 if other else 9, embedding=5)
    training = {"corpus": "book.txt", "run": "0123456789abcdef", "held_out_nats": 1.25}
    return build_checked(network, Metadata(tokenizer, Normalization(lowercase), training=training)).content


def predictions() -> list[Path]:
    return list(Path("out").glob(PREDICTIONS_FILES))


@pytest.fixture(autouse=True)
def _files(book: Path) -> None:
    """Write two models beside ``book.txt``."""
    assert book.parent == Path.cwd()
    Path("large").mkdir()
    Path("large/model.onnx").write_bytes(teacher())
    Path("other.onnx").write_bytes(teacher(other=True))


@pytest.fixture
def interrupted(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that runs the command until an interrupt after two updates."""

    def interrupted_run(*arguments: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(_training_run, "deferred_interrupts", lambda: InterruptAt(3))
            code, _, err = run(capsys, *arguments)
        assert code == 130, err
        assert predictions()

    return interrupted_run


def test_a_run_names_its_teachers_and_removes_their_predictions_at_its_end(capsys: Captured) -> None:
    code, out, err = run(capsys, *TAUGHT[:3], "./other.onnx", *TAUGHT[3:], "--teacher-weight", "0.8")
    assert code == 0, err
    first, second, third, *_ = err.splitlines()
    assert first.startswith("book.txt: ")
    symbols, tokens = len(set(TEXT)), len(TEXT) * 9 // 10
    assert second == (
        "learning from large (held-out loss 1.2500 nats) and ./other.onnx (held-out loss 1.2500 nats), "
        f"weight 0.8; predictions of {2 * symbols * tokens / 1e6:.1f} MB, {2 * symbols} bytes per training "
        "token"
    )
    assert third.startswith("preset values for this corpus and --teacher and 3 epochs: ")
    assert "--weight-dropout 0" in third
    assert not predictions()
    assert "predictions" not in out
    training = textgen.load("out").training
    assert training["teacher_weight"] == 0.8
    assert training["teachers"] == [
        {
            "source": name,
            "sha256": hashlib.sha256(teacher(other=other)).hexdigest(),
            "run": "0123456789abcdef",
            "held_out_nats": 1.25,
        }
        for name, other in (("large", False), ("other.onnx", True))
    ]
    report = Path("out/report.html").read_text(encoding="utf-8")
    assert f"large ({training['teachers'][0]['sha256'][:8]}), held-out loss 1.2500 nats" in report
    assert f"other.onnx ({training['teachers'][1]['sha256'][:8]}), held-out loss 1.2500 nats" in report


def test_the_model_depends_on_the_teacher_and_its_weight(capsys: Captured) -> None:
    """Without a weight, nine tenths are from the teacher."""
    losses = set()
    for options in ([], ["--teacher-weight", "0.9"], ["--teacher-weight", "1"]):
        assert run(capsys, *TAUGHT, *options, "--no-samples", "--overwrite")[0] == 0
        losses.add(textgen.load("out").training["held_out_nats"])
    assert run(capsys, *TAUGHT[:1], *TAUGHT[3:], "--weight-dropout", "0", "--overwrite")[0] == 0
    assert len(losses | {textgen.load("out").training["held_out_nats"]}) == 3


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "conv"])
def test_a_teacher_turns_off_what_acts_against_overfitting(name: str, cell: str) -> None:
    options = RunOptions("book.txt", preset=name, hyperparameters={"cell": cell})
    plain = options.choose_recipe(60, epochs=100)
    taught = RunOptions(
        "book.txt", preset=name, hyperparameters={"cell": cell, "dropout": 0.25}, teachers=["large"]
    ).choose_recipe(60, epochs=100)
    off = {"dropout", "input_dropout", "weight_dropout", "activation_penalty", "confidence_penalty"}
    for field, value in vars(taught).items():
        expected = 0.25 if field == "dropout" else 0.0 if field in off else getattr(plain, field)
        assert value == expected, field
    assert plain == preset(name, 60, cell=cell, epochs=100)


@pytest.mark.parametrize("state", ["as they were", "missing", "damaged", "of another model"])
def test_an_interrupted_run_ends_as_one_that_was_not(
    capsys: Captured, interrupted: Callable[..., None], state: str
) -> None:
    """The models are needed only if their predictions are not there."""
    assert run(capsys, *TAUGHT[:-1], "unbroken")[0] == 0
    interrupted(*TAUGHT)
    (file,) = predictions()
    content = file.read_bytes()
    if state == "as they were":
        shutil.rmtree("large")
    elif state == "missing":
        file.unlink()
    elif state == "damaged":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        file.write_bytes(b"0" * 64 + content[64:])
    folder = Path.cwd()
    (folder / "elsewhere").mkdir()
    os.chdir("elsewhere")
    code, _, err = run(capsys, "--resume", "../out")
    os.chdir(folder)
    assert code == 0, err
    assert err.splitlines()[1].startswith(f"learning from {folder / 'large'} (held-out loss 1.2500 nats)")
    again = "the predictions of the run are missing or damaged: computing them again\n"
    assert err.count(again) == (state != "as they were")
    assert timeless_results(Path("out")) == timeless_results(Path("unbroken"))
    assert textgen.load("out").training["teachers"] == textgen.load("unbroken").training["teachers"]
    assert not predictions()


def test_a_run_cannot_be_resumed_without_its_teacher_and_its_predictions(
    capsys: Captured, interrupted: Callable[..., None]
) -> None:
    interrupted(*TAUGHT)
    predictions()[0].unlink()
    Path("large/model.onnx").write_bytes(teacher(other=True))
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    code, out, err = run(capsys, "--resume", "out")
    assert (code, out) == (1, "")
    *_, error = err.splitlines()
    assert "error: the predictions of the run are missing or damaged, and the model " in error
    assert "large of --teacher has changed: its SHA-256 is " in error
    remedy = "; restore it, or start the run again with --overwrite"
    assert error.endswith(remedy)
    Path("large/model.onnx").unlink()
    code, _, err = run(capsys, "--resume", "out")
    assert code == 1
    assert err.splitlines()[-1].endswith(f"large has no model.onnx{remedy}")
    Path("large").rmdir()
    code, _, err = run(capsys, "--resume", "out")
    assert code == 1
    needs = "the predictions of the run are missing or damaged, so the run needs the models of --teacher: "
    path = Path("large").absolute()
    assert err.splitlines()[-1].endswith(
        f"{needs}cannot read the model file {path}: No such file or directory{remedy}"
    )
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


def test_a_run_that_starts_again_uses_the_predictions_of_the_interrupted_one(
    capsys: Captured, interrupted: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(*TAUGHT)
    monkeypatch.setattr(_teachers, "_compute", lambda *_: pytest.fail("computed again"))
    # There is room for nothing but the predictions, which are there.
    for name in ("BYTES_PER_PARAMETER", "REPORT_BYTES"):
        monkeypatch.setattr(output_folder, name, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert run(capsys, *TAUGHT, "--overwrite")[0] == 0
    assert not predictions()


def test_an_earlier_run_keeps_its_predictions_until_the_first_checkpoint_of_a_new_one(
    capsys: Captured, interrupted: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new run has another teacher. It first ends before its first checkpoint."""
    interrupted(*TAUGHT)
    shutil.rmtree("large")
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    other = ("book.txt", "--teacher", "other.onnx", *TAUGHT[3:], "--overwrite")
    with monkeypatch.context() as patch:
        patch.setattr(_training_run, "make_run", lambda *_, **__: InterruptAt(1).check())
        assert run(capsys, *other)[0] == 130
    assert len(predictions()) == 2
    assert {path: path.read_bytes() for path in before} == before
    shutil.copytree("out", "copy")
    interrupted(*other)
    assert len(predictions()) == 1
    assert not before.keys() & set(predictions())
    assert run(capsys, "--resume", "copy")[0] == 0
    assert not list(Path("copy").glob(PREDICTIONS_FILES))


def test_predictions_of_an_earlier_run_do_not_stay_in_one_without_a_teacher(
    capsys: Captured, interrupted: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(*TAUGHT)
    monkeypatch.setattr(_training_run, "deferred_interrupts", lambda: InterruptAt(3))
    assert run(capsys, *TAUGHT[:1], *TAUGHT[3:], "--overwrite")[0] == 130
    assert not predictions()


def test_predictions_stay_until_the_checkpoint_says_that_the_run_is_complete(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpoint_file.write_checkpoint

    def fail_at_end(*arguments: Any, complete: bool) -> None:
        if complete:
            raise OutputError("the disk is full")
        write(*arguments, complete=complete)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_file, "write_checkpoint", fail_at_end)
        assert run(capsys, *TAUGHT)[0] == 0
    (file,) = predictions()
    shutil.rmtree("large")
    assert run(capsys, "--resume", "out")[0] == 0
    assert not predictions()
    # A system that cannot remove an open file leaves it behind.
    file.touch()
    assert "complete" in run(capsys, "--resume", "out")[1]
    assert not predictions()


@pytest.mark.parametrize("budget", [("--epochs", "3"), ("--minutes", "0.02")], ids=["epochs", "minutes"])
def test_a_run_with_no_update_left_needs_neither_predictions_nor_teachers(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, budget: tuple[str, str]
) -> None:
    """The last evaluation cannot write the model. Its time is a part of a budget of minutes."""
    taught = " ".join(TAUGHT).replace(" ".join(BUDGET[:2]), " ".join(budget)).split()
    evaluate = Evaluator.evaluate

    def fail_at_end(evaluator: Evaluator, status: Status) -> Any:
        if evaluator._trainer.is_finished:
            raise OutputError("the disk is full")
        return evaluate(evaluator, status)

    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "evaluate", fail_at_end)
        assert run(capsys, *taught)[0] == 1
    predictions()[0].unlink()
    shutil.rmtree("large")
    code, _, err = run(capsys, "--resume", "out")
    assert code == 0, err


@pytest.mark.parametrize("is_new", [True, False])
def test_an_interrupt_of_the_predictions_leaves_nothing_behind(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, *, is_new: bool
) -> None:
    if not is_new:
        assert run(capsys, *TAUGHT[:1], *TAUGHT[3:])[0] == 0
    before = {path: path.read_bytes() for path in Path("out").glob("*")}
    # The second call of the sink is interrupted, and with it both threads.
    monkeypatch.setattr(_teachers, "deferred_interrupts", lambda: InterruptAt(2))
    code, out, err = run(capsys, *TAUGHT, "--threads", "2", "--overwrite")
    assert (code, out) == (130, "")
    assert err.endswith("textgen-train: interrupted: the predictions of --teacher are not complete\n")
    assert {path: path.read_bytes() for path in Path("out").glob("*")} == before
    assert Path("out").exists() is not is_new


def test_slow_predictions_show_their_progress(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(0, 10_000, 3))
    monkeypatch.setattr(_teachers, "perf_counter", lambda: next(seconds))
    progress = _teachers.PredictionProgress(220, lambda: None)
    for _ in range(6):
        progress.add(40)
    progress.finish()
    assert capsys.readouterr().err == (
        "predicting the training text: 18% in 3 s\n"
        "predicting the training text: 91% in 15 s\n"
        "predicted the training text in 21.0 s\n"
    )


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, (), "the folder large has no model.onnx"),
        (b"no model", (), "large: "),
        (
            teacher(lowercase=True),
            (),
            "the model large was trained with another --lowercase than this run: yes, not no; both need",
        ),
        (teacher(), ("--unicode", "NFD"), "another --unicode than this run: NFC, not NFD; both"),
        (teacher(), ("--level", "byte"), "another --level than this run: character, not byte; both"),
        (teacher(), ("--records", "lines"), "another --records than this run: none, not lines; both"),
        (
            teacher(symbols=TEXT + "x"),
            (),
            "the model large has another vocabulary than the text: only the model has 'x' (U+0078); train",
        ),
        (teacher(symbols=TEXT.replace("f", "")), (), "only the text has 'f' (U+0066); train it"),
        (teacher(), ("-o", "large", "--overwrite"), "large/model.onnx is an input; refusing to overwrite it"),
    ],
)
def test_a_model_that_cannot_teach_is_refused(
    capsys: Captured, content: bytes | None, arguments: tuple[str, ...], message: str
) -> None:
    Path("large/model.onnx").write_bytes(content) if content else Path("large/model.onnx").unlink()
    code, out, err = run(capsys, *TAUGHT, *arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert message in err
    assert not Path("out").exists()


@pytest.mark.parametrize("is_new", [True, False])
def test_several_processes_are_refused(
    capsys: Captured, interrupted: Callable[..., None], monkeypatch: pytest.MonkeyPatch, *, is_new: bool
) -> None:
    if not is_new:
        interrupted(*TAUGHT)
    ranks = Ranks()
    ranks.size = ranks.local_size = 2
    monkeypatch.setattr("textgen_train.cli.train.joined_ranks", lambda: nullcontext(ranks))
    code, out, err = run(capsys, *(TAUGHT if is_new else ("--resume", "out")))
    assert (code, out) == (1, "")
    assert err == (
        "textgen-train: error: --teacher is only for a run in one process: start it without torchrun\n"
    )


def test_predictions_without_room_are_refused(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000_000))
    monkeypatch.setattr(Form, "total_bytes", 20_000_000)
    code, _, err = run(capsys, *TAUGHT)
    assert code == 1
    assert "10.0 MB left, but the run needs about 21.0 MB: remove some files, or choose another folder" in err
    assert not Path("out").exists()


def test_a_resumed_run_without_room_for_its_predictions_keeps_its_files(
    capsys: Captured, interrupted: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(*TAUGHT)
    predictions()[0].unlink()
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
    code, out, err = run(capsys, "--resume", "out")
    assert (code, out) == (1, "")
    assert "has 0.0 MB left, but the predictions of --teacher need about 0.1 MB: remove some files\n" in err
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before


def test_a_teacher_that_was_trained_on_the_held_out_text_is_warned_about(capsys: Captured) -> None:
    assert (
        run(capsys, "book.txt", *QUICK, "--held-out", "0.05", "--no-samples", "-o", "large", "--overwrite")[0]
        == 0
    )
    code, _, err = run(capsys, *TAUGHT)
    assert code == 0
    assert "warning: the model of --teacher large was trained on 50% of the held-out text" in err


@pytest.mark.parametrize("start", ["random weights", "a model"])
def test_records_of_words_are_learned_from_an_8_bit_model_of_them(capsys: Captured, start: str) -> None:
    names = [f"{a}{b} {a}" for a in "abcdefgh" for b in ("na", "le", "rio")]
    Path("names.txt").write_text("\n".join(names * 2), encoding="utf-8")
    options = ("names.txt", "--held-out", "0.3", *QUICK[-2:])
    network = ("--records", "lines", "--level", "word", *QUICK[:-2])
    assert run(capsys, *options, *network, "--quantize", "-o", "first")[0] == 0
    same = network if start == "random weights" else ("--from", "other.onnx")
    Path("first/model.onnx").rename("other.onnx")
    code, _, err = run(capsys, *options, *same, "--teacher", "first/model.int8.onnx", "-o", "out")
    assert code == 0, err
    assert "learning from first/model.int8.onnx" in err
