"""The Cython extensions; everything else about the project is in pyproject.toml."""

import os

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup

OPTIMISE = ["/O2"] if os.name == "nt" else ["-O3"]

# Fused multiply-adds round differently from one processor to the next; a draw must not. The kernels live on
# them, and promise the same text on the same machine only. Error numbers and traps, which nothing here looks
# at, only keep the compiler from making vectors of exact arithmetic.
EXACT = [] if os.name == "nt" else ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
FUSED = [] if os.name == "nt" else ["-ffp-contract=fast"]

PACKAGE = "runtime/textgen_runtime"
COMMON = {
    "include_dirs": [np.get_include(), PACKAGE],
    "define_macros": [("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
}

extensions = [
    Extension(
        "textgen_runtime._sampler",
        [f"{PACKAGE}/_sampler.pyx", f"{PACKAGE}/kernels/exponential.c"],
        depends=[f"{PACKAGE}/kernels/exponential.h"],
        extra_compile_args=OPTIMISE + EXACT,
        **COMMON,
    ),
    Extension(
        "textgen_runtime._decoder",
        [f"{PACKAGE}/_decoder.pyx", f"{PACKAGE}/kernels/kernels.c"],
        depends=[f"{PACKAGE}/kernels/{name}.h" for name in ("clock", "kernels", "kernel_body")],
        extra_compile_args=OPTIMISE + FUSED,
        **COMMON,
    ),
]

setup(ext_modules=cythonize(extensions, build_dir="build/cython", include_path=["runtime"]))
