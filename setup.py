"""The Cython extensions; everything else about the project is in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

PACKAGE = "runtime/textgen_runtime"
CORE = "runtime/core"

# Error numbers and traps, which nothing here looks at, only keep the compiler from making vectors of exact
# arithmetic. Fused multiply-adds would change no number: see exact.h.
EXACT = ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]

# Another library of the process may hold the core as well: each calls its own, and exports nothing of it.
FLAGS = ["/O2"] if os.name == "nt" else ["-O3", *EXACT, "-fvisibility=hidden"]

# What each module calls of the core, beside its own kind.
TEXT = ["core.c", "utf8.c"]
READER = ["wire.c", "names.c", "tensors.c"]
SAMPLER = ["exp64.c", "filters.c", "kernels/processor.c", "rng.c", "sampler.c"]
MODULES = {
    "sampling.buffers": [],
    "engines.kernels": ["kernels/kernels.c", "kernels/processor.c"],
    "model_file.reader": [
        *TEXT,
        *READER,
        "graph.c",
        "model.c",
        "onnx_node.c",
        "onnx_parts.c",
        "onnx_reader.c",
        "onnx_tensor.c",
        "shapes.c",
    ],
    "sampling.reweighting": SAMPLER,
    "sampling.sampler": SAMPLER,
    "engines.lanes": [],
    "engines.core": [
        *TEXT,
        *READER,
        *SAMPLER,
        "clock.c",
        "forward.c",
        "generate.c",
        "memory.c",
        "pack.c",
        "pack_layers.c",
        "slots.c",
    ],
}


def extension(name: str, sources: list[str]) -> Extension:
    """A Cython module with the parts of the core that it calls; each has a copy of its own."""
    return Extension(
        f"textgen_runtime.{name}",
        [f"{PACKAGE}/{name.replace('.', '/')}.pyx", *(f"{CORE}/{source}" for source in sources)],
        depends=[path.as_posix() for path in sorted(Path(CORE).rglob("*.h"))],
        include_dirs=[CORE],
        define_macros=[("TEXTGEN_API", "")],
        extra_compile_args=FLAGS,
    )


setup(
    ext_modules=cythonize(
        [extension(name, sources) for name, sources in MODULES.items()],
        build_dir="build/generated",
        include_path=["runtime"],
    )
)
