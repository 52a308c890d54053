"""The tutorials, and then the page about their problems: all commands, in their order."""

import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.documents import FENCED
from tests.helpers.paths import ROOT
from tests.helpers.programs import posix_only

# The length of the runs, and a small network for a length that does not depend on the speed of the machine.
MINUTES, SMALL = "--minutes 2", "--epochs 3 --units 24"


def read(page: str, heading: str = "") -> str:
    """Return a page, or one of its sections of the first level."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0] if heading else text


def run(commands: str, folder: Path, compiler: Path) -> tuple[int, list[str]]:
    """Run commands in a folder; return the exit code, and the lines of their output with that of errors."""
    path = os.pathsep.join([str(compiler.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-e", "-c", commands.replace(MINUTES, SMALL)],
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        encoding="utf-8",
    )
    return done.returncode, done.stdout.splitlines()


@posix_only
def test_the_commands_of_the_tutorials_and_of_their_problems(tmp_path: Path, quick_compiler: Path) -> None:
    outputs = {}
    for text in (read("tutorial.md"), read("c.md", "A name generator in a C program")):
        for language, code in FENCED.findall(text):
            if language == "c":
                (tmp_path / "names.c").write_text(code, encoding="utf-8")
            elif language == "sh":
                failed, outputs[code] = run(code, tmp_path, quick_compiler)
                assert not failed, outputs[code]

    def output(command: str) -> list[str]:
        (found,) = [lines for code, lines in outputs.items() if command in code]
        return found

    printed = [line.partition(": ")[2] for line in output(MINUTES) if ": textgen-" in line]
    assert len(printed) >= 2
    assert all(command in read("tutorial.md") for command in printed[:2])

    known = (tmp_path / "emoji.txt").read_text(encoding="utf-8").splitlines()
    first, wild = output("--count 20 --unique --novel emoji.txt\n"), output("--temp 0.8")
    assert len(known) > 1000
    assert (len({*first}), len(wild)) == (20, 40)
    assert not {*first, *wild} & {*known}
    assert all(name.startswith("cat ") for name in wild[20:])

    program = output("./names")
    assert program[:5] == output("--seed 7")
    assert len(program) == 10
    assert all(name.startswith("cat") for name in program[5:])

    failures = 0
    for language, code in FENCED.findall(read("troubleshooting.md")):
        # Another run of minutes would be that of the tutorial without an option.
        if language in {"console", "sh"} and MINUTES not in code:
            command, *shown = code.removeprefix("$ ").splitlines()
            failed, lines = run(command if language == "console" else code, tmp_path, quick_compiler)
            assert ({*shown} <= {*lines}, bool(failed)) == (True, "error: " in code), lines
            failures += bool(failed)
    assert failures > 4
