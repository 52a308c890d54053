"""Which module imports which: the rules of docs/architecture.md."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {"textgen_runtime": ROOT / "runtime", "textgen_train": ROOT / "train"}

# Bottom first; a room imports only those before it.
ROOMS = {
    "textgen_runtime": [
        "errors",
        "results",
        "_core",
        "files",
        "terminal",
        "interrupts",
        "json_text",
        "processors",
        "text",
        "tokenizer",
        "options",
        "sampling",
        "sampler",
        "constraints",
        "model_file",
        "engine",
        "onnxruntime",
        "controls",
        "model",
        "saved",
        "score",
        "baselines",
        "temperatures",
        "surprise_page",
        "corpus",
        "embed",
        "bench",
        "web",
        "server",
        "cli",
    ],
    "textgen_train": [
        "errors",
        "parameters",
        "recipe",
        "presets",
        "options",
        "data",
        "models",
        "optim",
        "export",
        "loop",
        "report",
        "cli",
    ],
}
# Constants that any room may import, and the modules that may import every room.
BOTTOM, TOP = {"_version"}, {"__init__", "__main__"}

COMMANDS = {
    *(f"textgen_runtime.cli.{name}" for name in ("run", "eval", "info", "bench", "serve", "web", "embed")),
    *(f"textgen_train.cli.{name}" for name in ("train", "compare", "quantize")),
}
# What the training commands share with the runtime's.
SHARED_CLI = {"textgen_runtime.cli.parser", "textgen_runtime.cli.command"}

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


def statements(path: Path) -> Iterator[ast.stmt]:
    """All import statements of a file, those in functions and for type checkers too."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in {".pyx", ".pxd"}:
        found = [re.sub(r"\bcimport\b", "import", found.strip()) for found in CYTHON_IMPORT.findall(text)]
        text = "\n".join(found)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node


def imports_of(path: Path, module: str) -> Iterator[Import]:
    """What a file imports."""
    package = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
    for node in statements(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(module, f"{source}.{alias.name}")


def modules() -> dict[str, list[Path]]:
    """The files of each module: a compiled one has several."""
    found: dict[str, list[Path]] = {}
    for package, folder in SOURCES.items():
        for path in sorted((folder / package).rglob("*")):
            if path.suffix in {".py", ".pyi", ".pyx", ".pxd"}:
                parts = path.relative_to(folder).with_suffix("").parts
                name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                found.setdefault(name, []).append(path)
    return found


MODULES = modules()
IMPORTS = [found for name, paths in MODULES.items() for path in paths for found in imports_of(path, name)]


def room_of(name: str) -> tuple[str, str] | None:
    """Package and room of a module or a name in one; None for other projects."""
    package, _, rest = name.partition(".")
    if package not in ROOMS:
        return None
    room = rest.partition(".")[0]
    # A name of the facade is not a module.
    is_module = any(module == f"{package}.{room}" for module in MODULES) or any(
        module.startswith(f"{package}.{room}.") for module in MODULES
    )
    return package, room if is_module else "__init__"


def level(package: str, room: str) -> int:
    """The height of a room; that of the facade is above all."""
    if room in BOTTOM:
        return -1
    return len(ROOMS[package]) if room in TOP else ROOMS[package].index(room)


def test_the_imports_are_found() -> None:
    """Relative and absolute ones, of Python and of Cython, within functions and for type checkers."""
    for by, name in [
        ("textgen_runtime.engine", "textgen_runtime._core.CoreModel"),
        ("textgen_runtime.controls", "textgen_runtime.constraints.compile_constraint"),
        ("textgen_runtime._core", "textgen_runtime.results.Parameter"),
        ("textgen_runtime.sampler", "textgen_runtime._core.textgen_softmax"),
        ("textgen_train.loop.learner", "torch.Tensor"),
    ]:
        assert Import(by, name) in IMPORTS


@pytest.mark.parametrize("package", ROOMS)
def test_every_module_is_in_a_room(package: str) -> None:
    found = {room_of(name) for name in MODULES if name.startswith(f"{package}.")}
    rooms = {room for place in found if place for room in place[1:]}
    assert rooms - TOP - BOTTOM == set(ROOMS[package])


def test_no_room_imports_a_room_above_it() -> None:
    upward = []
    for found in IMPORTS:
        here, there = room_of(found.by), room_of(found.name)
        if here and there and here[0] == there[0] and here != there and level(*here) <= level(*there):
            upward.append(str(found))
    assert upward == []


def test_no_room_imports_private_names_of_another() -> None:
    """An underscore means private to the package, that is the folder, which holds the module or name."""
    private = []
    for found in IMPORTS:
        parts = found.name.split(".")
        if parts[0] not in ROOMS:
            continue
        for i, part in enumerate(parts):
            if part.startswith("_") and not part.startswith("__"):
                module = ".".join(parts[:i])
                # A module keeps its private names to its folder.
                holder = module if is_package(module) else module.rpartition(".")[0]
                if not f"{found.by}.".startswith(f"{holder}."):
                    private.append(str(found))
    assert private == []


def test_no_module_imports_another_in_a_circle() -> None:
    """Neither in functions nor for type checkers."""
    graph = TopologicalSorter[str]()
    for found in IMPORTS:
        # A name in a module, or the module itself.
        names = {found.name, found.name.rpartition(".")[0]} & MODULES.keys() - {*SOURCES}
        graph.add(found.by, *names)
    graph.prepare()


def is_package(module: str) -> bool:
    """Whether a module is a folder."""
    return any(path.stem == "__init__" for path in MODULES.get(module, []))


def test_the_runtime_needs_no_training() -> None:
    above = ("textgen_train", "torch", "onnx")
    wrong = [
        str(found)
        for found in IMPORTS
        if found.by.startswith("textgen_runtime") and found.name.partition(".")[0] in above
    ]
    assert wrong == []


def test_only_commands_import_commands() -> None:
    def is_in(name: str, modules: set[str]) -> bool:
        return name in modules or name.rpartition(".")[0] in modules

    wrong = []
    for found in IMPORTS:
        by_cli = ".cli" in found.by
        if is_in(found.name, COMMANDS) and not by_cli and not found.by.endswith(".__main__"):
            wrong.append(str(found))
        # Across the packages.
        is_runtime_cli = found.name.startswith("textgen_runtime.cli")
        if is_runtime_cli and found.by.startswith("textgen_train"):
            is_allowed = found.by.startswith("textgen_train.cli") and is_in(found.name, SHARED_CLI)
            wrong += [] if is_allowed else [str(found)]
    assert wrong == []
