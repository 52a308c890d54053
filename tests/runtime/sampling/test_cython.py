"""Other Cython modules can use the sampler through its .pxd file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from textgen_runtime import Sampler, softmax
from textgen_runtime.sampler import draw_with

from tests.helpers.paths import ROOT
from tests.helpers.programs import run_python

# The module includes no header of the C core and links no object of it.
MODULE = """
# cython: language_level=3
from libc.stdint cimport int64_t
from textgen_runtime.sampler cimport Sampler, checked, draw_row_with, softmax_row


def draw_one(list numbers, double temperature, double uniform):
    cdef double logits[8]
    cdef double scratch[8]
    cdef int64_t token
    for i in range(len(numbers)):
        logits[i] = numbers[i]
    with nogil:
        token = draw_row_with(logits, 3, temperature, uniform, scratch)
    checked(softmax_row(logits, 3, temperature, scratch))
    return checked(token), [scratch[i] for i in range(3)]


def draw_many(Sampler sampler, list numbers, int count):
    cdef double logits[8]
    for i in range(len(numbers)):
        logits[i] = numbers[i]
    tokens = []
    for _ in range(count):
        sampler.prepare(len(numbers))
        tokens.append(checked(sampler.draw_row(logits)))
    return tokens
"""

SETUP = """
from Cython.Build import cythonize
from setuptools import Extension, setup

setup(ext_modules=cythonize([Extension("draws", ["draws.pyx"])], include_path=[{runtime!r}]))
"""

PROGRAM = """
import draws, json
from textgen_runtime import Sampler, SamplingError
sampler = Sampler(0.7, seed=3)
results = [draws.draw_one([1.0, 2.0, 0.5], 0.7, uniform / 50) for uniform in range(50)]
try:
    draws.draw_one([1.0, float("nan"), 0.5], 0.7, 0.5)
except SamplingError as error:
    print(json.dumps([results, draws.draw_many(sampler, [1.0, 2.0, 0.5], 100), sampler.position, str(error)]))
"""


def test_cython_and_python_draw_the_same_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "draws.pyx").write_text(MODULE, encoding="utf-8")
    (tmp_path / "setup.py").write_text(SETUP.format(runtime=str(ROOT / "runtime")), encoding="utf-8")
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    completed = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, encoding="utf-8")
    assert completed.returncode == 0, completed.stderr
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    draws, tokens, position, error = json.loads(run_python(PROGRAM))
    logits = [1.0, 2.0, 0.5]
    for i, (token, probabilities) in enumerate(draws):
        assert token == draw_with(logits, 0.7, i / 50)
        assert probabilities == softmax(logits, 0.7).tolist()
    sampler = Sampler(0.7, seed=3)
    assert tokens == [sampler.draw(logits) for _ in range(100)]
    assert position == 100
    assert "the logits contain NaN" in error
