"""Processes that the packages start must not import from the working directory."""

import ast
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import textgen_runtime
import textgen_runtime as textgen
import textgen_train
from textgen_runtime.bench import _processes as processes
from textgen_runtime.bench import rounds
from textgen_runtime.bench.context import BenchContext
from textgen_runtime.bench.rounds import NO_DEADLINE

from tests.helpers.paths import TINY

PACKAGES = [Path(str(package.__file__)).parent for package in (textgen_runtime, textgen_train)]

STARTS_PROCESSES = re.compile(
    r"subprocess|multiprocessing|pty|sys\.executable|asyncio\.create_subprocess_\w+|\w*ProcessPoolExecutor"
    r"|os\.(system|popen|fork|forkpty|startfile|(exec|spawn|posix_spawn)\w*)"
)

HOSTILE = "from pathlib import Path\nPath({mark!r}).touch()\nraise SystemExit('imported from here')\n"


def names(tree: ast.AST) -> Iterator[str]:
    """Yield every module that a program imports, and every name and dotted name in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute | ast.Name):
            yield ast.unparse(node)


def process_starters(path: Path) -> list[str]:
    """Return the names in a module that can start processes."""
    return sorted(filter(STARTS_PROCESSES.fullmatch, names(ast.parse(path.read_text(encoding="utf-8")))))


def test_only_one_function_starts_processes() -> None:
    starters = {path.name: process_starters(path) for package in PACKAGES for path in package.rglob("*.py")}
    assert [name for name, uses in starters.items() if uses] == ["_processes.py"]
    assert starters["_processes.py"].count("sys.executable") == 1


@pytest.fixture
def hostile_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with files that are named like the modules that a new process imports."""
    for name in ("numpy", "textgen_runtime", "onnxruntime", "re", "json"):
        mark = str(tmp_path / f"{name}.ran")
        (tmp_path / f"{name}.py").write_text(HOSTILE.format(mark=mark), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    # The variable has the same effect as -P.
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    return tmp_path


def test_no_process_imports_from_the_working_directory(
    hostile_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **options: Any) -> None:
            commands.append(command)
            super().__init__(command, **options)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    monkeypatch.setattr(rounds, "MIN_ROUNDS", 1)
    bench = BenchContext(TINY.read_bytes(), ("native", "onnxruntime"), 0.5, 0.0, 1, 500)
    processes.cold_start(bench, NO_DEADLINE)
    processes.memory(bench, NO_DEADLINE)
    assert list(hostile_folder.glob("*.ran")) == []
    assert len(commands) >= 6
    assert {tuple(command[:2]) for command in commands} == {(sys.executable, "-P")}


def test_a_process_inherits_the_import_restrictions(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = type("Flags", (), {"ignore_environment": 1, "no_user_site": 1})
    monkeypatch.setattr(sys, "flags", flags)
    assert processes.python_command("pass", "x")[1:4] == ["-P", "-E", "-s"]
    assert processes.python_command("pass", "x")[-3:] == ["-c", "pass", "x"]


@pytest.mark.parametrize("is_free_threaded", [0, 1])
def test_a_process_of_a_free_threaded_interpreter_does_not_warn_about_the_gil(
    monkeypatch: pytest.MonkeyPatch, is_free_threaded: int
) -> None:
    monkeypatch.setattr("sysconfig.get_config_var", {"Py_GIL_DISABLED": is_free_threaded}.get)
    warning = "The global interpreter lock (GIL) has been enabled to load module 'a'"
    command = processes.python_command(f"import warnings; warnings.warn({warning!r}, RuntimeWarning)")
    done = subprocess.run(command, capture_output=True, check=True)
    assert (b"RuntimeWarning" in done.stderr) is not bool(is_free_threaded)


def test_processes_start_without_signal_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has none."""
    monkeypatch.delattr(signal, "pthread_sigmask")
    processes.run_to_end(processes.python_command("pass"))


def test_memory_is_measured_only_where_the_system_states_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only Linux has the file."""
    monkeypatch.setattr(Path, "exists", lambda _: False)
    monkeypatch.setattr(subprocess, "Popen", None)
    peak = processes.peak_memory(TINY.read_bytes(), "native", 9)
    assert processes.format_peak({"9": peak}, 9) == "not available"


def test_each_process_reads_the_given_model(tiny_path: Path) -> None:
    """The model is passed as an unnamed file, which each process reads from its beginning."""
    expected = textgen.load(tiny_path).generate("abc", length=9, seed=1)
    options = ("--prompt", "abc", "--no-echo", "--length", "9", "--seed", "1")
    command = processes.python_command(processes.RUN_FROM_STDIN, processes.STDIN_NAME, *options)
    with processes.temporary_model_file(tiny_path.read_bytes()) as model:
        for _ in range(2):
            with processes.child_process(command, stdin=model, stdout=subprocess.PIPE) as process:
                out, _ = process.communicate()
            assert out.decode() == f"{expected}\n"
