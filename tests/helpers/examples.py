"""Running the programs in ``examples/``."""

import importlib.util
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.helpers.commands import Captured
from tests.helpers.paths import ROOT

EXAMPLES = ROOT / "examples"


def import_example(name: str) -> ModuleType:
    """Import an example without running it."""
    return import_file(EXAMPLES / f"{name}.py")


def import_file(path: Path) -> ModuleType:
    """Import a module that is no part of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_example(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured, *arguments: str | Path
) -> tuple[object, str]:
    """Run an example as a program; return its exit code or last message, and its standard output."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
    code: object = 0
    try:
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    except SystemExit as stopped:
        code = stopped.code
    return code, capsys.readouterr().out
