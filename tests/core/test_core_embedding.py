"""What ``textgen-embed`` writes, compiled with plain compilers and for other systems, and run."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from textgen_runtime.cli.embed import main

from tests.core.conftest import PROMPT
from tests.core.test_core_builds import exported, needs_nm
from tests.helpers.c_programs import COMPILERS, EMULATOR, PLAIN, SEVERAL, Build, emulated, run
from tests.helpers.paths import ROOT

WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Werror")
EXAMPLE = ROOT / "examples" / "embedded.c"
DOCUMENT = ROOT / "docs" / "c.md"
PUBLIC_HEADER = ROOT / "runtime" / "core" / "textgen.h"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the bundled model, and with a program that uses them."""
    made = tmp_path_factory.mktemp("embedded")
    assert main(["nietzsche", "-o", str(made)]) == 0
    (made / "main.c").write_bytes(EXAMPLE.read_bytes())
    return made


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the core, the trainer, and a program that learns a list."""
    made = tmp_path_factory.mktemp("learner")
    assert main(["--trainer", "-o", str(made)]) == 0
    (made / "learn.c").write_bytes((ROOT / "examples" / "learn.c").read_bytes())
    return made


def compile_all(folder: Path, *command: str, output: Path) -> Path:
    """Compile all files of a folder, as ``cc *.c`` does."""
    sources = sorted(str(path) for path in folder.glob("*.c"))
    run(*command, *WARNINGS, *sources, "-lm", "-o", output)
    return emulated(output)


push = pytest.mark.tier("push")


# In `make test`, the tutorials compile the files without flags. In an emulator, a program without
# optimization takes a minute.
@pytest.mark.parametrize(
    "flags",
    [
        pytest.param("-O1" if EMULATOR else "", marks=() if SEVERAL else push),
        pytest.param("-O2 -std=c11 -Wpedantic -DTEXTGEN_NO_HEAP", marks=push),
    ],
)
@pytest.mark.parametrize("build", PLAIN, ids=str)
def test_a_plain_compiler_compiles_the_files(
    build: Build, flags: str, folder: Path, tmp_path: Path, bundled_text: str
) -> None:
    command, output = [*shlex.split(build.compiler), *flags.split()], tmp_path / "program"
    if build.is_big_endian:
        with pytest.raises(AssertionError, match="This array is for little-endian processors"):
            compile_all(folder, *command, output=output)
        return
    program = compile_all(folder, *command, output=output)
    # The standard output of Windows has other line ends.
    assert run(program).replace("\r\n", "\n").startswith(bundled_text)


@pytest.mark.parametrize("build", PLAIN, ids=str)
def test_the_file_with_the_trainer_learns_a_list(build: Build, learner: Path, tmp_path: Path) -> None:
    program, names = tmp_path / "learn", tmp_path / "list"
    compile_all(learner, *shlex.split(build.compiler), "-O1", "-pthread", output=program)
    endings = ("ana", "eno", "iri")
    names.write_text("".join(f"{first}{last}\n" for first in "bdfgkl" for last in endings * 20))
    made = subprocess.run([program, names, "100"], capture_output=True, text=True, check=True).stdout
    assert sum(name[1:4] in endings for name in made.splitlines()) >= 8, made
    assert " (in the list)" in made


@pytest.mark.skipif(not shutil.which("tcc") or bool(EMULATOR), reason="it needs TinyCC")
def test_a_small_compiler_compiles_the_files(folder: Path, tmp_path: Path, bundled_text: str) -> None:
    """TinyCC has no vectors, and no attributes but those of C11."""
    program = compile_all(folder, "tcc", "-DTEXTGEN_NO_HEAP", output=tmp_path / "program")
    assert run(program).startswith(bundled_text)


@needs_nm
@pytest.mark.parametrize("build", PLAIN, ids=str)
def test_the_source_needs_no_heap_and_exports_the_header_alone(
    build: Build, folder: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library.so"
    # Without optimization, ziglang adds checks that allocate, and gcc takes half of the time.
    flags = (
        "-O1" if "ziglang" in build.compiler else "-O0",
        "-shared",
        "-fPIC",
        "-DTEXTGEN_NO_HEAP",
        *WARNINGS,
    )
    run(*shlex.split(build.compiler), *flags, folder / "textgen.c", "-o", library)
    declared = PUBLIC_HEADER.read_text(encoding="utf-8")
    assert all(f"{name}(" in declared for name in exported(library))
    undefined = run("nm", "-D", "--undefined-only", library).split()
    assert not {"malloc", "calloc", "realloc", "free"} & {name.split("@")[0] for name in undefined}


@pytest.mark.tier("release")
@pytest.mark.several_compilers
@pytest.mark.parametrize("target", ["wasm32-wasi", "x86_64-windows-gnu", "aarch64-macos", "x86_64-macos"])
def test_the_files_are_built_for_other_systems(
    target: str, folder: Path, learner: Path, tmp_path: Path
) -> None:
    """The programs are linked, and cannot be run here."""
    (compiler,) = [compiler for compiler in COMPILERS if "ziglang" in compiler]
    program = tmp_path / "program"
    command = [*shlex.split(compiler), "-O2", "-target", target]
    for made in (folder, learner):
        assert compile_all(made, *command, output=program).stat().st_size > 0


# What the parts of programs in the documentation do not declare.
DECLARATIONS = """
char text[256], data[256], corpus[256];
textgen_error error;
textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
textgen_memory memory = {data, sizeof data}, workspace = memory, heap = {NULL, 0};
textgen_model *model = NULL;
textgen_stream *stream = NULL;
size_t size = sizeof text, corpus_size = sizeof corpus, data_size = sizeof data, length = 9, written, count;
"""


def test_the_documented_programs_compile(folder: Path, tmp_path: Path, quick_compiler: Path) -> None:
    """The complete one is that of a tutorial, which another test runs. The others are parts of one."""
    texts = re.findall(r"^```c\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    parts = [text for text in texts if "int main(" not in text]
    source = tmp_path / "program.c"
    includes = '#include "textgen.h"\n#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\n'
    source.write_text(f"{includes}void use(void) {{{DECLARATIONS}{''.join(parts)}}}\n")
    command = [str(quick_compiler), *WARNINGS, "-Wno-unused", f"-I{folder}"]
    run(*command, "-c", source, "-o", tmp_path / "parts.o")
    assert len(parts) > 4


def test_the_example_says_how_it_is_built(folder: Path, tmp_path: Path, quick_compiler: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    lines = [line.removeprefix(" *     ") for line in text.splitlines() if line.startswith(" *     ")]
    assert lines[0] == "textgen-embed nietzsche -o gen"
    script = (
        lines[1]
        .replace("cc ", f"{quick_compiler} ")
        .replace("-Igen", f"-I{folder}")
        .replace(" gen/", f" {folder}/")
        .replace("-o embedded", f"-o {tmp_path}/embedded")
    )
    subprocess.run(script, shell=True, cwd=ROOT, check=True)  # noqa: S602
    written = run(tmp_path / "embedded")
    command = [str(Path(sys.executable).parent / "textgen-run"), "nietzsche", "--prompt", PROMPT]
    options = ["--seed", "7", "--length", "400", "--no-echo"]
    assert written == subprocess.run([*command, *options], capture_output=True, check=True).stdout.decode()
