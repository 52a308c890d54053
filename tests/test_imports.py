"""What the runtime needs, and what importing it does not do."""

import subprocess
import sys
from pathlib import Path

import pytest

GENERATE = """
import sys, textgen_runtime as textgen
before = set(sys.modules)
model = textgen.load({model!r})
assert len(model.generate("abc", length=20, seed=1)) == 20
textgen.save(model.start(seed=1), {saved!r})
textgen.resume(model, {saved!r})
textgen.reweight([0.5, 0.5], 0.2)
from textgen_runtime.cli.run import main
assert main([{model!r}, "--length", "5", "--stats"]) == 0
"""


def run_python(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, encoding="utf-8"
    ).stdout


def test_generating_text_needs_neither_torch_nor_onnx(tiny_path: Path, tmp_path: Path) -> None:
    program = GENERATE.format(model=str(tiny_path), saved=str(tmp_path / "saved.npz"))
    check = "print([name for name in ('torch', 'onnx', 'textgen_train') if name in sys.modules])"
    assert run_python(program + check).splitlines()[-1] == "[]"


@pytest.mark.parametrize("package", ["textgen_runtime", "textgen_train", "textgen_train.cli"])
def test_importing_is_light(package: str) -> None:
    """The package alone brings in numpy at most; onnxruntime comes with a model, torch with training."""
    heavy = "('onnxruntime', 'torch', 'onnx', 'matplotlib', 'pooch', 'tqdm')"
    program = f"import sys, {package}; print([name for name in {heavy} if name in sys.modules])"
    assert run_python(program).strip() == "[]"


def test_the_launcher_imports_nothing() -> None:
    """Before it has settled what an interrupt does."""
    program = "import sys; before = {*sys.modules}; import textgen_launcher; print({*sys.modules} - before)"
    assert run_python(program).strip() in ("{'textgen_launcher'}", "{'textgen_launcher', '_signal'}")


LAYERS = """
import sys
from textgen_runtime import corpus
assert not [name for name in sys.modules if name.startswith(("textgen_train", "textgen_runtime.cli"))]
import textgen_train
assert textgen_train.read_corpus is corpus.read_corpus
from textgen_runtime import CorpusError
from textgen_train.errors import CorpusError as also
assert textgen_train.CorpusError is also is CorpusError
"""


def test_texts_are_read_by_the_runtime_and_by_no_command() -> None:
    run_python(LAYERS)


def test_the_training_package_names_its_parts() -> None:
    run_python("import textgen_train as t; assert all(getattr(t, name) for name in t.__all__)")
    run_python("import textgen_train as t; assert not hasattr(t, 'nothing')")


def test_importing_sets_nothing_global() -> None:
    run_python(
        # numpy adds filters of its own when it is imported.
        "import os, warnings, numpy, numpy.random, onnxruntime\n"
        "environment, filters = dict(os.environ), list(warnings.filters)\n"
        "import textgen_runtime, textgen_runtime.onnx_engine, textgen_train\n"
        "assert dict(os.environ) == environment and warnings.filters == filters"
    )
