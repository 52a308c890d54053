"""The command ``textgen train``: from a text to a model file."""

import os
import random
import signal
import subprocess
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from textgen_runtime.text import RecordKind, is_held_out, split_records

from tests.helpers.c_programs import BUILDS, COMMAND, Build
from tests.helpers.paths import FORMAT_2, ROOT

from .trainer import TRAINER, kernels, program

# In the background of a shell, interrupts are ignored.
pytestmark = pytest.mark.usefixtures("interrupts")

OPTIONS = ("--units", "16", "--embedding", "4", "--batch", "8", "--sequence-length", "16")

MODELS = ROOT / "runtime" / "textgen_runtime" / "bundled_models"

# The digest of the weights: of processors with fused multiply-adds, and of others.
DIGESTS = {
    None: ("7eec0f8f3cca4fd5", "af595a583fb528a1"),
    "lines": ("6bc985b2c92fe0de", "07a21a90d37ed1ce"),
}


@cache
def command(build: Build = BUILDS[0]) -> Path:
    """Compile the command."""
    return program(*sorted(COMMAND.glob("*.c")), *TRAINER.glob("command/*.c"), build=build)


def learn(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [command(), "train", *arguments], capture_output=True, encoding="utf-8", errors="replace", check=False
    )


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A text, in which each word follows from the one before."""
    rng = np.random.default_rng(4)
    path = tmp_path / "words.txt"
    text = "".join(rng.choice(["the cat sat, ", "a dög ran, ", "we all fell.\n"], 900))
    path.write_text(text, encoding="utf-8")
    return path


def held_out_loss(model: textgen.Model, text: str, records: RecordKind | None, share: float) -> float:
    """Return the mean loss of a character of the held-out part of a text, in nats."""
    if records:
        texts = [record for record in split_records(text, records) if is_held_out(record, share)]
        total = sum(textgen.predict(model, record).surprisals.sum() for record in texts)
        return float(total / sum(len(record) + 1 for record in texts))
    start = len(text) - round(len(text) * share)
    return float(textgen.predict(model, text[start - 1 :]).surprisals.sum() / (len(text) - start))


@pytest.mark.parametrize("records", [None, "lines"])
@pytest.mark.parametrize("level", ["character", "byte"])
def test_the_model_has_the_loss_that_the_command_prints(
    words: Path, tmp_path: Path, records: RecordKind | None, level: str
) -> None:
    path = tmp_path / "words.onnx"
    options = ["--epochs", "6", "--level", level, *(["--records", records] if records else [])]
    done = learn(words, "-o", path, *OPTIONS, *options, "--held-out", "0.2")
    assert done.returncode == 0, done.stderr
    content = path.read_bytes()
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    model = textgen.load(content)
    found = held_out_loss(model, words.read_text(encoding="utf-8"), records, 0.2)
    printed = float(done.stdout.split("loss ")[1].split()[0])
    assert found == pytest.approx(printed, abs=2e-3)
    training = model.metadata.training
    assert training["held_out_nats"] == pytest.approx(printed, abs=1e-4)
    assert training["corpus"] == "words.txt"
    assert training["recipe"]["units"] == 16
    # It has learned the words.
    assert printed < 0.6
    assert model.generate(seed=1, length=30)


@pytest.mark.parametrize("records", DIGESTS)
@pytest.mark.parametrize("build", [build for build in BUILDS if build.variant != "reassociated"], ids=str)
def test_the_model_is_the_same_with_all_compilers_and_on_all_processors(
    build: Build, records: str | None, tmp_path: Path
) -> None:
    words = tmp_path / "words.txt"
    rng = random.Random(6)
    words.write_text("".join(f"{rng.choice('bdfgkl')}{rng.choice(('ana', 'eno'))}\n" for _ in range(900)))
    options = ["--epochs", "1", "--threads", "3", *(["--records", records] if records else [])]
    drops = ["--dropout", "0.1", "--input-dropout", "0.1", "--weight-dropout", "0.2", "--residual", "1"]
    penalties = ["--activation-penalty", "2", "--confidence-penalty", "0.1"]
    arguments: list[str | Path] = [words, "-o", tmp_path / "model", *OPTIONS, *options, *drops, *penalties]
    done = subprocess.run(
        [command(build), "train", *arguments], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    is_fused = ", baseline, " not in done.stderr or build.has_fused_vectors
    weights = onnx.load(tmp_path / "model").graph.initializer
    digest = sha256(b"".join(tensor.raw_data for tensor in weights)).hexdigest()
    assert digest[:16] == DIGESTS[records][not is_fused]


def test_the_model_does_not_depend_on_the_number_of_threads(words: Path, tmp_path: Path) -> None:
    contents = []
    for threads in ("1", "3"):
        path = tmp_path / threads
        assert learn(words, "-o", path, *OPTIONS, "--epochs", "2", "--threads", threads).returncode == 0
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert learn(words, "-o", path, *OPTIONS, "--epochs", "2", "--seed", "1").returncode == 0
    assert path.read_bytes() != contents[0]


@pytest.mark.parametrize("new", ["", "ж漢"])
@pytest.mark.parametrize(
    "parent",
    [
        *[MODELS / f"{name}.onnx" for name in ("nietzsche-float32", "nietzsche", "names", "tunes")],
        *[FORMAT_2 / f"{name}.onnx" for name in ("byte", "word")],
    ],
    ids=lambda path: path.stem,
)
def test_a_run_starts_from_the_weights_and_the_vocabulary_of_a_model(
    tmp_path: Path, parent: Path, new: str
) -> None:
    rng, path, out = random.Random(2), tmp_path / "text", tmp_path / "out"
    words = ["anna\n", "will\n", "eve\n\n", "power\n", "one\n", "\n", *new]
    # The first models need lower case.
    words += ["THE WORLD\n"] if "nietzsche" in parent.stem else []
    text = "".join(rng.choices(words, k=600))
    path.write_text(text, encoding="utf-8")
    done = learn(path, "-o", out, "--from", parent, "--epochs", "1e-6", "--held-out", "0.5")
    assert done.returncode == 0, done.stderr
    before, after = textgen.load(parent), textgen.load(out)
    old, made = before.metadata, after.metadata
    text = text.lower() if old.normalization.lowercase else text
    missing = sorted({*text} - {*old.tokenizer.symbols, "\n"}) if parent.stem != "byte" else []
    assert made.tokenizer.symbols == (*old.tokenizer.symbols, *missing)
    assert (made.records, made.normalization) == (old.records, old.normalization)
    assert (made.tokenizer.level, made.tokenizer.special) == (old.tokenizer.level, old.tokenizer.special)
    assert made.training["parent"]["sha256"] == before.sha256
    needs = old.tokenizer.level != "byte" and (old.normalization.lowercase or old.normalization.unicode)
    assert ("outside ASCII" in done.stderr) == bool(new and needs)
    if not missing:
        first = float(done.stderr.split("loss ")[1].split()[0])
        expected = held_out_loss(before, text, old.records, 0.5)
        assert first == pytest.approx(expected, abs=2e-3 if "float32" in parent.stem else 0.01)


def test_a_run_from_a_model_has_the_preset_of_the_most_similar_network(words: Path, tmp_path: Path) -> None:
    parent, out, budget = tmp_path / "parent", tmp_path / "out", ("--epochs", "1e-6")
    assert not learn(words, "-o", parent, "--preset", "medium", "--units", "170", *budget).returncode
    for options, penalty in ((), 0.1), (("--preset", "small"), 0.0):
        assert not learn(words, "-o", out, "--from", parent, *options, *budget).returncode
        recipe = textgen.load(out).metadata.training["recipe"]
        assert (recipe["units"], recipe["confidence_penalty"]) == (170, penalty)


@pytest.mark.parametrize(("minutes", "units"), [("1e-9", 88), ("100000", 448)])
def test_a_budget_of_minutes_chooses_the_preset(
    words: Path, tmp_path: Path, minutes: str, units: int
) -> None:
    words.write_text(15 * words.read_text("utf-8"), encoding="utf-8")
    arguments: list[str | Path] = [command(), "train", words, "-o", tmp_path / "model", "--minutes", minutes]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        process.stderr.readline()
        parameters = int(process.stderr.readline().split(": ")[1].split()[0])
        process.send_signal(signal.SIGINT)
        process.communicate()
    # Two layers have 12 matrices of units x units, and what is smaller.
    assert units**2 * 12 < parameters < units**2 * 16


def test_a_run_from_a_model_that_diverges_fails(words: Path, tmp_path: Path) -> None:
    start: list[str | Path] = ["-o", tmp_path / "model", "--from", MODELS / "nietzsche.onnx"]
    done = learn(words, *start, "--epochs", "9", "--learning-rate", "1e9")
    assert done.returncode == 1
    assert "diverged" in done.stderr


# As in the background of a shell, a program that begins with ignored interrupts goes on.
@pytest.mark.parametrize(
    ("prefix", "budget", "code"), [("", ("--minutes", "30"), 130), ("trap '' INT; ", ("--epochs", "60"), 0)]
)
def test_an_interrupt_keeps_the_model(
    words: Path, tmp_path: Path, prefix: str, budget: tuple[str, str], code: int
) -> None:
    path = tmp_path / "words.onnx"
    arguments: list[str | Path] = ["sh", "-c", f'{prefix}exec "$0" "$@"', command()]
    arguments += ["train", words, "-o", path, *OPTIONS, *budget]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        while "loss" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate()
    assert process.returncode == code
    assert output.startswith("wrote ")
    assert textgen.load(path).generate("the ", seed=1, length=9)


# Each interval that a program measures is shorter than the one before, by this factor.
CLOCK = """#include <time.h>
clock_t clock(void) {
    static double now, interval = 1e12;
    return (clock_t)(now += interval /= FACTOR);
}
"""


@pytest.mark.parametrize("entry", ["textgen train", "textgen-train"])
@pytest.mark.parametrize(
    ("factor", "options", "is_bfloat16"),
    [
        # float32 is measured first, twice, and with the second of four intervals bfloat16 is.
        (1.1, ("--minutes", "0.02"), True),
        (1.03, ("--minutes", "0.02"), False),
        (1.1, ("--epochs", "1"), False),
        (1.1, ("--epochs", "1", "--precision", "auto"), True),
        (1.03, ("--epochs", "1", "--precision", "bfloat16"), True),
        (1.1, ("--minutes", "0.02", "--precision", "float32"), False),
    ],
)
def test_the_measurement_chooses_the_precision(  # noqa: PLR0913, PLR0917 (fixtures and cases)
    words: Path, tmp_path: Path, entry: str, factor: float, options: tuple[str, ...], is_bfloat16: bool
) -> None:
    if not kernels(is_bfloat16=True):
        pytest.skip("the processor has no bfloat16")
    clock, library, out = tmp_path / "clock.c", tmp_path / "clock.so", tmp_path / "out"
    clock.write_text(CLOCK)
    subprocess.run(
        [*BUILDS[0].command, f"-DFACTOR={factor}", "-shared", "-fPIC", clock, "-o", library], check=True
    )
    start = [command(), "train"] if entry == "textgen train" else [sys.executable, "-m", "textgen_train"]
    subprocess.run(
        [*start, words, "-o", out, *OPTIONS, *options],
        env=os.environ | {"LD_PRELOAD": str(library)},
        capture_output=True,
        check=True,
    )
    training = textgen.load(out if out.is_file() else out / "model.onnx").metadata.training
    found = (
        training["hardware"].endswith("bfloat16")
        if "hardware" in training
        else training["recipe"]["precision"]
    )
    assert found == is_bfloat16


@pytest.mark.parametrize(
    ("arguments", "code", "culprit"),
    [
        ((), 2, "text"),
        (("TEXT",), 2, "-o"),
        (("TEXT", "TEXT", "-o", "MODEL"), 2, "several texts"),
        (("TEXT", "-o"), 2, "-o"),
        (("TEXT", "-o", "MODEL", "--speed", "3"), 2, "--speed"),
        (("TEXT", "-o", "MODEL", "--units", "0"), 2, "--units"),
        (("TEXT", "-o", "MODEL", "--units=1.5"), 2, "--units"),
        (("TEXT", "-o", "MODEL", "--dropout", "nan"), 2, "--dropout"),
        (("TEXT", "-o", "MODEL", "--minutes", "0"), 2, "--minutes"),
        (("TEXT", "-o", "MODEL", "--minutes", "1", "--epochs", "1"), 2, "--epochs"),
        (("TEXT", "-o", "MODEL", "--preset", "huge"), 2, "--preset"),
        (("TEXT", "-o", "MODEL", "--records", "pages"), 2, "--records"),
        (("TEXT", "-o", "MODEL", "--level", "word"), 2, "--level"),
        (("TEXT", "-o", "MODEL", "--threads", "0"), 2, "--threads"),
        (("TEXT", "-o", "MODEL", "--precision", "float16"), 2, "--precision"),
        (("TEXT", "-o", "MODEL", "--held-out", "1"), 2, "--held-out"),
        (("TEXT", "-o", "MODEL", "--from", "PARENT", "--level", "byte"), 2, "--level"),
        (("TEXT", "-o", "MODEL", "--from", "PARENT", "--records", "lines"), 2, "--records"),
        (("TEXT", "-o", "MODEL", "--from", "PARENT", "--units", "16"), 1, "units"),
        (("TEXT", "-o", "MODEL", "--from", "BINARY"), 1, "BINARY"),
        (("TEXT", "-o", "MODEL", "--from", "GRU"), 1, "GRU"),
        (("TEXT", "-o", "MODEL", "--from", "MISSING"), 1, "MISSING"),
        (("TEXT", "-o", "PARENT", "--from", "PARENT"), 2, "-o"),
        (("MISSING", "-o", "MODEL"), 1, "MISSING"),
        (("TEXT", "-o", "MISSING/model"), 1, "MISSING/model"),
        (("TEXT", "-o", "FOLDER"), 1, "FOLDER"),
        (("TEXT", "-o", "TEXT"), 2, "-o"),
        (("TEXT", "-o", "MODEL", "--epochs", "1", "--learning-rate", "1e9", *OPTIONS), 1, "diverged"),
        (("SHORT", "-o", "MODEL"), 1, "SHORT"),
        (("BINARY", "-o", "MODEL"), 1, "BINARY"),
    ],
)
def test_each_wrong_use_has_one_line(
    words: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, culprit: str
) -> None:
    (tmp_path / "SHORT").write_text("too short")
    (tmp_path / "FOLDER").mkdir()
    (tmp_path / "BINARY").write_bytes(b"\xff" * 4000)
    (tmp_path / "PARENT").write_bytes((MODELS / "nietzsche.onnx").read_bytes())
    (tmp_path / "GRU").write_bytes((FORMAT_2 / "gru.onnx").read_bytes())
    named = [argument.replace("TEXT", str(words)) for argument in arguments]
    done = subprocess.run(
        [command(), "train", *named], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == code
    assert not done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.startswith("textgen: error: ")
    assert culprit in last
    assert ("(see textgen train --help)" in last) == (code == 2)
    assert code == 1 or len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "MODEL").exists()
    assert not list(tmp_path.glob("*.part"))


def test_files_of_others_stay(words: Path, tmp_path: Path) -> None:
    text = words.rename(tmp_path / "model.part")
    kept = text.read_bytes()
    model = tmp_path / "model"
    model.write_text("a model")
    assert learn(
        text, "-o", model, *OPTIONS, "--epochs", "1", "--muon-lr", "1e9", "--learning-rate", "1e9"
    ).returncode
    assert model.read_text() == "a model"
    assert not learn(text, "-o", model, *OPTIONS, "--epochs", "1").returncode
    assert text.read_bytes() == kept
    assert sorted(tmp_path.iterdir()) == [model, text]


def test_odd_texts_and_names_can_be_learned(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9"
    # Without a line end, and with a character that no prompt has.
    Path(os.fsdecode(path)).write_bytes(b"ab\0cd" * 500)
    model = tmp_path / "model"
    done = subprocess.run(
        [
            os.fsencode(command()),
            b"train",
            path,
            b"-o",
            os.fsencode(model),
            *map(str.encode, OPTIONS),
            b"--epochs",
            b"1",
        ],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert textgen.load(model).metadata.training["corpus"] == "caf\ufffd"
