"""The arguments of ``textgen-train``."""

from collections.abc import Callable
from pathlib import Path

from textgen_runtime.cli.command import run_command
from textgen_runtime.cli.parser import MAX_THREADS, CommandParser, number, whole_number
from textgen_runtime.corpora.corpus import CORPUS_NAMES
from textgen_runtime.errors import TextgenError
from textgen_runtime.text.levels import CHARACTER, LEVELS
from textgen_runtime.text.normalization import UNICODE_FORMS
from textgen_runtime.text.records import RECORD_KINDS

from textgen_train.data.preparation import HELD_OUT_SHARE, MAX_HELD_OUT_CHARACTERS
from textgen_train.data.vocabularies import VOCABULARY_SIZE
from textgen_train.hyperparameters import option_name

from ._recipe_arguments import add_budget, add_hyperparameters, add_recipe

PROG = "textgen-train"

DEVICES = ("auto", "cpu", "cuda", "mps")

EXAMPLES = """\
examples:
  textgen-train python-docs --minutes 1
  textgen-train nietzsche --lowercase --epochs 20 -o my-nietzsche
  textgen-train my-novel.txt --preset large --minutes 60
  textgen-train nietzsche --lowercase --cell gru
  textgen-train nietzsche --recipe classic --epochs 10
  textgen-train my-novel.txt --from nietzsche --extend -o tuned
  textgen-train my-novel.txt --level word --vocabulary-size 8000 -o words
  textgen-train tunes/ --records blank -o tunes-model
  textgen-train --resume my-novel-model
"""


# Arguments whose spelling does not follow from their name.
SPELLINGS = {"corpus": "CORPUS", "output": "-o"}


def option(name: str) -> str:
    """Return how a parameter is spelled on the command line."""
    return SPELLINGS.get(name) or f"--{option_name(name)}"


def run_training_command(prog: str, command: Callable[[], int]) -> int:
    """Run a command as ``run_command`` does. Its errors spell parameters as options."""

    def spelling_options() -> int:
        try:
            return command()
        except TextgenError as error:
            raise type(error)(error.spelled(option)) from error

    return run_command(prog, spelling_options)


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG, "Train a model of the characters, bytes or words of a text, and export it to ONNX.", EXAMPLES
    )
    command.usage = "%(prog)s CORPUS [OPTIONS] | [CORPUS] --resume FOLDER"
    add_corpus(command)
    add_parent(command)
    add_budget(command)
    add_hardware(command)
    add_recipe(command)
    add_hyperparameters(command)
    add_output(command)
    add_resume(command)
    return command


def add_corpus(command: CommandParser) -> None:
    """Add the corpus, its normalization and its held-out part."""
    group = command.add_argument_group("corpus")
    group.add_argument(
        "corpus",
        metavar="CORPUS",
        nargs="?",
        help="a UTF-8 file, which may be compressed (.gz, .zst), a folder with .txt or .abc files, - for "
        f"standard input, or the name of a corpus: {', '.join(CORPUS_NAMES)}; with --level byte, any file or "
        "all files of a folder",
    )
    group.add_argument(
        "--level",
        choices=LEVELS,
        default=CHARACTER,
        help="what the model predicts: characters; the bytes of any file; or words, and the characters of "
        "rare words (default: character)",
    )
    group.add_argument(
        "--vocabulary-size",
        metavar="N",
        type=whole_number(2),
        help="maximum number of symbols with --level word: all characters of the text, and its most frequent "
        f"words (default: {VOCABULARY_SIZE})",
    )
    group.add_argument("--lowercase", action="store_true", help="convert the text to lower case")
    group.add_argument(
        "--unicode",
        metavar="FORM",
        choices=(*UNICODE_FORMS, "none"),
        default="NFC",
        help="Unicode normal form: NFC, NFD, NFKC, NFKD or none (default: NFC)",
    )
    group.add_argument(
        "--min-count",
        metavar="N",
        type=whole_number(1),
        default=1,
        help="replace all characters that occur fewer than N times in the training text by one unknown "
        "symbol; losses with different N are not comparable (default: 1, which keeps all characters)",
    )
    group.add_argument(
        "--records",
        choices=RECORD_KINDS,
        help="train on records, each of which is a text of its own: lines, such as names or molecules, or "
        "texts between blank lines, such as tunes; the held-out part is drawn from all of them "
        "(default: one continuous text)",
    )
    held_out = group.add_mutually_exclusive_group()
    held_out.add_argument(
        "--held-out",
        metavar="SHARE",
        type=number("a number above 0 and below 1", lambda value: 0 < value < 1),
        help="hold out the last SHARE of the text, or a random SHARE of the records (default: "
        f"{HELD_OUT_SHARE}, at most {MAX_HELD_OUT_CHARACTERS:,} characters)",
    )
    held_out.add_argument(
        "--held-out-file",
        metavar="TEXT",
        help="hold out a separate text instead: a file, a folder, - or the name of a corpus",
    )


def add_parent(command: CommandParser) -> None:
    """Add the model from which the run starts."""
    group = command.add_argument_group("fine-tuning")
    group.add_argument(
        "--from",
        metavar="MODEL",
        help="start from the weights of a model instead of random ones: a model file, a folder with "
        "model.onnx, or the name of a bundled model; it determines the network, the vocabulary and the "
        "normalization, and the preset is the one with the nearest network",
    )
    group.add_argument(
        "--extend",
        action="store_true",
        help="add the symbols of the corpus that the model does not know to its vocabulary",
    )


def add_hardware(command: CommandParser) -> None:
    """Add the device and the number of threads."""
    group = command.add_argument_group(
        "hardware", "torchrun -m textgen_train CORPUS [OPTIONS] trains in several processes."
    )
    group.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        help="where the network is trained: auto is a GPU with cuda or mps if there is one, else cpu "
        "(default: auto)",
    )
    group.add_argument(
        "--threads",
        metavar="N",
        type=whole_number(1, MAX_THREADS),
        help="maximum number of threads of a process, for training and evaluation (default: one per "
        "available processor)",
    )


def add_output(command: CommandParser) -> None:
    """Add the options of the output folder."""
    group = command.add_argument_group("output")
    group.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        type=Path,
        help="output folder (default: CORPUS-model, without the file extension, and with - for spaces)",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace the files of an earlier run in the output folder"
    )
    group.add_argument(
        "--quantize",
        action="store_true",
        help="at the end, also write model.int8.onnx: the best model with 8-bit weights, about a quarter of "
        "the size; its held-out loss is printed and stored; not for --cell conv",
    )
    group.add_argument("--no-samples", action="store_true", help="do not generate samples at the evaluations")
    group.add_argument(
        "--tensorboard",
        action="store_true",
        help="also write losses, learning rate, speed and samples for TensorBoard, to the folder tensorboard "
        "in the output folder; requires the package tensorboard",
    )


def add_resume(command: CommandParser) -> None:
    """Add the option that resumes a run."""
    group = command.add_argument_group("resume")
    group.add_argument(
        "--resume",
        metavar="FOLDER",
        type=Path,
        help="resume the run in this output folder where it stopped, with its options; pass CORPUS and "
        "--held-out-file only if the texts have moved or were standard input",
    )
