"""Compilation of the C core and of small programs that use it, with all warnings as errors.

``make test`` uses the default C compiler. ``make test-core`` lists several compilers in
``TEXTGEN_CORE_COMPILERS``; each of them is then used with several sets of flags. ``make test-arm``,
``make test-emulated`` and ``make test-wine`` use a compiler for another system, and run its programs with the
emulator ``TEXTGEN_CORE_EMULATOR``.

What is compiled stays in ``build/test-core``, in a folder for each compiler and set of flags. It is compiled
again only if a source, a header or the compiler changes. Several processes may use a folder at the same time.
"""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock

from tests.helpers.paths import ROOT
from tests.tiers import runs

CORE = ROOT / "runtime" / "core"
COMMAND = CORE / "command"
PROGRAMS = ROOT / "tests" / "core"
SOURCES = sorted([*CORE.glob("*.c"), *CORE.glob("kernels/*.c")])
HEADERS = sorted(
    [*CORE.glob("*.[hd]*"), *CORE.glob("kernels/*.h"), *COMMAND.glob("*.h"), *PROGRAMS.glob("**/*.h")]
)
# On Windows, it gives test programs their arguments in UTF-8, and lets them write bytes.
WINDOWS_MAIN = (PROGRAMS / "windows.c", COMMAND / "platform.c")

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
    "unoptimized": "-O0",
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
EMULATOR = os.environ.get("TEXTGEN_CORE_EMULATOR")
COMPILERS = SEVERAL.split(",") if SEVERAL else [os.environ.get("CC", "cc")]


class Build(NamedTuple):
    """A compiler and the name of a set of flags."""

    compiler: str
    variant: str

    @property
    def command(self) -> list[str]:
        """The compiler and its flags. Skips the test if the compiler is not installed."""
        words = shlex.split(self.compiler)
        if not shutil.which(words[0]):
            pytest.skip(f"{words[0]} is not installed")
        return [*words, *FLAGS[self.variant].split()]

    @property
    def has_fused_vectors(self) -> bool:
        """Whether the baseline's vectors have fused multiply-adds: those of ARM64, but not of x86-64."""
        is_arm = "aarch64" in self.compiler or platform.machine() in ("arm64", "aarch64")
        return is_arm and self.variant != "plain C"

    @property
    def is_windows(self) -> bool:
        """Whether its programs are those of Windows."""
        return "-windows-" in self.compiler

    @property
    def is_big_endian(self) -> bool:
        """Whether its processor stores the highest byte of a number first."""
        return "-target s390x-" in self.compiler

    def __str__(self) -> str:
        return f"{shlex.split(self.compiler)[-1]} {self.variant}"


def variants(compiler: str) -> list[str]:
    """Return the sets of flags for a compiler.

    The clang from PyPI has 32-bit libraries but no address sanitizer.
    """
    if not SEVERAL:
        return ["plain"]
    is_clang = "ziglang" in compiler
    if not runs("release"):
        # `make test` uses gcc without sanitizers.
        return ["contracted"] if EMULATOR else ["plain"] if is_clang else ["sanitized"]
    if EMULATOR:
        return ["plain", "contracted"]
    special = ["reassociated", "undefined", "32 bits"] if is_clang else ["sanitized", "threads"]
    return ["plain", "unoptimized", "contracted", "native", "plain C", *special]


BUILDS = [Build(compiler, variant) for compiler in COMPILERS for variant in variants(compiler)]
# For tests that choose the flags themselves.
PLAIN = [build for build in BUILDS if build.variant == "plain"] or BUILDS[:1]
# Builds for the tests of exact results. In `make test`, they include the flags with which a compiler may
# round differently.
EXACT = (
    BUILDS
    if SEVERAL
    else [Build(compiler, name) for compiler in COMPILERS for name in ("plain", "native", "plain C")]
)


def run(*command: str | Path) -> str:
    """Run a program and return its standard output. A failure shows its standard error."""
    finished = subprocess.run([*map(str, command)], capture_output=True, check=False)
    assert not finished.returncode, f"{shlex.join(map(str, command))}\n{finished.stderr.decode()}"
    assert not finished.stderr
    return finished.stdout.decode()


def digest(parts: Iterable[str | Path]) -> str:
    """Return a hash of texts and of the contents of files."""
    found = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        found.update(b"%d " % len(content) + content)
    return found.hexdigest()[:16]


@cache
def predefined_macros(*command: str) -> str:
    """Return what tells a compiler, and the processor that it compiles for, from others of the same name."""
    return run(*command, "-E", "-dM", "-x", "c", os.devnull)


@cache
def programs_folder() -> Path:
    """Return the folder of what is compiled: a temporary one if the checkout is read-only."""
    folder = ROOT / "build" / "test-core"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.gettempdir()) / f"textgen-test-core-{digest([str(ROOT)])}"


def make_once(target: Path, key: str, make: Callable[[Path], object]) -> Path:
    """Make a file unless it was made with the same key. It replaces an older one in one step."""
    stored = target.with_name(f"{target.name}.key")
    if not (target.exists() and stored.exists() and stored.read_text(encoding="utf-8") == key):
        made = target.with_name(f"{target.name}.new")
        make(made)
        stored.unlink(missing_ok=True)
        made.replace(target)
        stored.write_text(key, encoding="utf-8")
    return target


def compile_core(build: Build, *flags: str) -> Path:
    """Compile the core and return the folder of its object files."""
    command = [*build.command, *WARNINGS, *flags]
    folder = programs_folder() / digest(command)
    folder.mkdir(parents=True, exist_ok=True)
    common = digest([*command, predefined_macros(*build.command), *HEADERS])

    def compile_one(source: Path) -> None:
        make_once(
            folder / f"{source.stem}.o",
            digest([common, source]),
            lambda target: run(*command, "-c", source, "-o", target),
        )

    with FileLock(folder / "lock"), ThreadPoolExecutor(os.cpu_count()) as pool:
        # The largest files first, so that no thread is left with one of them at the end.
        list(pool.map(compile_one, sorted(SOURCES, key=lambda source: -source.stat().st_size)))
    return folder


def core_objects(objects: Path) -> list[Path]:
    """Return the object files in a folder of ``compile_core``. It may also hold those of earlier sources."""
    return [objects / f"{source.stem}.o" for source in SOURCES]


def link(build: Build, objects: Path, *sources: Path) -> Path:
    """Link a program of the tests with the core and return its path. Its name is that of the first source."""
    if build.is_windows:
        return link_with(build, objects, *sources, *WINDOWS_MAIN)
    return link_with(build, objects, *sources)


def link_command(build: Build, objects: Path) -> Path:
    """Link the command ``textgen`` with the core and return its path."""
    return link_with(build, objects, *(COMMAND / f"{name}.c" for name in ("main", "platform")))


def link_with(build: Build, objects: Path, *sources: Path) -> Path:
    """Link sources with the core and return the path of the program."""
    # Some test programs use threads. The core needs no library.
    command = [*build.command, *WARNINGS, f"-I{CORE}", *map(str, sources)]
    parts = core_objects(objects)
    program = objects / f"{sources[0].stem}{'.exe' if build.is_windows else ''}"
    with FileLock(objects / "lock"):
        key = digest([*command, *sources, *HEADERS, *parts])
        make_once(program, key, lambda target: run(*command, *parts, "-lpthread", "-o", target))
        return emulated(program)


def emulated(program: Path) -> Path:
    """Return the path of a script that runs the program with the emulator, or the program without one."""
    if not EMULATOR:
        return program
    script = f'#!/bin/sh\nexec {EMULATOR} {shlex.quote(str(program))} "$@"\n'

    def write(target: Path) -> None:
        target.write_text(script, encoding="utf-8")
        target.chmod(0o755)

    return make_once(program.with_name(f"{program.name}.sh"), digest([script]), write)
