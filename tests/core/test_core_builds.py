"""Builds of the C core: equal results from all compilers, allowed includes and exported symbols."""

import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from textgen_runtime import _core

from tests.core.conftest import TEXT_PROGRAM, Installed
from tests.helpers.c_programs import (
    COMPILERS,
    CORE,
    EXACT,
    PLAIN,
    PROGRAMS,
    Build,
    compile_core,
    core_objects,
    link,
    run,
)
from tests.helpers.core_install import needs_make
from tests.helpers.paths import TINY

# Hashes of exp64, of log64 and of distributions after filters.
GOLDEN = {"exp64": "ca450377a2b98c1d", "log64": "6640d38c40ad74c0", "filters": "cd8c0a361f895909"}


@pytest.mark.parametrize("build", EXACT, indirect=True, ids=str)
def test_numbers_are_the_same_to_the_last_bit(build: Build, objects: Path) -> None:
    lines = run(link(build, objects, PROGRAMS / "exact.c")).splitlines()
    assert dict(line.split() for line in lines) == GOLDEN


@pytest.mark.parametrize(
    ("flag", "advice"),
    [
        ("-ffast-math", "-fno-fast-math"),
        ("-ffinite-math-only", "-fno-fast-math"),
        ("-mfpmath=387", "-mfpmath=sse"),
    ],
)
@pytest.mark.parametrize("build", PLAIN, ids=str)
def test_flags_that_change_numbers_are_refused(build: Build, flag: str, advice: str, tmp_path: Path) -> None:
    command = [
        *build.command,
        "-Wno-deprecated",
        "-c",
        str(CORE / "exp.c"),
        "-o",
        str(tmp_path / "exp.o"),
    ]
    assert not subprocess.run(command, capture_output=True, check=False).returncode
    if flag == "-mfpmath=387":
        version = subprocess.run([*build.command, "--version"], capture_output=True, check=True).stdout
        if b"clang" in version or platform.machine() != "x86_64":
            pytest.skip("only gcc has the flag, on x86-64 alone")
    finished = subprocess.run([*command, flag], capture_output=True, check=False)
    assert finished.returncode
    assert advice in finished.stderr.decode()


needs_nm = pytest.mark.skipif(
    not shutil.which("nm") or sys.platform != "linux", reason="it reads ELF files with nm"
)

# What the core may need of the C library; and what compilers put in on their own.
ALLOCATION = {"calloc", "free", "madvise"}
BYTES = {"memchr", "memcmp", "memcpy", "memmove", "memset", "strchr", "strcmp", "strcspn", "strlen"}
LIBRARY = ALLOCATION | BYTES | {"snprintf", "timespec_get", "vsnprintf"}
WRITABLE = (".data", ".bss", ".tdata", ".tbss", "*COM*")
COMPILERS_OWN = {"_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail", "bcmp"}


@needs_nm
@pytest.mark.parametrize("build", PLAIN, indirect=True, ids=str)
def test_symbols_are_prefixed_and_nothing_is_writable(objects: Path) -> None:
    lines = run("nm", "--format=sysv", *core_objects(objects)).splitlines()
    symbols = [[word.strip() for word in line.split("|")] for line in lines if line.count("|") == 6]
    external = {name for name, _, kind, *_ in symbols if kind.isupper() and kind != "U"}
    assert "textgen_generate" in external
    assert not {name for name in external if not name.startswith("textgen_")}
    # .data.rel.ro holds constants with addresses in them, which only the loader writes.
    sections = {section for *_, section in symbols if not section.startswith(".data.rel.ro")}
    assert not {section for section in sections if section.startswith(WRITABLE)}
    assert {name for name, _, kind, *_ in symbols if kind == "U"} - external <= LIBRARY | COMPILERS_OWN


def exported(library: Path) -> set[str]:
    """The functions that a shared library offers, but for what every one has."""
    names = {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()}
    return names - {"_init", "_fini"}


@needs_nm
@needs_make
def test_a_shared_library_exports_the_headers_alone(installed: Installed) -> None:
    folder = installed.prefix / "include"
    headers = "".join((folder / name).read_text("utf-8") for name in ("textgen.h", "textgen_train.h"))
    declared = set(re.findall(r"^TEXTGEN_API [^(]*\b(textgen_\w+)\(", headers, re.MULTILINE))
    assert exported(installed.prefix / "lib" / "libtextgen.so") == declared


@needs_nm
def test_the_extension_exports_nothing_of_the_core() -> None:
    assert exported(Path(_core.__file__)) == {"PyInit__core"}


@pytest.mark.parametrize("build", PLAIN, indirect=True, ids=str)
def test_the_header_is_cpp_as_well(build: Build, objects: Path, tmp_path: Path) -> None:
    words = shlex.split(build.compiler)
    words[-1] = {"cc": "c++", "gcc": "g++", "clang": "clang++"}.get(words[-1], words[-1] + "++")
    if not shutil.which(words[0]):
        pytest.skip(f"there is no {words[0]}")
    program = tmp_path / "header"
    warnings = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    run(*words, *warnings, f"-I{CORE}", "-c", PROGRAMS / "header.cpp", "-o", tmp_path / "header.o")
    # ziglang would compile the library of C++ first, which the program does not need.
    run(*shlex.split(build.compiler), tmp_path / "header.o", *core_objects(objects), "-o", program)
    run(program)


@pytest.mark.tier("push")
@pytest.mark.parametrize("build", PLAIN, ids=str)
def test_the_small_core_is_the_same_for_one_lane(build: Build) -> None:
    small, whole = (compile_core(build, *flags) for flags in (["-DTEXTGEN_SMALL"], []))
    run(link(build, small, PROGRAMS / "models.c"), TINY, "1", "240", "abc", "small")
    words = ["prompt", "abc", "length", "300", "seed", "7", "temperature", "1.2"]
    texts = [run(link(build, objects, TEXT_PROGRAM), TINY, *words) for objects in (small, whole)]
    assert texts[0] == texts[1]


@pytest.mark.tier("release")
@pytest.mark.several_compilers
@pytest.mark.parametrize(
    "target", ["aarch64-linux-musl", "wasm32-wasi", "x86_64-windows-gnu", "aarch64-macos"]
)
def test_the_core_compiles_for_other_systems(target: str) -> None:
    (compiler,) = [compiler for compiler in COMPILERS if "ziglang" in compiler]
    compile_core(Build(compiler, "plain"), "-target", target)


# The options for a processor, and its instructions for products and for fused multiply-adds.
PRODUCTS = {
    "ARM64": ("aarch64-linux-musl", "fmul", r"\b(?:fmla|fmls|fn?madd|fn?msub)\b"),
    "WebAssembly": ("wasm32-wasi -mcpu=baseline+simd128+relaxed_simd", ".mul", r"\brelaxed_n?madd\b"),
}


@pytest.mark.tier("release")
@pytest.mark.several_compilers
@pytest.mark.parametrize("source", ["exp", "sampler"])
@pytest.mark.parametrize("variant", ["contracted", "plain C"])
@pytest.mark.parametrize("processor", PRODUCTS)
def test_no_addition_is_fused_on_other_processors(
    processor: str, variant: str, source: str, tmp_path: Path
) -> None:
    """This machine cannot run the code, but fused instructions can be seen in it."""
    (compiler,) = [compiler for compiler in COMPILERS if "ziglang" in compiler]
    flags = [flag for flag in Build(compiler, variant).command if flag != "-march=native"]
    target, product, fused = PRODUCTS[processor]
    assembly = tmp_path / f"{source}.s"
    command = [*flags, "-target", *target.split(), "-S", str(CORE / f"{source}.c"), "-o", str(assembly)]
    subprocess.run(command, capture_output=True, check=True)
    code = assembly.read_text(encoding="utf-8", errors="replace")
    assert product in code
    assert not re.findall(fused, code)
