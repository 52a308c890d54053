"""How to use a model that was just trained: a command and a program."""

import shlex
from pathlib import Path

from textgen_runtime.model_file.bundled import unambiguous_path
from textgen_runtime.model_file.metadata import Metadata


def generating_command(folder: Path, metadata: Metadata) -> str:
    """Return a command that generates text, quoted for a shell.

    Args:
        folder: The folder with the model file.
        metadata: The metadata of the model. Without records and default prompts, the corpus is no text: the
            user chooses the beginning of a file.
    """
    without_prompt = "--count 20" if metadata.records else "--temp 0.5" if metadata.prompts else ""
    options = without_prompt or "--raw --prompt-file BEGINNING > NEW"
    return f"textgen-run {shlex.quote(unambiguous_path(folder))} {options}"


def generating_program(folder: Path, metadata: Metadata) -> str:
    """Return a Python program that generates one text.

    Args:
        folder: The folder with the model file.
        metadata: The metadata of the model.
    """
    prompt = "" if metadata.records or metadata.prompts else '"TEXT", '
    return (
        "import textgen_runtime as textgen\n\n"
        f"model = textgen.load({unambiguous_path(folder)!r})\n"
        f"print(model.generate({prompt}length=400, temperature=0.5))"
    )
