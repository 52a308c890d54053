"""The command ``textgen-train``: its files, its budget, what ends it early, and how it goes on."""

import io
import itertools
import json
import math
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
import textgen_runtime as textgen
from textgen_runtime.corpus import CHECKPOINT_FILE
from textgen_runtime.errors import OutputError
from textgen_runtime.files import replace_file
from textgen_train import _core, cli, folder, page, train

from tests.helpers.commands import Captured
from tests.helpers.programs import posix_only
from tests.helpers.train_command import QUICK, TEXT, run

Command = Callable[..., tuple[str, str]]

SMALL = ("--units", "8", "--embedding", "4", "--batch", "8", "--sequence-length", "16", "--epochs", "6")
# A run of each kind. The model of the teacher has the vocabulary of the text.
KINDS = {
    "text": ("book.txt", *SMALL),
    "records": ("list.txt", "--records", "lines", *SMALL),
    "teacher": ("book.txt", "--teacher", "parent", *SMALL),
}


@pytest.fixture(autouse=True)
def _texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with texts. Runs have as many evaluations as they can have."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    Path("book.txt").write_text(TEXT, encoding="utf-8")
    Path("other.txt").write_text(TEXT[::-1][:500], encoding="utf-8")
    Path("new.txt").write_text(TEXT + "é" * 9 + TEXT, encoding="utf-8")
    Path("list.txt").write_text("".join(f"{''.join(rng.sample('abcdef', 4))}\n" for _ in range(300)))
    Path("random.txt").write_text("".join(rng.choices("abcdefghij", k=400)))
    monkeypatch.setattr(train, "SCORING_COST", 1e-3)


@pytest.fixture
def command(capsys: Captured) -> Command:
    """Run the command, which must end with a code; return standard output and standard error."""

    def call(*words: str, code: int = 0) -> tuple[str, str]:
        found, out, err = run(capsys, *words)
        assert found == code, err
        assert "Traceback" not in err
        return out, err

    return call


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
    """Call a function after an update."""

    def register(step: int, action: Callable[[], object]) -> None:
        original = train.update

        def update(run: train.Run) -> None:
            original(run)
            if run.learner.step == step:
                action()

        monkeypatch.setattr(train, "update", update)

    return register


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def metrics(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name, "metrics.jsonl").read_text().splitlines()]


def losses(name: str) -> list[float]:
    return [entry["held_out_nats"] for entry in metrics(name)]


def graph(name: str) -> bytes:
    return bytes(onnx.load(Path(name, "model.onnx")).graph.SerializeToString())


def results(name: str) -> dict[str, Any]:
    """Return what a run has written, without times."""
    samples = Path(name, "samples.txt").read_text(encoding="utf-8").splitlines()
    report = Path(name, "report.html").read_text(encoding="utf-8")
    return {
        "weights": graph(name),
        "metrics": [
            {key: value for key, value in entry.items() if "second" not in key} for entry in metrics(name)
        ],
        "samples": [line for line in samples if not line.startswith("epoch ")],
        "report": re.findall(r"<h2.*?</h2>|<pre>.*?</pre>", report, re.DOTALL),
    }


def training(name: str) -> dict[str, Any]:
    return dict(textgen.load(Path(name, "model.onnx")).training)


def test_a_run_writes_all_its_files_and_a_model_that_generates(command: Command) -> None:
    out, _ = command("book.txt", *SMALL, "--quantize")
    names = {path.name for path in Path("book-model").iterdir()}
    files = {"model.onnx", "model.int8.onnx", "metrics.jsonl", "samples.txt", "report.html"}
    assert names == files | {CHECKPOINT_FILE, folder.LOCK_FILE}
    first, *rest = losses("book-model")
    best, count = min(rest), 1 + len(rest)
    assert count > 6
    assert out.count("--- generating") == count.bit_length() + (count.bit_count() > 1)
    assert training("book-model")["held_out_nats"] == best < first
    state = folder.read_checkpoint(Path("book-model"))[0]["state"]
    assert state["is_complete"]
    assert len(textgen.load("book-model/model.onnx").generate("Do", length=50, seed=1)) == 50
    small = textgen.load("book-model/model.int8.onnx").metadata.quantization
    assert small is not None
    assert small.float32_loss == pytest.approx(best, abs=1e-4)


def test_the_weights_depend_on_the_seed_and_not_on_the_threads(command: Command) -> None:
    for name, *words in (("one", "--threads", "1"), ("two", "--threads", "2"), ("other", "--seed", "1")):
        command("book.txt", *SMALL, "-o", name, *words)
    assert results("one") == results("two")
    assert graph("one") != graph("other")


@pytest.fixture
def unbroken(command: Command) -> Callable[[str], dict[str, Any]]:
    """Return the results of a run of a kind."""

    def train_kind(kind: str) -> dict[str, Any]:
        if kind == "teacher":
            command("book.txt", *QUICK, "-o", "parent")
        command(*KINDS[kind], "-o", "unbroken")
        return results("unbroken")

    return train_kind


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_run_keeps_its_best_model_and_goes_on_as_if_unbroken(
    command: Command, unbroken: Any, at_step: Any, kind: str
) -> None:
    expected = unbroken(kind)
    step = 2 * len(expected["metrics"]) + 1
    at_step(step, interrupt)
    _, err = command(*KINDS[kind], "-o", "out", code=130)
    assert "--resume out" in err.splitlines()[-1]
    # The evaluation at the interrupt is not one of the run that goes on.
    assert metrics("out")[-1]["step"] == step
    assert training("out")["held_out_nats"] == min(losses("out"))
    command("--resume", "out")
    assert results("out") == expected


KILLED = """
import os, signal, sys
from textgen_train import cli, folder, train
left = {moment}
train.SCORING_COST, train.CHECKPOINT_SECONDS, train.CHECKPOINT_SHARE = 1e-3, 0.0, 1e9
original = os.replace

def replace(*names):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    original(*names)

os.replace = replace
sys.exit(cli.main(sys.argv[1:]))
"""


@posix_only
def test_a_run_that_is_killed_goes_on_as_if_unbroken(unbroken: Any, command: Command) -> None:
    """Each kill is before a file is replaced, so that its temporary file stays."""
    expected, rng, killed = unbroken("text"), random.Random(3), 0
    words = [*KINDS["text"], "-o", "out"]
    for _ in range(4):
        program = KILLED.format(moment=rng.randrange(2, 60))
        done = subprocess.run(
            [sys.executable, "-c", program, *words], check=False, capture_output=True, encoding="utf-8"
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        killed += done.returncode != 0
        words = ["--resume", "out"]
    assert killed > 2
    command("--resume", "out")
    assert results("out") == expected
    assert [path.name for path in Path("out").glob(".*")] == [folder.LOCK_FILE]


@pytest.mark.parametrize("kind", ["text", "teacher"])
def test_a_budget_of_minutes_has_early_and_even_evaluations_and_ends_in_time(
    command: Command, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A teacher that takes longer than the budget does not belong to it."""
    command("book.txt", *SMALL, "-o", "parent")
    clock, teach = itertools.count(), cli.teach

    def slow_teach(*given: Any) -> Any:
        nonlocal clock
        clock = itertools.count(2000)
        return teach(*given)

    monkeypatch.setattr(cli, "teach", slow_teach)
    for module in (train, cli):
        monkeypatch.setattr(module, "perf_counter", lambda: 0.02 * next(clock))
    words = [word for word in KINDS[kind] if word not in SMALL[-2:]]
    command(*words, "--minutes", "0.5", "--no-early-stopping", "-o", "timed")
    seconds = [entry["seconds"] for entry in metrics("timed")]
    assert 2 <= seconds[0] < 6
    assert 28 < seconds[-1] <= 30
    steps = [after - before for before, after in itertools.pairwise(seconds[1:])]
    assert max(steps) < 1.5 * min(steps)
    assert len(seconds) > 15


def test_a_budget_of_minutes_chooses_the_preset_by_the_speed_of_updates(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, clock = [], itertools.count()

    def preset_for(*given: float) -> str:
        asked.append(given)
        return "medium"

    monkeypatch.setattr(cli, "_core", SimpleNamespace(**{**vars(_core), "preset_for": preset_for}))
    for module in (train, cli):
        monkeypatch.setattr(module, "perf_counter", lambda: 0.03 * next(clock))
    run = ("book.txt", "--minutes", "0.02", "--no-samples", "--overwrite")
    command(*run)
    (common, tokens, epochs), trained = asked.pop(), training("book-model")
    # A text that always gets the same preset needs no measurement.
    assert asked.pop()[-1] == math.inf
    length = trained["split"]["training_characters"]
    assert (common < 20, tokens, trained["recipe"]["units"]) == (True, length, 176)
    # The learner makes an update in each of the first readings of the clock, and several per epoch.
    updates = -(-tokens // (32 * 64))
    assert epochs == pytest.approx(60 * 0.02 / (0.03 * updates), rel=0.5)
    for words in (["--preset", "small"], ["--dropout", "0.1"], ["--teacher", "book-model"]):
        command(*run, *words, "-o", "other")
        assert training("other")["recipe"]["units"] == 88
    assert not asked


def due_steps(tokens: SimpleNamespace, **config: Any) -> list[int]:
    """Return the updates of 600 after which an evaluation is due, in a run of ten epochs and 60 seconds."""
    state = SimpleNamespace(progress=0.0, evaluated=0.0, seconds=0.0, expected_epochs=10.0)
    learner = SimpleNamespace(step=0, per_epoch=60)
    fake: Any = SimpleNamespace(
        config=SimpleNamespace(**config), state=state, learner=learner, dataset=SimpleNamespace(tokens=tokens)
    )
    found = []
    for step in range(1, 601):
        learner.step, state.progress, state.seconds = step, step / 600, step / 10
        if train.is_due(fake):
            state.evaluated = state.progress
            found.append(step)
    return found


def test_evaluations_are_even_after_an_early_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "SCORING_COST", 0.4)
    even = [100, 200, 300, 400, 500, 600]
    tokens = SimpleNamespace(training_tokens=9000, held_out_tokens=1000)
    assert due_steps(tokens, epochs=10, minutes=None) == [30, *even]
    assert due_steps(tokens, epochs=None, minutes=1.0) == [20, *even]
    tokens.held_out_tokens = 5000
    assert due_steps(tokens, epochs=10, minutes=None) == [600]
    tokens.held_out_tokens = 1
    assert len(due_steps(tokens, epochs=10, minutes=None)) == 20


@pytest.mark.parametrize("option", [None, "--no-early-stopping"])
def test_a_run_stops_early_if_the_loss_only_rises(
    command: Command, option: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OutputError("the end fails")

    penalties = (
        "--dropout",
        "0",
        "--input-dropout",
        "0",
        "--weight-dropout",
        "0",
        "--confidence-penalty",
        "0",
    )
    words = ("--units", "64", "--epochs", "150", "--held-out", "0.3", "--no-samples", *penalties)
    with monkeypatch.context() as patch:
        patch.setattr(cli, "check_file", fail)
        command("random.txt", *words, *([option] if option else ()), "-o", "out", code=1)
    evaluations = metrics("out")
    assert (evaluations[-1]["epoch"] == 150) == (option is not None)
    best = min(evaluations, key=lambda entry: entry["held_out_nats"])
    assert training("out")["evaluation"]["step"] == best["step"] < evaluations[-4]["step"]
    # Only the end is left to do.
    command("--resume", "out")
    assert metrics("out") == evaluations


def test_a_loss_that_is_nan_ends_the_run_with_the_best_model(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Diverging:
        def __init__(self, learner: Any) -> None:
            self._learner = learner

        def __getattr__(self, name: str) -> Any:
            return getattr(self._learner, name)

        def update(self, progress: float) -> float:
            nats = float(self._learner.update(progress))
            return math.nan if self.step == 20 else nats

    original = cli.make_core_learner
    monkeypatch.setattr(
        cli, "make_core_learner", lambda *given: (Diverging(original(*given)[0]), "a learner that diverges")
    )
    _, err = command("book.txt", *SMALL, code=1)
    last = err.splitlines()[-1]
    assert "nan" in last
    assert "--resume" not in last
    assert training("book-model")["held_out_nats"] == min(losses("book-model"))


@pytest.mark.usefixtures("interrupts")
def test_a_resumed_run_keeps_the_precision_that_was_measured(
    command: Command, at_step: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fast:
        precision = "bfloat16"

        def __init__(self, tokens: _core.Corpus, values: dict[str, float], *others: Any) -> None:
            wanted.append(_core.PRECISIONS[int(values["precision"])])
            self._learner = _core.Trainer(tokens, {**values, "precision": 0}, *others)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._learner, name)

    wanted: list[str] = []
    monkeypatch.setattr(cli, "_core", SimpleNamespace(**{**vars(_core), "Trainer": Fast}))
    at_step(3, interrupt)
    at_step(6, interrupt)
    command("book.txt", *SMALL, "--precision", "auto", "-o", "out", code=130)
    command("--resume", "out", code=130)
    command("--resume", "out", "--precision", "float32")
    assert wanted == ["auto", "bfloat16", "float32"]


def refuse(path: Path, _: bytes) -> None:
    raise OutputError(f"cannot write {path.name}: no space")


def test_a_checkpoint_or_a_report_that_cannot_be_written_is_one_warning(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (folder, page):
        monkeypatch.setattr(module, "replace_file", refuse)
    _, err = command("book.txt", *SMALL)
    assert err.count(CHECKPOINT_FILE) == err.count("report.html") == 1
    assert len(metrics("book-model")) > 6
    assert training("book-model")


def test_a_run_whose_model_cannot_be_written_ends_and_can_go_on(
    command: Command, unbroken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, original = unbroken("text"), replace_file

    def refuse_the_model(path: Path, content: bytes) -> None:
        has_model = path.name == "model.onnx" and path.exists()
        (refuse if has_model else original)(path, content)

    monkeypatch.setattr(train, "replace_file", refuse_the_model)
    _, err = command(*KINDS["text"], "-o", "out", code=1)
    assert "model.onnx" in err.splitlines()[-1]
    monkeypatch.setattr(train, "replace_file", original)
    command("--resume", "out")
    assert results("out") == expected


def test_a_model_is_trained_further_with_new_symbols(command: Command) -> None:
    command("book.txt", *SMALL, "-o", "parent")
    words = ("new.txt", "--from", "parent", "--epochs", "1", "-o", "out")
    assert "--extend" in command(*words, code=1)[1]
    command(*words, "--extend")
    before, after = (textgen.load(f"{name}/model.onnx") for name in ("parent", "out"))
    assert after.tokenizer.symbols == (*before.tokenizer.symbols, "é")
    assert after.training["parent"]["sha256"] == before.sha256
    first, last = metrics("out")[0], metrics("parent")[-1]
    assert first["step"] == 0
    assert first["held_out_nats"] == pytest.approx(last["held_out_nats"], abs=0.3)


def test_a_model_of_bytes_is_trained_further(command: Command) -> None:
    command("book.txt", *SMALL, "--level", "byte", "-o", "parent")
    command("book.txt", "--from", "parent", "--epochs", "1", "-o", "out")
    assert textgen.load("out").metadata.tokenizer.level == "byte"


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        ("--level byte", lambda model: model.tokenizer.level == "byte"),
        ("--level word", lambda model: " mi" in model.tokenizer.symbols),
        ("--level word --vocabulary-size 20", lambda model: len(model.tokenizer) == 20),
        ("--min-count 100", lambda model: model.tokenizer.special.unknown == 0),
        ("--lowercase", lambda model: "D" not in model.tokenizer.symbols),
        ("--unwrap", lambda model: not any("\n" in prompt for prompt in model.prompts)),
        (
            "--held-out-file other.txt",
            lambda model: model.training["split"]["held_out"]["corpus"] == "other.txt",
        ),
    ],
)
def test_an_option_of_the_text_determines_the_model(
    command: Command, words: str, holds: Callable[[textgen.Model], bool]
) -> None:
    command("book.txt", *QUICK, *words.split())
    assert holds(textgen.load("book-model/model.onnx"))
    assert len(textgen.load("book-model/model.onnx").generate(" ", length=20, seed=0)) > 0


@pytest.mark.usefixtures("interrupts")
def test_a_run_on_standard_input_needs_it_again(
    command: Command, unbroken: Any, at_step: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def type_in(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    expected = unbroken("text")
    at_step(9, interrupt)
    type_in(TEXT)
    command("-", *SMALL, "-o", "out", code=130)
    assert "standard input" in command("--resume", "out", code=1)[1]
    type_in(f"{TEXT}!")
    assert "SHA-256" in command("-", "--resume", "out", code=1)[1]
    type_in(TEXT)
    command("-", "--resume", "out")
    assert results("out")["weights"] == expected["weights"]


@pytest.mark.usefixtures("interrupts")
def test_only_the_checkpoint_of_a_run_and_its_text_can_be_resumed(command: Command, at_step: Any) -> None:
    at_step(9, interrupt)
    command("book.txt", *SMALL, "-o", "out", code=130)
    Path("book.txt").write_text(f"{TEXT}!", encoding="utf-8")
    assert "book.txt" in command("--resume", "out", code=1)[1]
    Path("moved.txt").write_text(TEXT, encoding="utf-8")
    path, rng = Path("out", CHECKPOINT_FILE), random.Random(1)
    content = path.read_bytes()
    places = [0, 12, 40, len(content) - 1, *rng.sample(range(len(content)), 20)]
    damaged = [content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :] for place in places]
    for other in (b"", b"{}\n", content[: len(content) // 2], content + b"x", *damaged):
        path.write_bytes(other)
        assert CHECKPOINT_FILE in command("moved.txt", "--resume", "out", code=1)[1]
    path.write_bytes(content)
    command("moved.txt", "--resume", "out")
    before = path.read_bytes()
    assert "complete" in command("--resume", "out")[0]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        ("book.txt --units 0", 2, "--units"),
        ("book.txt --units x", 2, "--units"),
        ("book.txt --epochs 1 --minutes 1", 2, "--epochs"),
        ("book.txt --threads 0", 2, "--threads"),
        ("book.txt --from parent --units 8", 2, "--units"),
        ("--teacher parent book.txt", 2, "CORPUS"),
        ("--resume out --units 8", 2, "--units"),
        ("--resume out --overwrite", 2, "--overwrite"),
        ("book.txt --held-out-file none.txt", 1, "none.txt"),
        ("book.txt --teacher none.onnx", 1, "none.onnx"),
        ("book.txt --from book.txt", 1, "book.txt"),
        ("book.txt -o book.txt", 1, "book.txt"),
        ("book.txt -o taken", 1, "--overwrite"),
        ("list.txt --records lines --teacher taken", 1, "taken"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_option(
    command: Command, words: str, code: int, part: str
) -> None:
    Path("taken").mkdir()
    Path("taken/model.onnx").write_bytes(Path(__file__).parents[1].joinpath("data/tiny.onnx").read_bytes())
    out, err = command(*words.split(), code=code)
    assert (out, err.count("\n")) == ("", 1)
    assert part in err
    assert not Path("book-model").exists()


def test_only_what_needs_torch_asks_for_it(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "onnx", "safetensors"):
        monkeypatch.setitem(sys.modules, name, None)
    for words in ("--cell gru", "--device cuda", "--recipe classic", "--learner torch"):
        _, err = command("book.txt", "--epochs", "1", *words.split(), code=1)
        assert err.count("\n") == 1
        assert words in err
        assert "torch]" in err
    command("book.txt", *QUICK)


def test_no_large_package_is_imported_before_the_first_evaluation() -> None:
    program = (
        "import sys\nfrom textgen_train import cli, train\noriginal = train.evaluate\n"
        "def evaluate(*arguments, **options):\n"
        "    print({'numpy', 'onnxruntime', 'torch', 'onnx'} & {*sys.modules}, file=sys.stderr)\n"
        "    return original(*arguments, **options)\n"
        "train.evaluate = evaluate\nsys.exit(cli.main(['book.txt', '--epochs', '1', '--no-samples']))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, encoding="utf-8")
    assert "set()" in done.stderr.splitlines()
