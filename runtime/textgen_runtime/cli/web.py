"""``textgen-web``: write a web page that learns a text, or runs a model."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textgen_runtime.errors import OutputError
from textgen_runtime.files import make_folder, read_text, remove_abandoned
from textgen_runtime.model_file import Metadata, name_source
from textgen_runtime.terminal import print_diagnostic, write_stderr
from textgen_runtime.web.known_records import known_records
from textgen_runtime.web.page import MAX_EMBEDDED, write_page

from ._output_files import check_output, write_output
from .command import run_command
from .options import unknown_warnings
from .parser import CORPUS_HELP, MODEL, CommandParser, escaped_text, model_name, read_core_model
from .texts import corpus_records

PROG = "textgen-web"

EXAMPLES = """\
examples:
  textgen-web
  textgen-web nietzsche --prompt "the will to "
  textgen-web my-novel-model -o site --title "My novel"
  textgen-web names-model --novel names.txt
  textgen-web model.onnx -o public/writer
"""

PAGE_FILE = "index.html"

# The name of a page without a model.
NAME = "textgen"

# The end of the name of a folder of textgen-train.
MODEL_SUFFIX = "-model"

BYTES_PER_MEGABYTE = 1e6


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-run``."""
    arguments = parser().parse_args(argv)
    return run_command(PROG, write_site, arguments)


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG,
        "Write a web page that learns a text in the browser, and then writes. With a model, it\n"
        "writes at once. The page shows a text while it is generated, the probabilities of the\n"
        "next character, branches of the text, and links to share. It is one file that works\n"
        "without a server and without a network.",
        EXAMPLES,
    )
    command.add_argument("model", nargs="?", **MODEL)
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help=f"folder for {PAGE_FILE} (default: MODEL-site, or {NAME}-site without a model)",
    )
    command.add_argument("--title", help="title of the page (default: the name of the model)")
    beginning = r"text in the field Beginning; \n is a line end (default: the model's first prompt)"
    command.add_argument("--prompt", type=escaped_text, help=beginning)
    novel = "let the page write only records that are not in CORPUS, with a model of records; CORPUS is "
    command.add_argument("--novel", metavar="CORPUS", help=novel + CORPUS_HELP)
    abcjs = "show and play tunes in ABC notation with SCRIPT, dist/abcjs-basic-min.js of the package abcjs"
    command.add_argument("--abcjs", type=Path, metavar="SCRIPT", help=abcjs)
    return command


def write_site(arguments: argparse.Namespace) -> int:
    """Write the page, and its path to standard output; return the exit code."""
    model = {} if arguments.model is None else read_site_model(arguments)
    name = NAME if arguments.model is None else model_name(arguments.model).removesuffix(MODEL_SUFFIX)
    if not model and (arguments.novel, arguments.prompt) != (None, None):
        raise OutputError("--novel and --prompt need a model")
    title = name if arguments.title is None else arguments.title
    abcjs = "" if arguments.abcjs is None else read_abcjs(arguments.abcjs)
    page = write_page(title=title, abcjs=abcjs, **model)
    folder = arguments.output or Path(f"{name}-site")
    path = folder / PAGE_FILE
    make_folder(folder)
    check_output("-o", path)
    remove_abandoned(folder)
    write_output(path, page)
    # A folder may have a name that the output's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout.write(f"{path} ({len(page) / BYTES_PER_MEGABYTE:.1f} MB)\n")
    sys.stdout.flush()
    return 0


def read_site_model(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the model of the page, its beginning, and the records that the page does not write.

    Raises:
        ModelFileError: If the model cannot be read.
        OutputError: If it is too large for a page.
        CorpusError: If a corpus is missing.
    """
    content, core = read_core_model(arguments.model)
    metadata = Metadata.read(core)
    if len(content) > MAX_EMBEDDED:
        raise OutputError(
            f"{name_source(arguments.model)}: the model has {len(content) / BYTES_PER_MEGABYTE:,.0f} MB, too "
            f"much for a page: it can have {MAX_EMBEDDED / BYTES_PER_MEGABYTE:,.0f} MB"
        )
    known = "" if arguments.novel is None else read_known(arguments.novel, metadata)
    if metadata.records and not known:
        write_stderr(
            "the page may write texts that the model has learned; --novel with their file prevents it\n"
        )
    excerpt = next(iter(metadata.prompts), "")
    # An excerpt may end in a word.
    prompt = re.sub(r"(?<=\s)\S+$", "", excerpt) if arguments.prompt is None else arguments.prompt
    # The page reads capitals in lower case if the model knows only that.
    read = "".join(symbol if metadata.tokenizer.can_encode(symbol) else symbol.lower() for symbol in prompt)
    for warning in unknown_warnings(metadata, [read], "skip"):
        print_diagnostic(PROG, warning, "warning")
    return {"model": content, "prompt": prompt, "known": known}


def read_known(source: str, metadata: Metadata) -> str:
    """Return the element of the page with the records of a corpus.

    Raises:
        OutputError: If the model is not one of records.
        CorpusError: If the corpus is missing or empty, or is not available.
        TextFileError: If it cannot be read, or is not UTF-8.
    """
    if metadata.records is None:
        raise OutputError("--novel needs a model of records")
    # Imported on use: most pages know no corpus.
    from textgen_runtime.corpus import corpus_for

    corpus = metadata.normalize(corpus_for(metadata, source).text)
    return known_records(corpus_records(corpus, metadata.records))


def read_abcjs(path: Path) -> str:
    """Return the script of abcjs after its license, which is a comment in a file beside it.

    Raises:
        OutputError: If the file is another one.
        TextFileError: If a file cannot be read, or is not UTF-8.
    """
    script = read_text(str(path))
    if "renderAbc" not in script or "TimingCallbacks" not in script:
        raise OutputError(f"--abcjs {path}: the file is not abcjs-basic-min.js")
    return read_text(f"{path}.LICENSE") + script
