"""``make mutants``: break the code on purpose, one place at a time, and see that a test fails.

Operators change a line of code: a comparison, an arithmetic sign, a number, a boolean, a condition, a
returned value, or a statement that is left out. A room is a part of the code with its tests. Its mutants
are a sample that depends on a seed and on the text of each line, so that a changed line draws no other
mutants elsewhere. A mutant that cannot be compiled, or that is the same program, is replaced by the next
one.

``rates.toml`` has the seed and the size of the sample of each room, and the share that tests killed. The exit
status is 1 if the share is lower now. ``--changed`` and ``--file`` run a mutant of each line, without a rate.

``meaning.toml`` lists mutants that operators do not make. ``--meaning`` runs these, and the exit status is 1
unless all of them are killed.
"""

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent

# The files of each room, and its tests.
ROOMS = {
    "core": (r"runtime/core/.*\.[ch]", ["core/test_*.py", "golden/test_*.py"]),
    "runtime": (r"runtime/textgen_runtime/.*\.pyx?", ["runtime/**/test_*.py", "golden/test_*.py"]),
    "train": (r"train/.*\.([ch]|pyx?)", ["train/**/test_*.py"]),
    "web": (r"runtime/web/(?!wasm).*\.js", ["web/*.test.mjs"]),
}

# A mutant may loop forever. Tests fail if they take this many times as long as without a mutant, and the
# seconds that a compiler may need.
PATIENCE = 10
COMPILING = 120
# 5 is the status of pytest if all tests are of a later tier.
PASSED = (0, 5)
# So many test files run at a time, the nearest first, because most mutants need no others.
FILES = 6

# Prints what is equal if a mutant is the same program, or is for another processor or system.
BUILD_COMMAND = """
from tests.helpers.c_programs import PLAIN, compile_core, link_command
import hashlib
print(hashlib.sha256(link_command(PLAIN[0], compile_core(PLAIN[0])).read_bytes()).hexdigest())
"""

QUOTED = r"""(?P<text>{}"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
LITERALS = {
    "python": re.compile("#.*|" + QUOTED.format(r'"""[\s\S]*?"""|' + r"'''[\s\S]*?'''|")),
    "braces": re.compile(r"//.*|/\*[\s\S]*?\*/|" + QUOTED.format(r"`(?:\\.|[^`\\])*`|")),
}
# What is no code of functions.
DECLARATION = re.compile(r"\s*(?:#(?!define)|import\b|from\b|cimport\b|class\b|@)")


def signs(changes: dict[str, str]) -> list[tuple[str, str]]:
    """Return operators that replace a sign between blanks by each of the signs in a text."""
    return [(re.escape(f" {a} "), f" {b} ") for a in changes for b in changes[a].split()]


def words(changes: dict[str, str]) -> list[tuple[str, str]]:
    """Return operators that replace a word by another."""
    return [(rf"\b{a}\b", b) for a, b in changes.items()]


# Patterns for a line of code, whose comments are blank and whose texts are underscores.
NUMBER = r"(?<![\w.])\d+(?=(?:\.\d+)?[uUlLfF]*(?![\w.]))"
OPERATORS = [
    *signs({"<": "<= >=", "<=": "< >", ">": ">= <=", ">=": "> <", "==": "!=", "!=": "=="}),
    *signs({"+": "-", "-": "+", "*": "+", "/": "*", "%": "*", "+=": "-=", "-=": "+="}),
    *signs({"<<": ">>", ">>": "<<", "&": "|"}),
    *words({"min(?=\\()": "max", "max(?=\\()": "min", "break": "continue", "continue": "break"}),
    (NUMBER, "+1"),
]
LANGUAGES = {
    "python": [
        *signs({"and": "or", "or": "and", "//": "*", "not in": "in"}),
        *words({"True": "False", "False": "True", "is not": "is", "is(?! not)": "is not"}),
        (r"\bnot (?!in )", ""),
        (r"^( *(?:el)?if )(?=.*:$)", r"\1False and "),
        (r"^( *return) (?!None$).+$", r"\1 None"),
        (r"^( +)(?:(?:await |raise )?[\w.]+\(.*\)|\w+[.\[]\S* = .+|\S+ [-+*/|&]= .+)$", r"\1pass"),
    ],
    "braces": [
        *signs({"&&": "||", "||": "&&", "===": "!==", "!==": "==="}),
        *words({"true": "false", "false": "true"}),
        (r"(?<=[( ])!(?=[\w(])", ""),
        (r"\bif \((?=.*\{$)", "if (false && "),
        (r"^(\s*return) (?!0;$).+;$", r"\1 0;"),
        (r"^(\s*)(?!return\b)(?:\S+|\S*\[.*\]\S*)(?: [-+*/|&^%]?= .*|\+\+|--);$", r"\1;"),
        (r"^(\s*)(?:await )?[\w.#?>-]+\(.*\);$", r"\1;"),
    ],
}


class Mutant(NamedTuple):
    """A place of a file, and what replaces the text there."""

    file: str
    line: int
    start: int
    end: int
    replacement: str

    def apply(self, text: str) -> str:
        """Return the wrong content of the file."""
        return text[: self.start] + self.replacement + text[self.end :]

    def lines(self, text: str) -> tuple[str, str]:
        """Return the line before and after."""
        return text.split("\n")[self.line - 1], self.apply(text).split("\n")[self.line - 1]


def read(file: str) -> str:
    """Return a text of the checkout."""
    return (ROOT / file).read_text(encoding="utf-8")


@cache
def git(*arguments: str) -> str:
    """Return what git prints."""
    return subprocess.run(["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout


def mutants_of(file: str) -> Iterator[Mutant]:
    """Apply every operator to every line of code."""
    language = "python" if file.endswith((".py", ".pyx")) else "braces"

    def hide(found: re.Match[str]) -> str:
        return re.sub(r"[^\n]", "_" if found["text"] else " ", found[0])

    begin = 0
    for number, line in enumerate(LITERALS[language].sub(hide, read(file)).split("\n"), 1):
        code = "" if DECLARATION.match(line) else line.rstrip()
        is_whole = all(code.count(a) == code.count(b) for a, b in ("()", "[]", "{}"))
        for pattern, replacement in OPERATORS + LANGUAGES[language]:
            for found in re.finditer(pattern, code if is_whole or pattern[0] != "^" else ""):
                new = str(int(found[0]) + 1) if pattern == NUMBER else found.expand(replacement)
                yield Mutant(file, number, begin + found.start(), begin + found.end(), new)
        begin += len(line) + 1


def sample(files: list[str], seed: int) -> list[Mutant]:
    """Return a mutant of each line that has any, in an order that the seed and the lines give."""
    chosen: dict[tuple[str, int], tuple[bytes, Mutant]] = {}
    for file in files:
        text, seen = read(file), Counter[str]()
        for mutant in mutants_of(file):
            identity = f"{seed} {file} {mutant.lines(text)}"
            seen[identity] += 1
            key = hashlib.sha256(f"{identity} {seen[identity]}".encode()).digest(), mutant
            chosen[file, mutant.line] = min(chosen.get((file, mutant.line), key), key)
    return [mutant for _, mutant in sorted(chosen.values())]


def read_meaning() -> Iterator[Mutant]:
    """Read the mutants of meaning. Raises ``ValueError`` unless the file contains a text once."""
    for file, changes in tomllib.loads((FOLDER / "meaning.toml").read_text(encoding="utf-8")).items():
        text = read(file)
        for find, replacement in changes.items():
            if text.count(find) != 1:
                raise ValueError(f"{file} contains {find!r} {text.count(find)} times")
            start = text.index(find)
            yield Mutant(file, text.count("\n", 0, start) + 1, start, start + len(find), replacement)


def is_changed(mutant: Mutant, revision: str) -> bool:
    """Return whether the line is new since a revision."""
    changes = git("diff", "-U0", revision, "--", mutant.file)
    hunks = re.findall(r"^@@ .* \+(\d+)(?:,(\d+))? @@", changes, re.MULTILINE)
    return any(int(first) <= mutant.line < int(first) + int(count or 1) for first, count in hunks)


class Tree:
    """A copy of the checkout with what is compiled, in which the mutants of a room are made and tested."""

    def __init__(self, folder: Path, room: str) -> None:
        self.folder, self.room = folder, room
        self.seconds: dict[str, float] = {}
        ignored = shutil.ignore_patterns(".*", "*.egg-info", "node_modules", "wheels")
        shutil.copytree(ROOT, folder, symlinks=True, ignore=ignored)
        (folder / "tests/web/node_modules").symlink_to(ROOT / "tests/web/node_modules")
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(str(folder / part) for part in ("runtime", "train")),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TEXTGEN_PYTHON": sys.executable,
        }
        self.program = self.build("")[1] if room == "core" else ""

    def run(self, command: list[str], seconds: float | None = None) -> tuple[int, str]:
        """Run a command in the copy and return its exit status and output. After so many seconds it fails."""
        with (
            tempfile.TemporaryFile() as output,
            subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            ) as process,
        ):
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                status = -1
            # The processes of the tests, too. Those of a mutant may never end.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            output.seek(0)
            return status, output.read().decode(errors="replace")

    def build(self, file: str) -> tuple[int, str]:
        """Check and compile a file of the copy. Return an exit status, and what tells the program."""
        if file.endswith(".js"):
            return self.run(["node", "--check", file])
        if file.endswith(".py"):
            return self.run([sys.executable, "-c", f"compile(open({file!r}).read(), {file!r}, 'exec')"])
        if self.room == "core":
            # Its tests compile it. The extensions stay as they are.
            return self.run([sys.executable, "-c", BUILD_COMMAND])
        return self.run([sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"])

    def test(self, files: list[str], seconds: float | None = None) -> tuple[int, str]:
        """Run test files up to the first failure."""
        pytest = [sys.executable, "-m", "pytest", "-xq", "-p", "no:cacheprovider", "-n0"]
        return self.run([*(["node", "--test"] if self.room == "web" else pytest), *files], seconds)

    def time(self, test: str) -> float:
        """Return the seconds that a test file takes. Exits if it fails."""
        if test not in self.seconds:
            start, (status, output) = monotonic(), self.test([test])
            self.seconds[test] = monotonic() - start
            if status not in PASSED:
                sys.exit(f"without a mutant:\n{output[-3000:]}")
        return self.seconds[test]

    def judge(self, mutant: Mutant, clean: "Tree") -> str | None:
        """Return which test kills a mutant, "" if none does, and None if it is no other program."""

        def distance(test: str) -> tuple[int, float]:
            near = {*re.findall(r"[a-z0-9]+", mutant.file)} & {*re.findall(r"[a-z0-9]+", test)}
            return -len(near) - (path.stem.strip("_") in read(test)), clean.seconds.get(test, 1.0)

        path = self.folder / mutant.file
        original = path.read_text(encoding="utf-8")
        found = (each for pattern in ROOMS[self.room][1] for each in (ROOT / "tests").glob(pattern))
        tests = sorted((each.relative_to(ROOT).as_posix() for each in found), key=distance)
        path.write_text(mutant.apply(original), encoding="utf-8")
        try:
            status, output = self.build(mutant.file)
            if status or output == self.program != "":
                return None
            # Node does not stop at the first file that fails.
            size = 1 if self.room == "web" else FILES
            for part in [tests[i : i + size] for i in range(0, len(tests), size)]:
                status, output = self.test(part, PATIENCE * sum(map(clean.time, part)) + COMPILING)
                if status not in PASSED:
                    failed = re.search(r"^(?:FAILED|ERROR|not ok|✖).*", output, re.MULTILINE)
                    return failed[0] if failed else output[-300:] or "no end"
            return ""
        finally:
            path.write_text(original, encoding="utf-8")
            # Extensions of the mutant must not serve the next one.
            if path.suffix in {".pyx", ".c", ".h"} and self.room != "core":
                self.build(mutant.file)


def judge_all(mutants: list[Mutant], room: str, count: int, jobs: int) -> Iterator[tuple[Mutant, str | None]]:
    """Make mutants until a number of them were other programs, in several copies of the tree at a time."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary, ThreadPoolExecutor(jobs) as pool:
        trees: SimpleQueue[Tree] = SimpleQueue()
        clean, *copies = (Tree(Path(temporary, str(i)), room) for i in range(jobs + 1))
        for tree in copies:
            trees.put(tree)

        def judge(mutant: Mutant) -> tuple[Mutant, str | None]:
            tree = trees.get()
            try:
                return mutant, tree.judge(mutant, clean)
            finally:
                trees.put(tree)

        rest = iter(mutants)
        while batch := list(islice(rest, count)):
            for mutant, verdict in pool.map(judge, batch):
                count -= verdict is not None
                yield mutant, verdict


def run_room(room: str, arguments: argparse.Namespace) -> bool:
    """Run the mutants of a room, print what became of them, and return whether the share is high enough."""
    rate = tomllib.loads((FOLDER / "rates.toml").read_text(encoding="utf-8")).get(room, {})
    seed, count = arguments.seed or rate.get("seed", 1), arguments.count or rate.get("count", 60)
    files = [
        file
        for file in git("ls-files").split()
        if re.fullmatch(ROOMS[room][0], file) and arguments.file in file
    ]
    mutants = (
        [each for each in read_meaning() if each.file in files] if arguments.meaning else sample(files, seed)
    )
    if arguments.changed:
        mutants = [mutant for mutant in mutants if is_changed(mutant, arguments.changed)]
    is_sample = not (arguments.meaning or arguments.changed or arguments.file)
    if not is_sample:
        count = arguments.count or len(mutants)
    killed = total = 0
    for mutant, verdict in judge_all(mutants, room, count, arguments.jobs) if mutants else ():
        # A mutant of meaning that is no other program survives.
        if verdict is not None or arguments.meaning:
            killed, total = killed + bool(verdict), total + 1
            before, after = mutant.lines(read(mutant.file))
            print(f"{'killed' if verdict else 'SURVIVED'} {mutant.file}:{mutant.line}: {verdict}", flush=True)
            print(f"    {before.strip()}\n    {after.strip()}", flush=True)
    share = killed / max(1, total)
    print(f"{room}: {killed} of {total} mutants killed, {share:.3f}", flush=True)
    if is_sample and (seed, count) == (rate.get("seed"), rate.get("count")):
        return share >= float(rate["killed"])
    return killed == total or not arguments.meaning


def main() -> int:
    """Run the mutants of rooms."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.split("\n")[0])
    parser.add_argument("--room", choices=ROOMS, action="append", help="default: all")
    parser.add_argument("--count", type=int, help="size of the sample; default: that of rates.toml")
    parser.add_argument("--seed", type=int, help="seed of the sample; default: that of rates.toml")
    parser.add_argument("--changed", metavar="REV", help="only lines that changed since a revision")
    parser.add_argument("--file", default="", help="only files whose path contains this text")
    parser.add_argument("--meaning", action="store_true", help="the mutants of meaning.toml instead")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    arguments = parser.parse_args()
    results = [run_room(room, arguments) for room in arguments.room or ROOMS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
