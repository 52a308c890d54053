"""The README and the documentation against the project: commands, their outputs, and programs.

``make docs`` finds links, values and names of Python that do not exist.
"""

import re
import shlex
import subprocess
import sys
from argparse import SUPPRESS
from collections.abc import Callable
from pathlib import Path

import pytest
import textgen_runtime as textgen
import textgen_train as train
from textgen_runtime.cli.bench import parser as bench_parser
from textgen_runtime.cli.embed import parser as embed_parser
from textgen_runtime.cli.eval import parser as eval_parser
from textgen_runtime.cli.info import parser as info_parser
from textgen_runtime.cli.parser import CommandParser
from textgen_runtime.cli.run import parser as run_parser
from textgen_runtime.cli.serve import parser as serve_parser
from textgen_runtime.cli.web import parser as web_parser
from textgen_train.cli import parser as train_parser
from textgen_train.compare import parser as compare_parser
from textgen_train.quantize import parser as quantize_parser

from tests.helpers.documents import blocks
from tests.helpers.examples import import_file
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}

PARSERS = {
    "textgen-bench": bench_parser,
    "textgen-compare": compare_parser,
    "textgen-embed": embed_parser,
    "textgen-eval": eval_parser,
    "textgen-info": info_parser,
    "textgen-quantize": quantize_parser,
    "textgen-run": run_parser,
    "textgen-serve": serve_parser,
    "textgen-train": train_parser,
    "textgen-web": web_parser,
}

# Their programs need a server, or are parts of an example. tests/runtime/cli/test_serve.py runs the first,
# and tests/examples/test_one_page.py the second.
RUN_ELSEWHERE = {"docs/serving.md", "docs/how-it-works.md"}


outputs = import_file(ROOT / "docs/write_outputs.py")


def commands(text: str) -> list[list[str]]:
    """Every command of the project in a code block, as words."""
    parts = re.split(r"[|>\n]", "\n".join(blocks(text, "sh")))
    words = [shlex.split(part, comments=True) for part in parts if part.lstrip().startswith("textgen-")]
    return [command for command in words if command[0] in PARSERS]


COMMANDS = {f"{name}: {shlex.join(words)}": words for name, text in TEXTS.items() for words in commands(text)}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_every_command_parses(words: list[str]) -> None:
    if words[1:] not in (["--help"], ["--list"]):
        PARSERS[words[0]]().parse_args(words[1:])


@pytest.mark.parametrize("make", PARSERS.values(), ids=PARSERS)
def test_help_is_complete(make: Callable[[], CommandParser]) -> None:
    text = make().format_help()
    for action in make()._actions:
        assert action.help
        assert all(option in text for option in action.option_strings)
        if action.default not in (None, False, [], SUPPRESS):
            default = f"{action.default:g}" if isinstance(action.default, float) else action.default
            assert re.search(rf"\(default: {default}[;,)]", action.help), action.option_strings
    assert all(len(line) <= 100 for line in text.splitlines())


@pytest.mark.parametrize("name", outputs.PAGES)
def test_the_outputs_of_a_page_are_those_of_its_commands(name: str) -> None:
    """After a change of the bundled models, run ``python docs/write_outputs.py``."""
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert outputs.SHOWN.search(page)
    assert outputs.with_outputs(page) == page


def test_the_values_of_the_pages_are_those_of_the_code() -> None:
    """After a change of a value, run ``python docs/write_outputs.py``."""
    for page in outputs.HERE.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert outputs.with_values(text) == text, page


@pytest.mark.parametrize("package", [textgen, train], ids=lambda package: package.__name__)
def test_every_public_name_has_a_docstring(package: object) -> None:
    values = {name: getattr(package, name) for name in package.__all__}  # type: ignore[attr-defined]
    assert [name for name, value in values.items() if callable(value) and not value.__doc__] == []


@pytest.mark.parametrize(
    "name", [name for name, text in TEXTS.items() if blocks(text, "python") and name not in RUN_ELSEWHERE]
)
def test_the_programs_run(name: str, tmp_path: Path) -> None:
    """The programs of a page run one after another, as one program."""
    model = make_model("\n abcdefghijklmnopqrstuvwxyz.")
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "short.txt").write_text("The quick brown fox jumps over the lazy dog, abc def.\n" * 20)
    program = "\n".join(blocks(TEXTS[name], "python")).replace('"python-docs"', '"short.txt"')
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=False, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) > 200
