"""Builds the C core and small programs on top of it, with all warnings as errors.

``make test`` builds with the C compiler that is here. ``make test-core`` names several compilers in
``TEXTGEN_CORE_COMPILERS``, and then each builds with several flags.
"""

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.paths import ROOT

CORE = ROOT / "runtime" / "core"
PROGRAMS = ROOT / "tests" / "core"
SOURCES = sorted([*CORE.glob("*.c"), *CORE.glob("kernels/*.c")])

WARNINGS = (
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wold-style-definition",
    "-Wvla",
    "-Werror",
)

FLAGS = {
    "plain": "-O2",
    "unoptimised": "-O0",
    "contracted": "-O3 -ffp-contract=fast",
    "native": "-O3 -ffp-contract=fast -march=native",
    "plain C": "-O3 -ffp-contract=fast -march=native -DTEXTGEN_PLAIN_C",
    "reassociated": "-O3 -march=native -funsafe-math-optimizations",
    "32 bits": "-O2 -target x86-linux-musl",
    "sanitized": "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all",
    "undefined": "-O1 -g -fsanitize=undefined -fno-sanitize-recover=all",
    "threads": "-O1 -g -fsanitize=thread",
}

SEVERAL = os.environ.get("TEXTGEN_CORE_COMPILERS")
COMPILERS = SEVERAL.split(",") if SEVERAL else [os.environ.get("CC", "cc")]


class Build(NamedTuple):
    """A way to compile."""

    compiler: str
    variant: str

    @property
    def command(self) -> list[str]:
        """The compiler and its flags; skips the test if the compiler is not here."""
        words = shlex.split(self.compiler)
        if not shutil.which(words[0]):
            pytest.skip(f"there is no {words[0]}")
        return [*words, *FLAGS[self.variant].split()]

    def __str__(self) -> str:
        return f"{shlex.split(self.compiler)[-1]} {self.variant}"


def variants(compiler: str) -> list[str]:
    """The flags to build with; PyPI's clang has no address sanitizer, but libraries for 32 bits."""
    if not SEVERAL:
        return ["plain"]
    special = ["reassociated", "undefined", "32 bits"] if "ziglang" in compiler else ["sanitized", "threads"]
    return ["plain", "unoptimised", "contracted", "native", "plain C", *special]


BUILDS = [Build(compiler, variant) for compiler in COMPILERS for variant in variants(compiler)]
PLAIN = [build for build in BUILDS if build.variant == "plain"]
# What could make a compiler round differently is built by `make test` too.
EXACT = (
    BUILDS
    if SEVERAL
    else [Build(compiler, name) for compiler in COMPILERS for name in ("plain", "native", "plain C")]
)


def run(*command: str | Path) -> str:
    """Its standard output. What a compiler or a failed check says is part of the failure."""
    finished = subprocess.run([*map(str, command)], capture_output=True, check=False)
    assert not finished.returncode, f"{shlex.join(map(str, command))}\n{finished.stderr.decode()}"
    assert not finished.stderr
    return finished.stdout.decode()


def compile_core(build: Build, folder: Path, *flags: str) -> Path:
    """A folder with the compiled core."""
    for source in SOURCES:
        run(*build.command, *WARNINGS, *flags, "-c", source, "-o", folder / f"{source.stem}.o")
    return folder


def link(build: Build, objects: Path, *sources: Path) -> Path:
    """A program on top of the core, called like the first of its sources."""
    program = objects / sources[0].stem
    # Only a test's threads need a library.
    run(*build.command, *WARNINGS, f"-I{CORE}", *sources, *objects.glob("*.o"), "-lpthread", "-o", program)
    return program
