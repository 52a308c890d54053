"""Which module imports which: the rules of docs/architecture.md."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from tests.helpers.paths import ROOT

# Bottom first; a room imports only those before it.
RUNTIME = """
_version errors results _core files terminal interrupts json_text processors text tokenizer options sampling
sampler constraints model_file engine onnxruntime controls model saved score baselines temperatures
surprise_page corpus embed bench web server cli
"""
TRAINING = """
errors _core config chart progress dataset networks_torch export_torch learner_torch evaluate folder page
train quantize teach compare cli
"""
ROOMS = {"textgen_runtime": RUNTIME.split(), "textgen_train": TRAINING.split()}
FOLDERS = {"textgen_runtime": ROOT / "runtime", "textgen_train": ROOT / "train"}
# What the training commands share with the runtime's.
SHARED_CLI = ("textgen_runtime.cli.parser", "textgen_runtime.cli.command")
# An import or cimport statement of Cython, with its names in parentheses or on one line.
CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+[\w.]+[ \t]+)?c?import\b[ \t]*(?:\([^)]*\)|[^\n(]+)", re.MULTILINE
)


class Import(NamedTuple):
    """One imported name, absolute: a module, or a name in one."""

    by: str
    name: str

    def __str__(self) -> str:
        return f"{self.by} imports {self.name}"


def imports_of(path: Path, module: str) -> Iterator[Import]:
    """What a file imports, in functions too, but not only for type checkers."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in {".pyx", ".pxd"}:
        found = CYTHON_IMPORT.findall(text)
        text = "\n".join(re.sub(r"\bcimport\b", "import", statement.strip()) for statement in found)
    package = module.split(".")[: None if path.stem == "__init__" else -1]
    tree = ast.parse(text)
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (Import(module, f"{source}.{alias.name}") for alias in node.names)


def files() -> Iterator[tuple[str, Path]]:
    """Each file of the packages, with the name of its module."""
    for package, folder in FOLDERS.items():
        for path in sorted((folder / package).rglob("*")):
            if path.suffix in {".py", ".pyi", ".pyx", ".pxd"}:
                yield ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"), path


FILES = list(files())
MODULES = {name for name, _ in FILES}
PACKAGES = {name for name, path in FILES if path.stem == "__init__"}
IMPORTS = [found for name, path in FILES for found in imports_of(path, name)]


def room_of(name: str) -> tuple[str, str] | None:
    """Package and room of a module or of a name in one. None for the facade and other projects."""
    package, room = (*name.split("."), "")[:2]
    return (package, room) if f"{package}.{room}" in MODULES and room != "__main__" else None


STARTS_PROCESSES = re.compile(
    r"\b(?:subprocess|multiprocessing|pty|sys\.executable|create_subprocess_\w+|\w*ProcessPoolExecutor)\b"
    r"|\bos\.(?:system|popen|fork|startfile|exec|spawn|posix_spawn)"
)


def test_only_one_function_starts_processes() -> None:
    """They must not import from the working directory."""
    uses = {name: STARTS_PROCESSES.findall(path.read_text(encoding="utf-8")) for name, path in FILES}
    assert [name for name, found in uses.items() if found] == ["textgen_runtime.cli.bench"]
    assert uses["textgen_runtime.cli.bench"].count("sys.executable") == 1


def test_every_module_is_in_a_room() -> None:
    assert {room_of(name) for name in MODULES} - {None} == {
        (package, room) for package, rooms in ROOMS.items() for room in rooms
    }


def test_no_room_imports_a_room_above_it() -> None:
    upward = []
    for found in IMPORTS:
        here, there = room_of(found.by), room_of(found.name)
        if here and there and here[0] == there[0]:
            rooms = ROOMS[here[0]]
            if rooms.index(here[1]) < rooms.index(there[1]):
                upward.append(str(found))
        elif here and found.name.partition(".")[0] == here[0]:
            # The facade is above all.
            upward.append(str(found))
    assert upward == []


def test_no_room_imports_private_names_of_another() -> None:
    """An underscore means private to the package, that is the folder, which holds the module or name."""
    private = []
    for found in IMPORTS:
        parts = found.name.split(".")
        for i, part in enumerate(parts):
            if parts[0] in ROOMS and part.startswith("_") and not part.startswith("__"):
                module = ".".join(parts[:i])
                # A module keeps its private names to its folder.
                holder = module if module in PACKAGES else module.rpartition(".")[0]
                if not f"{found.by}.".startswith(f"{holder}."):
                    private.append(str(found))
    assert private == []


def test_no_module_imports_another_in_a_circle() -> None:
    graph = TopologicalSorter[str]()
    for found in IMPORTS:
        # A name in a module, or the module itself.
        graph.add(found.by, *({found.name, found.name.rpartition(".")[0]} & MODULES - {*ROOMS}))
    graph.prepare()


def test_the_runtime_needs_no_training_and_training_no_command_of_the_runtime() -> None:
    wrong = []
    for found in IMPORTS:
        if found.by.startswith("textgen_runtime"):
            is_wrong = found.name.partition(".")[0] in ("textgen_train", "torch", "onnx")
        else:
            is_wrong = found.name.startswith("textgen_runtime.cli") and not found.name.startswith(SHARED_CLI)
        wrong += [str(found)] * is_wrong
    assert wrong == []
