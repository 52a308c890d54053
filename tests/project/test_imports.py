"""Imports of the packages: their dependencies, their duration and their side effects."""

import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import textgen_runtime as textgen

from tests.helpers.paths import FORMAT_2, ROOT, TINY
from tests.helpers.programs import run_python

# Importing one of these, or what they import, takes longer than generating a short text.
HEAVY = {
    *("numpy", "google", "onnxruntime", "dataclasses", "pathlib", "hashlib", "unicodedata", "logging"),
    *("secrets", "random", "shutil", "tempfile", "threading", "concurrent", "subprocess", "zipfile"),
    # From CPython 3.12 on, modules of Cython for the stable ABI import it.
    *(["inspect"] if sys.version_info < (3, 12) else []),
}
RUN = (
    "import sys; sys.argv = ['textgen-run', {model!r}, '--prompt', 'abc', '--length', '300', '--count', '2', "
    "'--temp', '0', '1', '--seed', '1', '--stats']\n"
    "import textgen_launcher; assert textgen_launcher.run() == 0"
)
LIGHT = {
    "import": "from textgen_runtime import Sampler, load, bundled_models, TextgenError",
    "generate": (
        "import textgen_runtime as t; m = t.load({model!r})\n"
        "assert len(m.generate('abc', length=300, seed=1)) == 300\n"
        "assert len(m.generate(['abc', 'dad'], length=9, seed=1)) == 2\n"
        "assert len(list(m.stream('abc', length=300, temperature=1.2))) > 1\n"
        "g = m.start('abc'); g.take(5); g.feed('dad'); g.copy().take(5)"
    ),
    "draw": (
        "from array import array; from textgen_runtime import Sampler\n"
        "for kind in 'fd':\n"
        "    logits = array(kind, [0, 1, 2])\n"
        "    assert Sampler(0.0).draw(logits) == Sampler(0.0).draw(memoryview(logits)) == 2"
    ),
    "command": RUN,
    "bundled model": RUN.replace("{model!r}", "'nietzsche'"),
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


@pytest.mark.parametrize("program", LIGHT.values(), ids=LIGHT)
def test_generating_with_the_native_engine_imports_no_heavy_module(program: str) -> None:
    assert not imported_by(program.format(model=str(TINY))) & HEAVY


# Programs with the modules that they must not import. FOLDER is a folder of the test.
NOT_IMPORTED = {
    "library": (
        (
            f"import textgen_runtime as textgen; model = textgen.load({str(TINY)!r})\n"
            "textgen.save(model.start(seed=1), 'FOLDER/saved'); textgen.resume(model, 'FOLDER/saved')\n"
            "textgen.reweight([0.5, 0.5], 0.2)"
        ),
        {"torch", "onnx", "textgen_train"},
    ),
    "embed": (
        f"from textgen_runtime.cli.embed import main; assert main([{str(TINY)!r}, '-o', 'FOLDER']) == 0",
        {"numpy", "torch", "onnx", "onnxruntime"},
    ),
    # Of a network that only onnxruntime runs, too.
    "info": (
        (
            "from textgen_runtime.cli.info import main\n"
            f"assert main([{str(TINY)!r}]) == main([{str(FORMAT_2 / 'gru.onnx')!r}]) == 0"
        ),
        {"torch", "onnx", "onnxruntime"},
    ),
    **{
        name: (f"import {name}", {"numpy", "onnxruntime", "torch", "onnx", "matplotlib", "tqdm"})
        for name in ("textgen_train", "textgen_train.cli", "textgen_train.compare")
    },
}


@pytest.mark.parametrize(("program", "heavy"), NOT_IMPORTED.values(), ids=NOT_IMPORTED)
def test_what_a_program_does_not_need_is_not_imported(program: str, heavy: set[str], tmp_path: Path) -> None:
    program = program.replace("FOLDER", str(tmp_path))
    assert run_python(f"{program}\nimport sys; print({heavy!r} & {{*sys.modules}})").endswith("set()\n")


@pytest.mark.parametrize(
    ("function", "arguments"),
    # The last imports numpy later.
    [("evaluate", ["--help"]), ("run", [str(TINY), "--explain"])],
)
def test_a_command_that_needs_numpy_says_so_in_one_line(
    tmp_path: Path, function: str, arguments: list[str]
) -> None:
    """A library on which numpy depends is missing. Then numpy prints a page of advice."""
    (tmp_path / "numpy.py").write_text(
        "try:\n    raise ImportError('libopenblas.so: cannot open')\n"
        "except ImportError as error:\n    raise ImportError('IMPORTANT\\nabout numpy\\n') from error\n",
        encoding="utf-8",
    )
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = {['textgen', *arguments]!r}\n"
        f"import textgen_launcher; sys.exit(textgen_launcher.{function}())"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "error: cannot import numpy (" in done.stderr
    assert "libopenblas.so" in done.stderr


@pytest.mark.parametrize("package", ["textgen_runtime", "textgen_train"])
def test_every_public_name_can_be_imported(package: str) -> None:
    """The table of lazily imported names agrees with ``__all__``."""
    module = importlib.import_module(package)
    assert all(getattr(module, name) is not None for name in module.__all__)
    assert {*module._LAZY_MODULES} <= {*module.__all__}
    assert not hasattr(module, "nothing")


def test_a_public_name_is_the_function_even_if_its_module_was_imported_first() -> None:
    run_python(
        "import textgen_runtime.model_file, textgen_runtime as t\nassert 'nietzsche' in t.bundled_models()\n"
        "assert set(t.__all__) <= set(dir(t))"
    )


def test_the_launcher_imports_nothing_else() -> None:
    """No import may precede its change of the interrupt handler."""
    program = "import sys; before = {*sys.modules}; import textgen_launcher; print({*sys.modules} - before)"
    assert run_python(program).strip() in ("{'textgen_launcher'}", "{'textgen_launcher', '_signal'}")


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
    assert "UserWarning: b" in done.stderr
    assert "GIL" not in done.stderr


@pytest.mark.parametrize(
    "program",
    [
        "import textgen_launcher; textgen_launcher.run()",
        "import sys; sys.tracebacklimit = 0; import textgen_runtime",
    ],
    ids=["command", "library"],
)
def test_a_package_in_an_archive_names_the_archive_in_one_line(tmp_path: Path, program: str) -> None:
    archive = tmp_path / "app.pyz"
    files = ("textgen_launcher", *(f"textgen_runtime/{name}" for name in ("__init__", "_version", "errors")))
    with zipfile.ZipFile(archive, "w") as packed:
        for name in files:
            packed.write(ROOT / "runtime" / f"{name}.py", f"{name}.py")
        packed.writestr("__main__.py", program)
    done = subprocess.run([sys.executable, archive], check=False, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert str(archive) in done.stderr
