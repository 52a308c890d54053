"""``textgen-web``: write a web page that runs a model."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from textgen_runtime._core import CoreModel
from textgen_runtime.errors import ModelFileError, OutputError, shorten
from textgen_runtime.files import is_output, remove_abandoned, replace_file
from textgen_runtime.interrupts import DeferredInterrupts
from textgen_runtime.model_file import MODEL_FILE, Metadata, find_model_file, name_source, read_model
from textgen_runtime.terminal import print_diagnostic, write_stderr
from textgen_runtime.tokenizer import format_symbols
from textgen_runtime.web.known_records import known_records
from textgen_runtime.web.page import MAX_EMBEDDED, write_page

from ._output_files import output_folder
from .command import run_command
from .parser import CommandParser, add_model, escaped_text
from .texts import corpus_records

PROG = "textgen-web"

EXAMPLES = """\
examples:
  textgen-web nietzsche --prompt "the will to "
  textgen-web my-novel-model -o site --title "My novel"
  textgen-web names-model --novel names.txt
  textgen-web model.onnx -o public/writer --overwrite
"""

PAGE_FILE = "index.html"

# The end of the name of a folder of textgen-train.
MODEL_SUFFIX = "-model"

BYTES_PER_MEGABYTE = 1e6


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-run``."""
    arguments = parser().parse_args(argv)
    return run_command(PROG, lambda: write_site(arguments))


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG,
        "Write a web page that runs a model in the browser. The page shows a text while it is\n"
        "generated, the probabilities of the next character, branches of the text, and links\n"
        "to share. It is one file that works without a server and without a network.",
        EXAMPLES,
    )
    add_model(command)
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help=f"folder for {PAGE_FILE}; it is created if necessary (default: MODEL-site)",
    )
    command.add_argument("--title", help="title of the page (default: the name of the model)")
    command.add_argument(
        "--prompt",
        type=escaped_text,
        help=r"text in the field Beginning of the page; \n is a line end (default: the model's first prompt)",
    )
    command.add_argument(
        "--novel",
        metavar="CORPUS",
        help="let the page write only records that are not in CORPUS, which is a UTF-8 file, a folder with "
        ".txt or .abc files, - for standard input, or the name of a corpus; only for a model of records, "
        "such as names",
    )
    command.add_argument(
        "--abcjs",
        type=Path,
        metavar="SCRIPT",
        help="show the score of a tune in ABC notation, and play it, with SCRIPT, which is the file "
        "dist/abcjs-basic-min.js of the npm package abcjs; its license stands beside it (default: show the "
        "text alone)",
    )
    command.add_argument("--overwrite", action="store_true", help="replace an earlier page of this command")
    return command


def write_site(arguments: argparse.Namespace) -> int:
    """Write the page, and its path to standard output; return the exit code."""
    content = read_model(arguments.model)
    metadata = check_model(arguments.model, content)
    name = default_name(arguments.model)
    if arguments.novel is not None and metadata.records is None:
        raise OutputError(f"--novel: {name_source(arguments.model)} is not a model of records")
    prompt = next(iter(metadata.prompts), "") if arguments.prompt is None else arguments.prompt
    warn_unknown(metadata, prompt)
    folder = arguments.output or Path(f"{name}-site")
    if len(content) > MAX_EMBEDDED:
        raise OutputError(
            f"{name_source(arguments.model)}: the model has {len(content) / BYTES_PER_MEGABYTE:,.0f} MB, too "
            f"much for a page: it can have {MAX_EMBEDDED / BYTES_PER_MEGABYTE:,.0f} MB"
        )
    title = name if arguments.title is None else arguments.title
    abcjs = "" if arguments.abcjs is None else read_abcjs(arguments.abcjs)
    known = ""
    if arguments.novel is not None and metadata.records is not None:
        # Imported on use: most pages know no corpus.
        from textgen_runtime.corpus import corpus_for

        corpus = metadata.normalize(corpus_for(metadata, arguments.novel).text)
        known = known_records(corpus_records(corpus, metadata.records))
    page = write_page(content, title=title, prompt=prompt, abcjs=abcjs, known=known)
    write_file(folder, page, Path(find_model_file(arguments.model)), overwrite=arguments.overwrite)
    # A folder may have a name that the output's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout.write(f"{folder / PAGE_FILE} ({len(page) / BYTES_PER_MEGABYTE:.1f} MB)\n")
    sys.stdout.flush()
    if metadata.records and not known:
        write_stderr("the page may write records of the corpus: to prevent this, pass --novel CORPUS\n")
    return 0


def check_model(model: str, content: bytes) -> Metadata:
    """Check that the page can run a model: it uses the same C core as the native engine.

    Raises:
        ModelFileError: If the model is damaged, or if the core does not support its graph.
    """
    try:
        return Metadata.read(CoreModel(content))
    except ModelFileError as error:
        raise ModelFileError(f"{name_source(model)}: ", *error.args) from error


def read_abcjs(path: Path) -> str:
    """Return the script of abcjs after its license, which is a comment in a file beside it.

    Raises:
        OutputError: If the file cannot be read, or is another one.
    """
    try:
        script = path.read_text(encoding="utf-8")
        license_text = path.with_name(f"{path.name}.LICENSE").read_text(encoding="utf-8")
    except OSError as error:
        name = shorten(error.filename)
        raise OutputError(f"--abcjs {shorten(str(path))}: cannot read {name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise OutputError(f"--abcjs {shorten(str(path))}: the file is not UTF-8") from None
    if "renderAbc" not in script or "TimingCallbacks" not in script:
        raise OutputError(f"--abcjs {shorten(str(path))}: the file is not abcjs-basic-min.js")
    return license_text + script


def warn_unknown(metadata: Metadata, prompt: str) -> None:
    """Write a warning if the page will skip characters of the prompt."""
    tokenizer = metadata.tokenizer
    unknown = sorted(tokenizer.count_unknown(metadata.normalize(prompt)))
    # The page reads capitals in lower case if the model knows only that.
    skipped = [character for character in unknown if not tokenizer.can_encode(character.lower())]
    if skipped:
        print_diagnostic(
            PROG,
            "the page skips characters of the prompt that the model does not know: "
            f"{format_symbols(skipped)}",
            "warning",
        )


def default_name(model: str) -> str:
    """Return the name of the model file, or of its folder as ``textgen-train`` names it."""
    file = Path(find_model_file(model)).resolve()
    return file.parent.name.removesuffix(MODEL_SUFFIX) if file.name == MODEL_FILE else file.stem


def write_file(folder: Path, page: bytes, model: Path, *, overwrite: bool) -> None:
    """Write the page to a folder, atomically.

    Raises:
        OutputError: If a file exists and may not be replaced, or cannot be written.
    """
    path = folder / PAGE_FILE
    with DeferredInterrupts(), output_folder(folder, [PAGE_FILE]):
        if path.exists():
            if path.samefile(model):
                raise OutputError(f"{path} is the model: choose another folder with -o")
            if not is_output(path):
                raise OutputError(f"{path} is no page of {PROG}: choose another folder with -o")
            if not overwrite:
                raise OutputError(f"{path} exists: choose another folder with -o, or pass --overwrite")
        remove_abandoned(folder)
        replace_file(path, page)
