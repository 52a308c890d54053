"""Build the Cython extensions. pyproject.toml has all other settings."""

import os
from collections.abc import Iterable
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_py import build_py

PACKAGE = "runtime/textgen_runtime"
CORE = "runtime/core"
WEB = Path("runtime/web")

# Without errno and floating-point traps, which this code does not use, the compiler can vectorize exact
# arithmetic. The results are the same with fused multiply-adds: see exact.h.
EXACT = ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]

# Each extension has its own copy of the C core. Hidden symbols keep it apart from copies in other libraries.
FLAGS = ["/O2"] if os.name == "nt" else ["-O3", *EXACT, "-fvisibility=hidden"]

# The C sources that each Cython module compiles.
TEXT = ["core.c", "utf8.c"]
READER = ["wire.c", "names.c", "tensors.c"]
SAMPLER = [
    "exp64.c",
    "filters.c",
    "kernels/processor.c",
    "log64.c",
    "rng.c",
    "sampler.c",
    "sort.c",
    "truncation.c",
]
MODULES = {
    "sampling.buffers": [],
    "engines.kernels": ["kernels/int8_kernels.c", "kernels/kernels.c", "kernels/processor.c"],
    "model_file.reader": [
        *TEXT,
        *READER,
        "graph.c",
        "match.c",
        "match_conv.c",
        "match_recurrent.c",
        "match_weights.c",
        "memory.c",
        "model.c",
        "onnx_node.c",
        "onnx_parts.c",
        "onnx_reader.c",
        "onnx_tensor.c",
        "shapes.c",
    ],
    "sampling.automata": ["constraint.c", "stops.c"],
    "sampling.automata_tables": [],
    "sampling.filter_block": SAMPLER,
    "sampling.filters": [],
    "sampling.reweighting": SAMPLER,
    "sampling.sampler": SAMPLER,
    "engines.guides": [],
    "engines.lane_samplers": [],
    "corpora.substrings": [],
    "engines.lanes": [],
    "engines.core": [
        *TEXT,
        *READER,
        *SAMPLER,
        "clock.c",
        "constraint.c",
        "forward.c",
        "forward_int8.c",
        "generate.c",
        "memory.c",
        "pack.c",
        "pack_conv.c",
        "pack_int8.c",
        "pack_int8_sums.c",
        "pack_layers.c",
        "pack_plan.c",
        "slots.c",
        "stops.c",
    ],
}


class BuildPackages(build_py):  # type: ignore[misc]  # setuptools has no types
    """Also copies the files that commands write to the wheel.

    These are the sources of the core, for textgen-embed (see core_files.py), and the modules of the npm
    package, for textgen-web (see bundle.py).
    """

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            sources = (path for folder in ("", "kernels") for path in Path(CORE, folder).glob("*.[ch]"))
            self.copy_sources(sources, CORE, "embedding/core")
            modules = (WEB / "plain.js", WEB / "wasm.js", *WEB.glob("lib/*.js"))
            self.copy_sources(modules, WEB, "web/package")

    def copy_sources(self, sources: Iterable[Path], parent: str | Path, folder: str) -> None:
        """Copy files to a folder of the package, with their paths below a parent folder."""
        for source in sorted(sources):
            copy = Path(self.build_lib, "textgen_runtime", folder, source.relative_to(parent))
            self.mkpath(str(copy.parent))
            self.copy_file(str(source), str(copy))


def extension(name: str, sources: list[str]) -> Extension:
    """Return a Cython extension that compiles the given C sources of the core."""
    return Extension(
        f"textgen_runtime.{name}",
        [f"{PACKAGE}/{name.replace('.', '/')}.pyx", *(f"{CORE}/{source}" for source in sources)],
        depends=[path.as_posix() for path in sorted(Path(CORE).rglob("*.h"))],
        include_dirs=[CORE],
        define_macros=[("TEXTGEN_API", "")],
        extra_compile_args=FLAGS,
    )


setup(
    cmdclass={"build_py": BuildPackages},
    ext_modules=cythonize(
        [extension(name, sources) for name, sources in MODULES.items()],
        build_dir="build/generated",
        include_path=["runtime"],
    ),
)
