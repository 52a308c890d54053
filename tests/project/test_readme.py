"""The README against the project as it is."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from textgen_runtime.cli._bench_arguments import parser as bench_parser
from textgen_runtime.cli.eval import parser as eval_parser
from textgen_runtime.cli.info import parser as info_parser
from textgen_runtime.cli.parser import CommandParser
from textgen_runtime.cli.run import parser as run_parser
from textgen_runtime.corpora.corpus import NAMES
from textgen_runtime.model_file.graph_names import INPUTS, OUTPUTS
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.text.tokenizer import CharacterTokenizer
from textgen_train.cli._arguments import parser as train_parser
from textgen_train.loop.eval_result import Evaluation

from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")

PARSERS = {
    "textgen-bench": bench_parser,
    "textgen-eval": eval_parser,
    "textgen-info": info_parser,
    "textgen-run": run_parser,
    "textgen-train": train_parser,
}


def blocks(language: str) -> list[str]:
    """The README's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every command of the project that the README shows, as words."""
    shown = "\n".join(blocks("sh")).splitlines() + re.findall(r"`(textgen-[^`]+)`", README)
    found = []
    for line in shown:
        for part in re.split(r"[|>]", line):
            words = shlex.split(part, comments=True)
            if words and words[0] in PARSERS and len(words) > 1:
                found.append(words)
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_is_one_that_the_parser_takes(words: list[str]) -> None:
    if words[1:] in (["--help"], ["--list"]):
        return
    PARSERS[words[0]]().parse_args(words[1:])


@pytest.mark.parametrize(
    ("command", "least"),
    [
        ("textgen-run", 5),
        ("textgen-train", 5),
        ("textgen-eval", 3),
        ("textgen-info", 2),
        ("textgen-bench", 3),
    ],
)
def test_the_readme_shows_every_command(command: str, least: int) -> None:
    assert len([words for words in commands() if words[0] == command]) >= least


def test_every_option_in_prose_exists() -> None:
    known = {
        option for make in PARSERS.values() for action in make()._actions for option in action.option_strings
    }
    mentioned = set(re.findall(r"`(--[a-z-]+)[` ]", README))
    assert mentioned
    assert mentioned <= known


@pytest.mark.parametrize("make", PARSERS.values(), ids=PARSERS)
def test_help_is_whole(make: Callable[[], CommandParser]) -> None:
    text = make().format_help()
    for action in make()._actions:
        assert action.help
        assert all(option in text for option in action.option_strings)
    assert all(len(line) <= 100 for line in text.splitlines())


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE)) <= targets


def test_names_in_the_tables_are_the_codes() -> None:
    for name in (*INPUTS, *OUTPUTS, *NAMES):
        assert f"`{name}`" in README
    for key in Metadata(CharacterTokenizer("ab")).to_props():
        assert f"`{key}`" in README
    for field in Evaluation.__dataclass_fields__:
        assert f"`{field}`" in README


@pytest.mark.parametrize("program", blocks("python"))
def test_every_program_runs(program: str, tmp_path: Path) -> None:
    model = make_model("\n abcdefghijklmnopqrstuvwxyz.")
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=False, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) > 200
