"""How to use a model that was just trained: a command and a program."""

import shlex
from pathlib import Path

from textgen_runtime.model_file.bundled import unambiguous_path
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.system.text_files import STANDARD_INPUT


def generating_command(folder: Path, metadata: Metadata, source: str | None) -> str:
    """Return a command that generates text, quoted for a shell. Of records, it prints only new ones.

    Args:
        folder: The folder with the model file.
        metadata: The metadata of the model. Without records and default prompts, the corpus is no text: the
            user chooses the beginning of a file.
        source: Where the corpus was read from, as for ``read_corpus``; None if it is not known.
    """
    if metadata.records:
        options = f"--count 20 --unique{_novel(source)}"
    else:
        options = "--temp 0.5" if metadata.prompts else "--raw --prompt-file BEGINNING > NEW"
    return f"textgen-run {shlex.quote(unambiguous_path(folder))} {options}"


def _novel(source: str | None) -> str:
    # Standard input cannot be read again.
    if source is None or source == STANDARD_INPUT:
        return ""
    # A name that begins with a hyphen would be an option.
    return f" --novel {shlex.quote(f'./{source}' if source.startswith('-') else source)}"


def generating_program(folder: Path, metadata: Metadata) -> str:
    """Return a Python program that generates one text.

    Args:
        folder: The folder with the model file.
        metadata: The metadata of the model.
    """
    # A record ends by itself.
    arguments = "" if metadata.records else "length=400, " if metadata.prompts else '"TEXT", length=400, '
    return (
        "import textgen_runtime as textgen\n\n"
        f"model = textgen.load({unambiguous_path(folder)!r})\n"
        f"print(model.generate({arguments}temperature=0.5))"
    )
