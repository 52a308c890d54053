"""Imports of the packages: their dependencies, their duration and their side effects."""

import importlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import textgen_runtime as textgen

from tests.helpers.paths import ROOT, TINY
from tests.helpers.programs import run_python

GENERATE = """
import sys, textgen_runtime as textgen
before = set(sys.modules)
model = textgen.load({model!r})
assert len(model.generate("abc", length=20, seed=1)) == 20
textgen.save(model.start(seed=1), {saved!r})
textgen.resume(model, {saved!r})
textgen.reweight([0.5, 0.5], 0.2)
from textgen_runtime.cli.run import main
assert main([{model!r}, "--length", "5", "--stats"]) == 0
"""


def test_generating_text_imports_neither_torch_nor_onnx(tiny_path: Path, tmp_path: Path) -> None:
    program = GENERATE.format(model=str(tiny_path), saved=str(tmp_path / "saved"))
    check = "print([name for name in ('torch', 'onnx', 'textgen_train') if name in sys.modules])"
    assert run_python(program + check).splitlines()[-1] == "[]"


@pytest.mark.parametrize("package", ["textgen_train", "textgen_train.cli.train", "textgen_train.cli.compare"])
def test_importing_the_training_package_imports_no_heavy_module(package: str) -> None:
    heavy = "('onnxruntime', 'torch', 'onnx', 'matplotlib', 'tqdm')"
    program = f"import sys, {package}; print([name for name in {heavy} if name in sys.modules])"
    assert run_python(program).strip() == "[]"


# Importing one of these, or what they import, takes longer than generating a short text.
HEAVY = {
    "numpy",
    "google",
    "onnxruntime",
    "dataclasses",
    "inspect",
    "pathlib",
    "hashlib",
    "unicodedata",
    "secrets",
    "random",
    "shutil",
    "tempfile",
    "threading",
    "concurrent",
    "subprocess",
    "zipfile",
    "logging",
}


def imported_by(program: str) -> set[str]:
    """Return the top-level modules that a program imports, in an interpreter without site packages."""
    paths = [str(ROOT / "runtime"), str(Path(np.__file__).parent.parent)]
    code = (
        f"import sys; sys.path[:0] = {paths!r}\n{program}\n"
        "sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    return set(done.stderr.split())


def test_importing_the_runtime_imports_no_numpy() -> None:
    assert not imported_by("import textgen_runtime") & HEAVY
    assert not imported_by("from textgen_runtime import Sampler, load, bundled_models, TextgenError") & HEAVY
    # The check detects an import of numpy.
    assert "numpy" in imported_by("import textgen_runtime as t; t.softmax([1.0])") & HEAVY


def test_generating_imports_no_numpy(tiny_path: Path) -> None:
    """With the native engine, in a program and in the command."""
    program = (
        f"import textgen_runtime as t; m = t.load({str(tiny_path)!r})\n"
        "assert len(m.generate('abc', length=300, seed=1)) == 300\n"
        "assert len(m.generate(['abc', 'dad'], length=9, seed=1)) == 2\n"
        "assert len(list(m.stream('abc', length=300, temperature=1.2))) > 1\n"
        "g = m.start('abc'); g.take(5); g.feed('dad'); g.copy().take(5)"
    )
    assert not imported_by(program) & HEAVY
    command = (
        "sys.argv = ['textgen-run', {model!r}, '--prompt', 'abc', '--length', '300', '--count', '2', "
        "'--temp', '0', '1', '--seed', '1', '--stats']\n"
        "import textgen_launcher; assert textgen_launcher.run() == 0"
    )
    assert not imported_by(command.format(model=str(tiny_path))) & HEAVY
    for name in ("nietzsche", "nietzsche-float32"):
        assert not imported_by(command.format(model=name)) & HEAVY


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("evaluate", ["--help"]),
        ("train", ["--help"]),
        # These import numpy later.
        ("run", [str(TINY), "--explain"]),
        ("serve", [str(TINY), "--port", "0"]),
    ],
)
def test_a_command_that_needs_numpy_says_so_in_one_line(function: str, arguments: list[str]) -> None:
    prog = {"evaluate": "textgen-eval"}.get(function, f"textgen-{function}")
    program = (
        f"import sys; sys.modules['numpy'] = None; sys.argv = {[prog, *arguments]!r}\n"
        f"import textgen_launcher; sys.exit(textgen_launcher.{function}())"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    reason = "import of numpy halted; None in sys.modules"
    assert done.stderr == (
        f"{prog}: error: cannot import numpy ({reason}): pip install --force-reinstall numpy\n"
    )


def test_a_command_says_in_one_line_why_numpy_cannot_be_imported(tmp_path: Path) -> None:
    """It comes after a page of advice by numpy."""
    (tmp_path / "numpy.py").write_text(
        "try:\n    raise ImportError('libopenblas.so: cannot open')\n"
        "except ImportError as error:\n    raise ImportError('IMPORTANT\\nabout numpy\\n') from error\n",
        encoding="utf-8",
    )
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import textgen_launcher; sys.exit(textgen_launcher.evaluate())"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert done.stderr == (
        "textgen-eval: error: cannot import numpy (libopenblas.so: cannot open): "
        "pip install --force-reinstall numpy\n"
    )


def test_drawing_from_a_buffer_imports_no_numpy() -> None:
    program = (
        "from array import array; from textgen_runtime import Sampler\n"
        "for kind in 'fd':\n"
        "    logits = array(kind, [0, 1, 2])\n"
        "    assert Sampler(0.0).draw(logits) == Sampler(0.0).draw(memoryview(logits)) == 2"
    )
    assert not imported_by(program) & HEAVY


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(textgen, name) is not None for name in textgen.__all__)
    assert set(textgen.__all__) <= set(dir(textgen))
    with pytest.raises(AttributeError, match="module 'textgen_runtime' has no attribute 'nothing'"):
        textgen.nothing  # noqa: B018
    # The name is the function, even if its module was imported first.
    run_python(
        "import textgen_runtime.model_file, textgen_runtime as t\nassert 'nietzsche' in t.bundled_models()"
    )
    names = json.loads(run_python("import json; from textgen_runtime import *; print(json.dumps(dir()))"))
    assert set(textgen.__all__) <= set(names)


def test_the_launcher_imports_nothing_else() -> None:
    """No import may precede its change of the interrupt handler."""
    program = "import sys; before = {*sys.modules}; import textgen_launcher; print({*sys.modules} - before)"
    assert run_python(program).strip() in ("{'textgen_launcher'}", "{'textgen_launcher', '_signal'}")


LAYERS = """
import sys
from textgen_runtime import corpus
assert not [name for name in sys.modules if name.startswith(("textgen_train", "textgen_runtime.cli"))]
import textgen_train
assert textgen_train.read_corpus is corpus.read_corpus
from textgen_runtime import CorpusError
from textgen_train.errors import CorpusError as also
assert textgen_train.CorpusError is also is CorpusError
"""


def test_corpora_are_read_by_the_runtime_without_training_or_cli() -> None:
    run_python(LAYERS)


def test_every_public_name_of_training_can_be_imported() -> None:
    run_python("import textgen_train as t; assert all(getattr(t, name) for name in t.__all__)")
    run_python("import textgen_train as t; assert not hasattr(t, 'nothing')")


def test_importing_changes_no_global_state() -> None:
    run_python(
        # numpy adds warning filters when it is imported.
        "import os, warnings, numpy, numpy.random, onnxruntime\n"
        "environment, filters = dict(os.environ), list(warnings.filters)\n"
        "import textgen_runtime, textgen_runtime.onnxruntime, textgen_train\n"
        "assert dict(os.environ) == environment and warnings.filters == filters"
    )


@pytest.mark.parametrize(
    ("package", "command"), [("textgen_runtime", "textgen-run"), ("textgen_train", "textgen-train")]
)
def test_python_m_runs_the_command_of_a_package(package: str, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", package, "--version"], check=True, capture_output=True, encoding="utf-8"
    )
    assert done.stdout == f"{command} {textgen.__version__}\n"


@pytest.mark.parametrize("package", ["textgen_runtime", "textgen_train"])
def test_every_lazy_name_has_a_module(package: str) -> None:
    """The table of lazily imported names agrees with ``__all__``."""
    module = importlib.import_module(package)
    eager = {name for name in module.__all__ if name in vars(module) and name not in module._LAZY_MODULES}
    assert set(module.__all__) == {*module._LAZY_MODULES, *eager}


def test_a_command_of_a_free_threaded_interpreter_does_not_warn_about_the_gil() -> None:
    warning = "The global interpreter lock (GIL) has been enabled to load module 'a', which has not declared"
    program = (
        "import sys, types, warnings; sys._is_gil_enabled = lambda: False; import textgen_launcher\n"
        "command = sys.modules['command'] = types.ModuleType('command')\n"
        f"command.main = lambda: warnings.warn({warning!r}, RuntimeWarning) or warnings.warn('b') or 0\n"
        "sys.exit(textgen_launcher._run_command('textgen-run', 'command'))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 0
    assert re.findall(r"\w+Warning: .*", done.stderr) == ["UserWarning: b"]


@pytest.mark.parametrize(
    ("program", "start"),
    [
        ("import textgen_launcher; textgen_launcher.run()", "textgen-run: error: "),
        ("import sys; sys.tracebacklimit = 0; import textgen_runtime", "ImportError: "),
    ],
    ids=["command", "library"],
)
def test_a_package_in_an_archive_says_what_to_do(tmp_path: Path, program: str, start: str) -> None:
    archive = tmp_path / "app.pyz"
    files = ("textgen_launcher", *(f"textgen_runtime/{name}" for name in ("__init__", "_version", "errors")))
    with zipfile.ZipFile(archive, "w") as packed:
        for name in files:
            packed.write(ROOT / "runtime" / f"{name}.py", f"{name}.py")
        packed.writestr("__main__.py", program)
    done = subprocess.run([sys.executable, archive], check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"{start}Python loads no compiled module from the archive {archive}: unpack"
    )
    assert done.stderr.count("\n") == 1
