"""The command ``textgen train``: from a text to a model file."""

import os
import random
import signal
import subprocess
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from textgen_runtime.text import is_held_out, split_records

from tests.helpers.c_programs import BUILDS, COMMAND, Build
from tests.helpers.paths import ROOT

from .trainer import TRAINER, program

OPTIONS = ("--units", "16", "--embedding", "4", "--batch", "8", "--sequence-length", "16")


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


@pytest.mark.parametrize("records", [None, "lines"])
@pytest.mark.parametrize("level", ["character", "byte"])
def test_the_model_has_the_loss_that_the_command_prints(
    words: Path, tmp_path: Path, records: str | None, level: str
) -> None:
    path = tmp_path / "words.onnx"
    options = ["--epochs", "6", "--level", level, *(["--records", records] if records else [])]
    done = learn(words, "-o", path, *OPTIONS, *options, "--held-out", "0.2")
    assert done.returncode == 0, done.stderr
    content = path.read_bytes()
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    model = textgen.load(content)
    text = words.read_text(encoding="utf-8")
    if records:
        texts = [record for record in split_records(text, "lines") if is_held_out(record, 0.2)]
        found = sum(textgen.predict(model, record).surprisals.sum() for record in texts)
        found /= sum(len(record) + 1 for record in texts)
    else:
        start = len(text) - round(len(text) * 0.2)
        predicted = textgen.predict(model, text[start - 1 :])
        found = predicted.surprisals.sum() / (len(text) - start)
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
    kernels = done.stderr.splitlines()[1].split()[-1]
    is_fused = kernels != "baseline" or build.has_fused_vectors
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


def test_an_interrupt_keeps_the_model(words: Path, tmp_path: Path) -> None:
    path = tmp_path / "words.onnx"
    arguments: list[str | Path] = [command(), "train", words, "-o", path, *OPTIONS, "--minutes", "30"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        while "loss" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate()
    assert process.returncode == 130
    assert output.startswith("wrote ")
    assert textgen.load(path).generate("the ", seed=1, length=9)


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
        (("TEXT", "-o", "MODEL", "--held-out", "1"), 2, "--held-out"),
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


def test_the_example_learns_a_list(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(
        "".join(f"{first}{second}\n" for first in "bdfgkl" for second in ("ana", "eno", "iri") * 20)
    )
    done = subprocess.run(
        [program(ROOT / "examples" / "learn.c"), path, "2"], capture_output=True, text=True, check=True
    )
    made = done.stdout.split()
    assert len(made) == 10
    assert sum(name[1:] in ("ana", "eno", "iri") for name in made) >= 8, made
