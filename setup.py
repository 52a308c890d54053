"""The Cython extensions; everything else about the project is in pyproject.toml."""

import os

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup

# Fused multiply-adds round differently from one processor to the next; a seed must not.
COMPILE_ARGS = ["/O2"] if os.name == "nt" else ["-O3", "-ffp-contract=off"]

extensions = [
    Extension(
        "textgen_runtime._sampler",
        ["runtime/textgen_runtime/_sampler.pyx"],
        include_dirs=[np.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=COMPILE_ARGS,
    )
]

setup(ext_modules=cythonize(extensions, build_dir="build/cython", include_path=["runtime"]))
