"""Build the C core as a static library, and the extensions that it is linked into.

pyproject.toml has all other settings. Each file of the core is compiled once, several at the same time.
"""

import os
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Any

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_clib import build_clib
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

CORE, TRAINER = "runtime/core", "train/core"


def files(pattern: str, *folders: str) -> list[str]:
    """Return the paths of files, sorted in each folder."""
    return [path.as_posix() for folder in folders for path in sorted(Path(folder).glob(pattern))]


# textgen-embed copies these.
SOURCES, HEADERS = (files(pattern, CORE, f"{CORE}/kernels") for pattern in ("*.c", "*.[hd]*"))
TRAINER_SOURCES, TRAINER_HEADERS = (files(pattern, TRAINER) for pattern in ("*.c", "*.[hd]*"))

MODULES = [
    # The binding of the C core.
    "runtime/textgen_runtime/_core",
    # Drawing from logits. Its .pxd is public and needs no C header.
    "runtime/textgen_runtime/sampler",
    # The binding of the trainer in C.
    "train/textgen_train/_core",
]

# Without errno and floating-point traps, which this code does not use, the compiler can vectorize exact
# arithmetic. The results are the same with fused multiply-adds: see exact.h.
EXACT = ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]

# Most interpreters ask for debugging information. It takes a third of the time of the compiler, and most of
# the bytes of the wheel. `CFLAGS=-g pip install .` includes it.
HAS_DEBUGGING = any(flag.startswith("-g") for flag in os.environ.get("CFLAGS", "").split())
DEBUGGING = [] if HAS_DEBUGGING else ["-g0"]

# Each extension has its own copy of the parts of the core that it uses. Hidden symbols keep them apart.
# Without /std:c11, Microsoft's compiler has no _Static_assert, and without the other option no <stdatomic.h>.
IS_WINDOWS = os.name == "nt"
FLAGS = (
    ["/O2", "/std:c11", "/experimental:c11atomics"]
    if IS_WINDOWS
    else ["-O3", "-pthread", *DEBUGGING, *EXACT, "-fvisibility=hidden"]
)

# Another name than that of the library of runtime/core/Makefile, which may be installed on this machine.
LIBRARY = "textgen_core"
MACROS = [("TEXTGEN_API", "")]

# With the limited C API of CPython 3.12, a wheel is for all versions from 3.12 on. That of 3.11 makes a draw
# from Python 7 to 15% slower, that of 3.12 at most 2%. A free-threaded interpreter has no limited API. So
# these two build a wheel for their own version.
IS_LIMITED = (
    sys.implementation.name == "cpython"
    and sys.version_info >= (3, 12)
    and not sysconfig.get_config_var("Py_GIL_DISABLED")
)
LIMITED_API = [("Py_LIMITED_API", "0x030C0000")] if IS_LIMITED else []


def compile_only_changed(compiler: Any) -> None:
    """Let a compiler of setuptools keep the objects of files that did not change.

    Contents are compared, not times: pip installs Cython anew for each build, so every generated file is new.
    """
    compile_files = compiler.compile
    headers = [Path(header).read_bytes() for header in [*HEADERS, *TRAINER_HEADERS]]

    def compile_changed(sources: list[str], output_dir: str, **options: Any) -> list[str]:
        objects = compiler.object_filenames(sources, output_dir=output_dir)
        for source, path in zip(sources, map(Path, objects), strict=True):
            used = sorted((name, value) for name, value in options.items() if name != "depends")
            command = repr([sys.version, getattr(compiler, "compiler_so", None), used])
            key = sha256(b"".join([command.encode(), Path(source).read_bytes(), *headers])).hexdigest()
            stored = path.with_suffix(".key")
            if compiler.force or not path.is_file() or not stored.is_file() or stored.read_text() != key:
                stored.unlink(missing_ok=True)
                (new,) = compile_files([source], output_dir=f"{output_dir}/new", **options)
                path.parent.mkdir(parents=True, exist_ok=True)
                Path(new).replace(path)
                stored.write_text(key)
        return list(objects)

    compiler.compile = compile_changed


class BuildCore(build_clib):  # type: ignore[misc]  # setuptools has no types
    """Compiles several files at the same time. The command of setuptools compiles one after the other."""

    def build_libraries(self, libraries: list[tuple[str, dict[str, Any]]]) -> None:
        """Compile the files of each library, and archive the objects."""
        compile_only_changed(self.compiler)
        options = {"macros": MACROS, "include_dirs": [CORE, TRAINER], "extra_postargs": FLAGS}

        def compiled(source: str) -> list[str]:
            objects: list[str] = self.compiler.compile([source], output_dir=self.build_temp, **options)
            return objects

        for name, library in libraries:
            # The largest files first, so that no thread is left with one of them at the end.
            sources = sorted(library["sources"], key=lambda source: -Path(source).stat().st_size)
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = sorted(path for paths in pool.map(compiled, sources) for path in paths)
            # An archiver would keep the object of a file that is gone.
            Path(self.compiler.library_filename(name, output_dir=self.build_clib)).unlink(missing_ok=True)
            self.compiler.create_static_lib(objects, name, output_dir=self.build_clib)


class BuildExtensions(build_ext):  # type: ignore[misc]
    """Builds the library first, also for ``setup.py build_ext``, and several extensions at the same time."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.parallel is None:  # type: ignore[has-type]
            self.parallel = True

    def run(self) -> None:
        self.run_command("build_clib")
        core = self.get_finalized_command("build_clib")
        archive = core.compiler.library_filename(LIBRARY, output_dir=core.build_clib)
        for built in self.extensions:
            # As an object, which is compared with the extension.
            built.extra_objects = [archive]
        super().run()

    def build_extensions(self) -> None:
        compile_only_changed(self.compiler)
        # Without this, setuptools would compare the times of the sources first.
        self.force = True
        super().build_extensions()


class BuildPackages(build_py):  # type: ignore[misc]
    """Also copies the sources in C to the wheel, for textgen-embed: see embed.py."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            folder = Path(self.build_lib, "textgen_runtime/core_sources")
            # A source that is gone may be left of an earlier build.
            rmtree(folder, ignore_errors=True)
            for source in map(Path, [*SOURCES, *HEADERS, *TRAINER_SOURCES, *TRAINER_HEADERS]):
                is_core = source.is_relative_to(CORE)
                copy = folder / (source.relative_to(CORE) if is_core else Path("train", source.name))
                self.mkpath(str(copy.parent))
                self.copy_file(str(source), str(copy))


def extension(path: str) -> Extension:
    """Return a Cython extension, into which the linker puts what it uses of the core and the trainer."""
    return Extension(
        ".".join(path.split("/")[1:]),
        [f"{path}.pyx"],
        include_dirs=[CORE, TRAINER],
        define_macros=[*MACROS, *LIMITED_API],
        py_limited_api=IS_LIMITED,
        extra_compile_args=FLAGS,
        # The trainer starts threads.
        extra_link_args=[] if IS_WINDOWS else ["-pthread"],
    )


setup(
    cmdclass={"build_clib": BuildCore, "build_ext": BuildExtensions, "build_py": BuildPackages},
    options={"bdist_wheel": {"py_limited_api": "cp312"}} if IS_LIMITED else {},
    libraries=[(LIBRARY, {"sources": [*SOURCES, *TRAINER_SOURCES]})],
    ext_modules=cythonize(
        [extension(name) for name in MODULES],
        build_dir="build/generated",
        include_path=["runtime", "train"],
    ),
)
