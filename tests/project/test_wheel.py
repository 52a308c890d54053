"""The built wheel, in an environment that contains only it and its base dependencies."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.helpers.paths import ROOT, TINY
from tests.helpers.programs import posix_only

BASE = ("numpy", "onnxruntime")
EXTENSIONS = sorted(path.relative_to(ROOT) for path in ROOT.glob("*/textgen_*/*.pyx"))


def closure(names: tuple[str, ...]) -> set[str]:
    """Return the names of distributions and of all their dependencies."""
    closed: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in closed:
            continue
        closed.add(name)
        for text in importlib.metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                pending.append(requirement.name)
    return closed


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment with the wheel, created without a network."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    paths = sysconfig.get_paths("venv", vars={"base": str(folder), "platbase": str(folder)})
    site, programs = Path(paths["purelib"]), Path(paths["scripts"])
    for name in closure(BASE):
        for file in importlib.metadata.files(name) or ():
            if ".." not in file.parts and not file.name.endswith(".pyc"):
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), target)
    python = programs / Path(sys.executable).name
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", wheel],
        check=True,
        capture_output=True,
    )
    return programs


def run(program: Path | str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(program), *arguments], capture_output=True, check=False, encoding="utf-8", cwd=cwd, env=clean
    )


def test_the_wheel_is_for_all_later_versions_of_cpython(wheel: Path) -> None:
    own = f"cp{sys.version_info.major}{sys.version_info.minor}"
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    limited = sys.version_info >= (3, 12) and not free_threaded
    expected = "cp312-abi3" if limited else f"{own}-{own}{'t' * free_threaded}"
    assert wheel.stem.split("-", 2)[2].startswith(f"{expected}-")


@pytest.mark.tier("push")
@posix_only
@pytest.mark.parametrize("source", EXTENSIONS, ids=str)
def test_the_extensions_use_only_the_limited_api(source: Path, tmp_path: Path) -> None:
    generated = tmp_path / "module.c"
    cython = (sys.executable, "-m", "cython", "-I", "runtime", "-I", "train", source, "-o", generated)
    subprocess.run(cython, cwd=ROOT, check=True)
    done = run(
        "cc",
        "-fsyntax-only",
        "-Werror=implicit-function-declaration",
        "-DPy_LIMITED_API=0x030B0000",
        f"-I{sysconfig.get_paths()['include']}",
        f"-I{ROOT / 'runtime' / 'core'}",
        f"-I{ROOT / 'train' / 'core'}",
        str(generated),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


def test_the_contents_of_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        cimported = archive.read("textgen_runtime/sampler.pxd").decode()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "textgen_launcher.py",
        "textgen_runtime",
        "textgen_train",
    }
    runtime, train = ROOT / "runtime", ROOT / "train"
    for path in EXTENSIONS:
        module = "/".join(path.with_suffix("").parts[1:])
        assert any(name.startswith(f"{module}.") and name.endswith((".so", ".pyd")) for name in names)
    assert names >= {path.relative_to(train).as_posix() for path in train.glob("textgen_train/**/*.py")}
    assert names >= {
        "textgen_runtime/py.typed",
        "textgen_runtime/_core.pyi",
        "textgen_train/_core.pyi",
        "textgen_train/page.html",
    }
    # textgen-embed writes the sources in C. The only other source is for cimport, and stands alone.
    core, trainer = runtime / "core", [*(train / "core").glob("*.[chd]*")]
    embedded = [*core.glob("*.[chd]*"), *core.glob("kernels/*.[ch]")]
    assert {name for name in names if name.endswith((".pyx", ".pxd", ".c", ".h", ".def"))} == {
        "textgen_runtime/sampler.pxd",
        *(f"textgen_runtime/core_sources/{path.relative_to(core).as_posix()}" for path in embedded),
        *(f"textgen_runtime/core_sources/train/{path.name}" for path in trainer),
    }
    assert "cdef extern" not in cimported
    assert not re.search(r"^from [.t].* cimport", cimported, re.MULTILINE)


def test_a_source_that_is_gone_does_not_stay_in_a_later_build(tmp_path: Path) -> None:
    gone = tmp_path / "textgen_runtime" / "core_sources" / "gone.c"
    gone.parent.mkdir(parents=True)
    gone.touch()
    done = run(sys.executable, "setup.py", "--quiet", "build_py", f"--build-lib={tmp_path}", cwd=ROOT)
    assert (done.returncode, gone.exists(), (gone.parent / "textgen.h").exists()) == (0, False, True)


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (("textgen-run", str(TINY), "--length", "20", "--seed", "1"), ""),
        (("textgen-run", "nietzsche", "--length", "20", "--seed", "1"), ""),
        (("textgen-eval", "nietzsche", "text.txt", "--surprise", "page.html"), "page.html"),
        (("textgen-embed", "nietzsche", "-o", "generator"), "generator/textgen.c"),
        (("textgen-web", "nietzsche", "-o", "site"), "site/index.html"),
        (("textgen-quantize", "nietzsche-float32", "-o", "small.onnx"), "small.onnx"),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_a_command_works_without_a_clone_and_the_extras(
    environment: Path, tmp_path: Path, words: tuple[str, ...], output: str
) -> None:
    outputs: list[dict[Path, bytes] | str] = []
    for program in (environment / words[0], Path(sysconfig.get_path("scripts"), words[0])):
        folder = tmp_path / str(len(outputs))
        folder.mkdir()
        (folder / "text.txt").write_text("the will to power", encoding="utf-8")
        done = run(program, *words[1:], cwd=folder)
        assert done.returncode == 0, done.stderr
        assert not output or (folder / output).is_file()
        written = [file for file in folder.rglob("*") if file.is_file()] if output else []
        outputs.append({file.relative_to(folder): file.read_bytes() for file in written} or done.stdout)
    assert outputs[0] == outputs[1]


def test_the_library_works_without_the_extras(environment: Path, tmp_path: Path) -> None:
    program = (
        "import importlib.util, textgen_runtime as textgen\n"
        "assert not importlib.util.find_spec('torch') and not importlib.util.find_spec('onnx')\n"
        f"assert {str(ROOT)!r} not in textgen.__file__\n"
        f"assert len(textgen.load({str(TINY)!r}).generate('abc', length=30)) == 30"
    )
    done = run(environment / "python", "-c", program, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_lstm_is_trained_without_the_extras_and_another_network_names_the_extra(
    environment: Path, tmp_path: Path
) -> None:
    (tmp_path / "book.txt").write_text("Do re mi fa sol la si do.\n" * 40, encoding="utf-8")
    words = ("book.txt", "--units", "8", "--epochs", "1")
    done = run(environment / "textgen-train", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "book-model" / "model.onnx").is_file()
    done = run(environment / "textgen-train", *words, "--cell", "gru", "-o", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert ".[torch]" in done.stderr
    assert not (tmp_path / "out").exists()
