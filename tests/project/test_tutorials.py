"""The tutorials, the page about their problems, and recipes of other pages: all commands, in their order."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from textgen_runtime.errors import install_command
from textgen_train.cli._messages import describe_overfitting
from textgen_train.loop.events import Evaluation
from textgen_train.options import RunOptions

from tests.helpers.documents import FENCED, blocks
from tests.helpers.paths import ROOT
from tests.helpers.programs import posix_only
from tests.helpers.shared_folders import shared_folder

pytestmark = posix_only

PAGES = ("tutorial.md", "tutorial-c.md")
# The length of the runs, and a shorter one that does not depend on the speed of the machine.
MINUTES, FEW_EPOCHS = "--minutes 2", "--epochs 10"
# With the path, the line and the column, in which compilers agree, unlike in the words that follow.
MISSING_HEADER = "names.c:2:10: fatal error: "
# What the run prints as the next command, and as another one.
NEXT = "textgen-run emoji-model --count 20 --unique --novel emoji.txt"
PAGE = "textgen-web emoji-model --novel emoji.txt"


class Step(NamedTuple):
    """A block of commands, their output with that of errors, and what the page shows of it."""

    commands: str
    output: list[str]
    shown: list[str]


def run(commands: str, folder: Path, compiler: Path) -> tuple[int, list[str]]:
    """Run commands in a folder; return the exit code, and the lines of their output with that of errors."""
    path = os.pathsep.join([str(compiler.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-e", "-c", commands.replace(MINUTES, FEW_EPOCHS)],
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        encoding="utf-8",
    )
    return done.returncode, done.stdout.splitlines()


def follow(page: str, folder: Path, compiler: Path) -> list[Step]:
    """Run all commands of a page in a folder. A C program is stored as ``names.c``."""
    steps = []
    for language, code in FENCED.findall((ROOT / "docs" / page).read_text(encoding="utf-8")):
        if language == "c":
            (folder / "names.c").write_text(code, encoding="utf-8")
        elif language == "sh":
            failed, output = run(code, folder, compiler)
            assert not failed, output
            steps.append(Step(code, output, []))
        else:
            steps[-1].shown.extend(code.splitlines())
    return steps


def masked(lines: list[str]) -> list[str]:
    """Replace the numbers, and remove the comparison with an earlier evaluation, which a short run lacks."""
    return [re.sub(r"\d[\d.,]*", "#", line).removesuffix("; best so far #") for line in lines]


@pytest.fixture
def tutorials(tmp_path_factory: pytest.TempPathFactory, quick_compiler: Path) -> Path:
    """A folder in which both tutorials were followed. The second one needs the model of the first."""

    def fill(folder: Path) -> None:
        done = [step for page in PAGES for step in follow(page, folder, quick_compiler)]
        (folder / "steps.json").write_text(json.dumps(done), encoding="utf-8")

    return shared_folder(tmp_path_factory, "tutorials", fill)


@pytest.fixture
def steps(tutorials: Path) -> list[Step]:
    return [Step(*step) for step in json.loads((tutorials / "steps.json").read_text(encoding="utf-8"))]


def find(steps: list[Step], command: str) -> Step:
    """Return the block with a command."""
    (step,) = [step for step in steps if command in step.commands]
    return step


@pytest.mark.parametrize("command", ["emoji.txt <<", "textgen-web", "textgen-embed"])
def test_a_tutorial_shows_what_a_command_writes(command: str, steps: list[Step]) -> None:
    step = find(steps, command)
    assert masked(step.shown) == masked(step.output) != []


def test_the_tutorial_shows_lines_of_the_training(steps: list[Step]) -> None:
    step = find(steps, MINUTES)
    assert len(step.shown) == 7
    assert set(masked(step.shown)) <= set(masked(step.output))
    assert step.shown[-3:-1] == [f"next: {NEXT}", f"a page for the browser: {PAGE}"]
    assert find(steps, PAGE).commands.startswith(f"{PAGE} --title ")


def test_the_names_of_the_tutorial_are_new(steps: list[Step], tutorials: Path) -> None:
    known = (tutorials / "emoji.txt").read_text(encoding="utf-8").splitlines()
    names = [*find(steps, f"{NEXT}\n").output, *find(steps, "--temp 0.8").output]
    assert len(known) > 1000
    assert len(names) == 60
    assert len({*names[:20]}) == 20
    assert not {*names} & {*known}
    assert all(name.startswith("cat ") for name in names[40:])


def test_the_program_of_the_tutorial_writes_the_names_of_the_command(steps: list[Step]) -> None:
    program, command = find(steps, "./names"), find(steps, "--seed 7")
    assert len(program.output) == len(program.shown) == 10
    assert program.output[:5] == command.output
    assert all(name.startswith("cat") for name in program.output[5:])


def test_the_page_of_problems_has_the_messages_that_need_other_runs() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    best = Evaluation(
        step=1,
        epoch=1.0,
        seconds=3.0,
        training_nats=2.0,
        held_out_nats=2.0,
        bits_per_character=2.0,
        learning_rate=0.1,
        training_eval_nats=2.0,
    )
    last = replace(best, seconds=59.0, held_out_nats=3.0)
    overfitted = describe_overfitting(best, last, RunOptions("names.txt", minutes=1))
    missing = f"textgen-train: error: training requires torch: {install_command('train')}\n"
    others = [block for block in blocks(page, "text") if not block.startswith(MISSING_HEADER)]
    assert others == [missing, overfitted]


def test_the_page_of_problems_has_the_place_of_the_compilers_error(
    tutorials: Path, tmp_path: Path, quick_compiler: Path
) -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    shutil.copy(tutorials / "names.c", tmp_path)
    failed, output = run("cc -c names.c", tmp_path, quick_compiler)
    (shown,) = [block for block in blocks(page, "text") if block.startswith(MISSING_HEADER)]
    assert failed
    assert "model.h" in shown
    assert any(line.startswith(MISSING_HEADER) and "model.h" in line for line in output), output


@pytest.mark.tier("push")
def test_the_problems_of_the_tutorials_have_the_messages_of_their_page(
    tutorials: Path, tmp_path: Path, quick_compiler: Path
) -> None:
    """Commands without a message are remedies, and succeed."""
    for name in ("emoji.txt", "names.c"):
        shutil.copy(tutorials / name, tmp_path)
    shutil.copytree(tutorials / "emoji-model", tmp_path / "emoji-model")
    for language, code in FENCED.findall((ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")):
        if language == "console":
            command, *shown = code.removeprefix("$ ").splitlines()
            _, output = run(command, tmp_path, quick_compiler)
            assert set(masked(shown)) <= set(masked(output)), command
        elif language == "sh":
            failed, output = run(code, tmp_path, quick_compiler)
            assert not failed, output


def commands_of(page: str, heading: str) -> str:
    """Return the commands of a section of a page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    (commands,) = blocks(text.partition("\n## ")[0], "sh")
    return commands


def test_a_label_as_the_prompt_chooses_the_kind_of_a_record(tmp_path: Path, quick_compiler: Path) -> None:
    consonants = {"female": "bdlmv", "male": "kprst"}
    for kind, letters in consonants.items():
        # Every other one, so that there are new ones.
        names = list(map("".join, product(letters, "aeiou", letters, "aeiou", letters)))[::2]
        (tmp_path / f"{kind}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    commands = commands_of("training.md", "Labels").replace("--count", "--seed 1 --count")
    failed, output = run(commands, tmp_path, quick_compiler)
    assert not failed, output
    for kind, letters in consonants.items():
        command = commands.splitlines()[-1].replace("female:", f"{kind}:")
        _, names_of_kind = run(command, tmp_path, quick_compiler)
        assert len(names_of_kind) == 10
        fitting = [name for name in names_of_kind if re.fullmatch(f"{kind}:[{letters}aeiou]+", name)]
        assert len(fitting) > 7, names_of_kind


def test_the_sentences_have_the_word(tmp_path: Path, quick_compiler: Path) -> None:
    failed, output = run(commands_of("constraints.md", "A sentence with a word"), tmp_path, quick_compiler)
    texts = re.split(r"^-+ text \d of 5$", "\n".join(output), flags=re.MULTILINE)[1:]
    assert not failed, output
    assert len(texts) == 5
    for text in texts:
        assert re.fullmatch(r"what is man\? [^.?!]* truth\b[^.?!]*\.", text.strip())
