"""The tutorials, the page about their problems, and recipes of other pages: all commands, in their order."""

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from tests.helpers.documents import FENCED, blocks
from tests.helpers.paths import ROOT
from tests.helpers.programs import posix_only
from tests.helpers.shared_folders import shared_folder

pytestmark = posix_only

# The length of the runs, and a shorter one that does not depend on the speed of the machine.
MINUTES, FEW_EPOCHS = "--minutes 2", "--epochs 10"


def read(page: str, heading: str = "") -> str:
    """Return a page, or one of its sections of the first level."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0] if heading else text


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


@pytest.fixture
def tutorials(tmp_path_factory: pytest.TempPathFactory, quick_compiler: Path) -> Path:
    """A folder in which both tutorials were followed. A C program is stored as ``names.c``."""

    def fill(folder: Path) -> None:
        outputs = {}
        for text in (read("tutorial.md"), read("c.md", "A name generator in a C program")):
            for language, code in FENCED.findall(text):
                if language == "c":
                    (folder / "names.c").write_text(code, encoding="utf-8")
                elif language == "sh":
                    failed, outputs[code] = run(code, folder, quick_compiler)
                    assert not failed, outputs[code]
        (folder / "outputs.json").write_text(json.dumps(outputs), encoding="utf-8")

    return shared_folder(tmp_path_factory, "tutorials", fill)


def output(tutorials: Path, command: str) -> list[str]:
    """Return the output of the block with a command."""
    outputs = json.loads((tutorials / "outputs.json").read_text(encoding="utf-8"))
    (found,) = [lines for code, lines in outputs.items() if command in code]
    return list(found)


def test_the_run_of_the_tutorial_prints_the_next_commands_of_the_page(tutorials: Path) -> None:
    printed = [line.partition(": ")[2] for line in output(tutorials, MINUTES) if ": textgen-" in line]
    assert len(printed) >= 2
    assert [command for command in printed[:2] if command not in read("tutorial.md")] == []


def test_the_names_of_the_tutorial_are_new(tutorials: Path) -> None:
    known = (tutorials / "emoji.txt").read_text(encoding="utf-8").splitlines()
    first = output(tutorials, "--count 20 --unique --novel emoji.txt\n")
    names = [*first, *output(tutorials, "--temp 0.8")]
    assert len(known) > 1000
    assert len(names) == 60
    assert len({*first}) == 20
    assert not {*names} & {*known}
    assert all(name.startswith("cat ") for name in names[40:])


def test_the_program_of_the_tutorial_writes_the_names_of_the_command(tutorials: Path) -> None:
    program = output(tutorials, "./names")
    assert len(program) == 10
    assert program[:5] == output(tutorials, "--seed 7")
    assert all(name.startswith("cat") for name in program[5:])


@pytest.mark.tier("push")
def test_the_problems_of_the_page_occur_and_their_remedies_help(
    tutorials: Path, tmp_path: Path, quick_compiler: Path
) -> None:
    shutil.copy(tutorials / "emoji.txt", tmp_path)
    shutil.copytree(tutorials / "emoji-model", tmp_path / "emoji-model")
    failures = 0
    for language, code in FENCED.findall(read("troubleshooting.md")):
        if language in {"console", "sh"}:
            command, *shown = code.removeprefix("$ ").splitlines()
            failed, lines = run(command if language == "console" else code, tmp_path, quick_compiler)
            assert bool(failed) == any("error: " in line for line in shown), lines
            failures += bool(failed)
    assert failures > 4


def test_a_label_as_the_prompt_chooses_the_kind_of_a_record(tmp_path: Path, quick_compiler: Path) -> None:
    consonants = {"female": "bdlmv", "male": "kprst"}
    for kind, letters in consonants.items():
        # Every other one, so that there are new ones.
        names = list(map("".join, product(letters, "aeiou", letters, "aeiou", letters)))[::2]
        (tmp_path / f"{kind}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    section = read("training.md").partition("\n### Labels\n")[2]
    commands = blocks(section, "sh")[0].replace("--count", "--seed 1 --count")
    failed, lines = run(commands, tmp_path, quick_compiler)
    assert not failed, lines
    for kind, letters in consonants.items():
        command = commands.splitlines()[-1].replace("female:", f"{kind}:")
        _, names_of_kind = run(command, tmp_path, quick_compiler)
        assert len(names_of_kind) == 10
        fitting = [name for name in names_of_kind if re.fullmatch(f"{kind}:[{letters}aeiou]+", name)]
        assert len(fitting) > 7, names_of_kind


def test_the_sentences_have_the_word(tmp_path: Path, quick_compiler: Path) -> None:
    (commands,) = blocks(read("constraints.md", "A sentence with a word"), "sh")
    failed, lines = run(commands, tmp_path, quick_compiler)
    texts = re.split(r"^-+ text \d of 5$", "\n".join(lines), flags=re.MULTILINE)[1:]
    assert not failed, lines
    assert len(texts) == 5
    for text in texts:
        assert re.fullmatch(r"what is man\? [^.?!]* truth\b[^.?!]*\.", text.strip())
