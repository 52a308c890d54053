"""The README and the documentation against the project: commands, options, names, programs and links."""

import json
import re
import shlex
import subprocess
import sys
from argparse import SUPPRESS
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime import temperatures as copies
from textgen_runtime.cli.bench import parser as bench_parser
from textgen_runtime.cli.embed import parser as embed_parser
from textgen_runtime.cli.eval import parser as eval_parser
from textgen_runtime.cli.info import parser as info_parser
from textgen_runtime.cli.parser import CommandParser
from textgen_runtime.cli.run import parser as run_parser
from textgen_runtime.cli.serve import parser as serve_parser
from textgen_runtime.cli.web import parser as web_parser
from textgen_runtime.corpus import CORPUS_NAMES
from textgen_runtime.model_file import (
    LOGITS,
    NEXT,
    QUANTIZATION_KEY,
    RECORDS_KEY,
    SPECIAL_KEY,
    TOKEN,
    Metadata,
    make_tokenizer,
)
from textgen_train.cli._arguments import parser as train_parser
from textgen_train.cli.compare import parser as compare_parser
from textgen_train.cli.quantize import parser as quantize_parser
from textgen_train.export.network import CELL, HIDDEN, INPUTS_PREFIX
from textgen_train.loop.events import Evaluation
from textgen_train.presets import MIN_TEACHER_WEIGHT

from tests.helpers.documents import FENCED, blocks
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
DOCUMENTS = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)

MAX_README_LINES = 170
MAX_IMAGE_BYTES = 150_000

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

KEYS = (
    *Metadata(make_tokenizer("character", "ab")).to_props(),
    SPECIAL_KEY,
    RECORDS_KEY,
    QUANTIZATION_KEY,
)

GRAPH_NAMES = (TOKEN, HIDDEN, CELL, LOGITS, NEXT + HIDDEN, NEXT + CELL, f"{INPUTS_PREFIX}<i>")

# What stands in a fenced block or a code span is not Markdown.
CODE_SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def spans(text: str) -> list[str]:
    """Code spans in prose and tables."""
    return CODE_SPAN.findall(FENCED.sub("", text))


def commands(text: str) -> list[list[str]]:
    """Every command of the project in a code block, as words."""
    found = []
    for line in "\n".join(blocks(text, "sh")).splitlines():
        for part in re.split(r"[|>]", line):
            words = shlex.split(part, comments=True)
            if words and words[0] in PARSERS:
                found.append(words)
    return found


def options(make: Callable[[], CommandParser]) -> set[str]:
    """The options of a command."""
    return {option for action in make()._actions for option in action.option_strings}


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub derives them."""
    headings = [heading.replace("`", "").lower() for heading in HEADING.findall(FENCED.sub("", text))]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


ALL_COMMANDS = [(name, words) for name, text in TEXTS.items() for words in commands(text)]


@pytest.mark.parametrize(
    "words", [words for _, words in ALL_COMMANDS], ids=[f"{name}: {' '.join(w)}" for name, w in ALL_COMMANDS]
)
def test_every_command_parses(words: list[str]) -> None:
    if words[1:] in (["--help"], ["--list"]):
        return
    PARSERS[words[0]]().parse_args(words[1:])


@pytest.mark.parametrize("command", PARSERS)
def test_the_documents_show_every_command(command: str) -> None:
    text = TEXTS["README.md"]
    assert command in {words[0] for words in (*commands(text), *map(str.split, spans(text))) if words}
    assert len([words for _, words in ALL_COMMANDS if words[0] == command]) > 2


@DOCUMENTS
def test_every_option_in_prose_exists(text: str) -> None:
    """An option after the name of a command is one of that command."""
    known = {name: options(make) for name, make in PARSERS.items()}
    anywhere = set().union(*known.values())
    for words in map(str.split, spans(text)):
        if words and (words[0] in known or words[0].startswith("--")):
            mentioned = {word for word in words if re.match("--[a-z]", word)}
            assert mentioned <= known.get(words[0], anywhere), words


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


@pytest.mark.parametrize(
    ("make", "stated"),
    [
        (
            eval_parser,
            f"also generate {copies.TEXTS} texts of up to {copies.LENGTH} tokens at each of the temperatures",
        ),
        (train_parser, f"from {MIN_TEACHER_WEIGHT:g} on, the presets have no dropout and no penalties"),
        (train_parser, "With conv, --residual is on"),
    ],
    ids=["copies", "teacher", "residual"],
)
def test_help_states_what_an_option_implies(make: Callable[[], CommandParser], stated: str) -> None:
    assert stated in " ".join(make().format_help().split())


@DOCUMENTS
def test_every_make_target_exists(text: str) -> None:
    rules = re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    shown = [
        line.split("#")[0].split() for line in "\n".join([*blocks(text, "sh"), *spans(text)]).splitlines()
    ]
    mentioned = {word for words in shown if words[:1] == ["make"] for word in words[1:] if "=" not in word}
    assert mentioned <= targets


@DOCUMENTS
def test_every_path_in_a_command_exists(text: str) -> None:
    for path in re.findall(r"(?<![\w./])(?:runtime|train|examples)/[\w./*-]+", "\n".join(blocks(text, "sh"))):
        assert list(ROOT.glob(path)), path


@DOCUMENTS
def test_every_public_name_exists(text: str) -> None:
    for span in spans(text):
        name = re.match(r"textgen\.(\w+)", span)
        names = (*KEYS, "textgen.h", "textgen.c", "textgen.wasm")
        assert not name or name[0] in names or hasattr(textgen, name[1]), span


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_resolves(name: str) -> None:
    page = ROOT / name
    for groups in LINK.findall(CODE_SPAN.sub("", FENCED.sub("", TEXTS[name]))):
        link = "".join(groups)
        if re.match("[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page if not path else (page.parent / path).resolve()
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link
        if target.suffix in (".png", ".svg"):
            assert target.stat().st_size <= MAX_IMAGE_BYTES, link


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("docs/model-file.md", (*GRAPH_NAMES, *KEYS)),
        ("docs/training-reference.md", (*CORPUS_NAMES, *Evaluation.__dataclass_fields__)),
        ("docs/troubleshooting.md", CORPUS_NAMES),
    ],
    ids=["model file", "training", "troubleshooting"],
)
def test_pages_have_every_name(page: str, names: tuple[str, ...]) -> None:
    assert set(names) <= set(spans(TEXTS[page]))


def test_the_glossary_is_in_alphabetical_order() -> None:
    rows = re.findall(r"^\| (?!term|---)([^|]+) \|", TEXTS["docs/glossary.md"], re.MULTILINE)
    assert len(rows) > 40
    assert rows == sorted(rows, key=str.lower)


def test_the_error_of_the_server_is_a_real_one() -> None:
    (response,) = blocks(TEXTS["docs/serving.md"], "json")
    error = json.loads(response)["error"]
    values: Any = {error["param"]: 7}
    with pytest.raises(textgen.SamplingError) as raised:
        textgen.Sampling(**values)
    assert str(raised.value) == error["message"]


@pytest.mark.parametrize(
    "name", [name for name, text in TEXTS.items() if blocks(text, "python") and name not in RUN_ELSEWHERE]
)
def test_the_programs_run(name: str, tmp_path: Path) -> None:
    """The programs of a page run one after another, as one program."""
    model = make_model("\n abcdefghijklmnopqrstuvwxyz.")
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    program = "\n".join(blocks(TEXTS[name], "python"))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=False, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) > 200
