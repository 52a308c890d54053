"""Processes that the packages start must not import from the working directory."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import textgen_runtime
import textgen_train

PACKAGES = [Path(str(package.__file__)).parent for package in (textgen_runtime, textgen_train)]

STARTS_PROCESSES = re.compile(
    r"subprocess|multiprocessing|pty|sys\.executable|asyncio\.create_subprocess_\w+|\w*ProcessPoolExecutor"
    r"|os\.(system|popen|fork|forkpty|startfile|(exec|spawn|posix_spawn)\w*)"
)


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
    assert [name for name, uses in starters.items() if uses] == ["bench.py"]
    assert starters["bench.py"].count("sys.executable") == 1
