"""``make mutants``: break the code on purpose, one change at a time, and see that a test fails.

Each ``.toml`` file beside this module lists the mutants of one room:

    tests = ["tests/core"]                  # what is run for a mutant that names no tests

    [[mutant]]
    name = "min_p excludes its border"      # unique; says what the code does wrong
    file = "runtime/core/sampler.c"
    find = "probability >= limit"           # occurs once in the file
    replace = "probability > limit"
    tests = ["tests/core/test_core.py"]     # pytest arguments, or files for ``node --test``
    survives = "..."                        # only if no test can fail: one line that says why

The mutants are made in copies of the tree, one for each process. A mutant of Cython or C is compiled first.
The tests in ``tests/core`` compile the C core themselves, so the extensions stay as they are for them.

The exit status is 0 if a test failed for every mutant without ``survives``, and for none with it.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import NamedTuple

from tests.helpers.c_programs import HEADERS, SOURCES, WARNINGS
from tests.helpers.paths import ROOT

FOLDER = Path(__file__).parent
COMPILED = {".c", ".h", ".def", ".pyx", ".pxd"}
# A mutant may loop forever. Tests count as failed if they take this many times as long as without a mutant.
PATIENCE = 10

CORE_FILES = {path.relative_to(ROOT).as_posix() for path in [*SOURCES, *HEADERS]}
COMPILE_CORE = "from tests.helpers.c_programs import PLAIN, compile_core; compile_core(PLAIN[0])"


class Mutant(NamedTuple):
    """A change that makes the code wrong, and the tests that must see it."""

    name: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]
    survives: str = ""


class Outcome(NamedTuple):
    """What became of a mutant: ``killed``, ``survived``, or ``invalid`` if it cannot be built."""

    mutant: Mutant
    state: str
    detail: str = ""

    @property
    def is_expected(self) -> bool:
        """Whether the list of mutants says so."""
        return self.state == ("survived" if self.mutant.survives else "killed")


def read_mutants(path: Path) -> Iterator[Mutant]:
    """Read the mutants of a file. Raises ``ValueError`` if one of them does not fit the code."""
    room = tomllib.loads(path.read_text(encoding="utf-8"))
    for entry in room["mutant"]:
        mutant = Mutant(**{**entry, "tests": tuple(entry.get("tests", room["tests"]))})
        count = (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.find)
        if count != 1:
            raise ValueError(f"{path.name}: {mutant.name}: {mutant.file} contains the text {count} times")
        yield mutant


class Tree:
    """A copy of the checkout, in which mutants are made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, encoding="utf-8").stdout
        built = [str(path.relative_to(ROOT)) for path in (ROOT / "runtime").rglob("*.so")]
        for name in filter(None, [*names.split("\0"), *built]):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        # With what is compiled, so that only what a mutant changes is compiled again.
        for pattern in ("build/generated", "build/lib.*", "build/temp.*", "build/test-core"):
            for path in ROOT.glob(pattern):
                shutil.copytree(path, folder / path.relative_to(ROOT), symlinks=True)
        (folder / "tests/web/node_modules").symlink_to(ROOT / "tests/web/node_modules")
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(str(folder / part) for part in ("runtime", "train")),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TEXTGEN_CASES": str(ROOT / "build/web-test/cases"),
            "TEXTGEN_PYTHON": sys.executable,
            "TEXTGEN_SITES": str(ROOT / "build/web-test/sites"),
        }

    def run(self, *command: str, seconds: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy. Raises ``TimeoutExpired`` after a number of seconds."""
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=seconds)
            finally:
                # The processes of the tests, too. Those of a mutant may never end.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def build(self, file: str, tests: tuple[str, ...]) -> str:
        """Check and compile a changed file. Returns an error, or an empty text."""
        suffix = Path(file).suffix
        done = None
        if file in CORE_FILES:
            # As the tests do. Otherwise a warning would count as a failed test.
            done = self.run(sys.executable, "-c", COMPILE_CORE)
        elif suffix == ".c":
            done = self.run("cc", *WARNINGS, "-Iruntime/core", "-fsyntax-only", file)
        elif suffix == ".py":
            done = self.run(sys.executable, "-c", f"compile(open({file!r}).read(), {file!r}, 'exec')")
        elif suffix in {".js", ".mjs"}:
            done = self.run("node", "--check", file)
        if suffix in COMPILED and not (done and done.returncode) and not in_c_or_node(tests):
            done = self.run(sys.executable, "setup.py", "--quiet", "build_ext", "--inplace")
        return done.stderr.strip() if done and done.returncode else ""

    def failing(self, tests: tuple[str, ...], seconds: float | None = None) -> str:
        """Run tests. Returns the name of one that fails or takes too long, or an empty text."""
        if tests[0].endswith(".mjs"):
            command = ["node", "--test", *tests]
        else:
            command = [sys.executable, "-m", "pytest", "-xq", "-p", "no:cacheprovider", "-n0", *tests]
        try:
            done = self.run(*command, seconds=seconds)
        except subprocess.TimeoutExpired:
            return f"no end within {seconds:.0f} seconds"
        if done.returncode == 0:
            return ""
        lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR", "not ok"))]
        return lines[0] if lines else f"exit status {done.returncode}: {(done.stdout + done.stderr)[-300:]}"

    def judge(self, mutant: Mutant, seconds: float) -> Outcome:
        """Make a mutant, run its tests, and undo it."""
        path = self.folder / mutant.file
        original = path.read_text(encoding="utf-8")
        path.write_text(original.replace(mutant.find, mutant.replace), encoding="utf-8")
        try:
            error = self.build(mutant.file, mutant.tests)
            if error:
                return Outcome(mutant, "invalid", error)
            detail = self.failing(mutant.tests, seconds)
            return Outcome(mutant, "killed" if detail else "survived", detail)
        finally:
            path.write_text(original, encoding="utf-8")
            # Extensions of the mutant must not serve the next one.
            if error := self.build(mutant.file, mutant.tests):
                raise RuntimeError(f"{mutant.file} cannot be built after the mutant {mutant.name!r}: {error}")


def in_c_or_node(tests: tuple[str, ...]) -> bool:
    """Whether tests need no extension module of the mutant."""
    return all(
        test.startswith(("tests/core", "tests/web", "tests/golden/test_golden.py::test_c_")) for test in tests
    )


def measure(tree: Tree, mutants: list[Mutant]) -> dict[tuple[str, ...], float]:
    """Return the seconds that each choice of tests takes without a mutant. Exits if one of them fails."""
    durations = {}
    for tests in sorted({mutant.tests for mutant in mutants}):
        start = monotonic()
        if failing := tree.failing(tests):
            sys.exit(f"without a mutant: {failing}")
        durations[tests] = monotonic() - start
    return durations


def judge_all(mutants: list[Mutant], jobs: int) -> Iterator[Outcome]:
    """Make every mutant, in several copies of the tree at a time."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary, ThreadPoolExecutor(jobs) as pool:
        trees: SimpleQueue[Tree] = SimpleQueue()
        first = Tree(Path(temporary) / "0")
        durations = measure(first, mutants)
        trees.put(first)
        for i in range(1, jobs):
            trees.put(Tree(Path(temporary) / str(i)))

        def judge(mutant: Mutant) -> Outcome:
            tree = trees.get()
            try:
                return tree.judge(mutant, PATIENCE * durations[mutant.tests] + 60)
            finally:
                trees.put(tree)

        yield from pool.map(judge, mutants)


def main() -> int:
    """Run the mutants and print a line for each."""
    rooms = sorted(path.stem for path in FOLDER.glob("*.toml"))
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.split("\n")[0])
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(rooms)}; default: all")
    parser.add_argument("--match", default="", help="only mutants whose name or file contains this text")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    arguments = parser.parse_args()
    mutants = [
        mutant
        for room in arguments.rooms or rooms
        for mutant in read_mutants(FOLDER / f"{room}.toml")
        if arguments.match in mutant.name or arguments.match in mutant.file
    ]
    if not mutants:
        parser.error("there is no such mutant")
    outcomes = []
    for outcome in judge_all(mutants, arguments.jobs):
        mark = "  " if outcome.is_expected else "! "
        print(f"{mark}{outcome.state:8} {outcome.mutant.file}: {outcome.mutant.name}", flush=True)
        if not outcome.is_expected or outcome.state == "survived":
            print(f"           {outcome.mutant.survives or outcome.detail}", flush=True)
        outcomes.append(outcome)
    killed = sum(outcome.state == "killed" for outcome in outcomes)
    explained = sum(outcome.state == "survived" and outcome.is_expected for outcome in outcomes)
    wrong = sum(not outcome.is_expected for outcome in outcomes)
    print(f"{len(outcomes)} mutants: {killed} killed, {explained} explained, {wrong} unexpected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
