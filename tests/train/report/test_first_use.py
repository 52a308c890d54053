"""How to use a new model: the command and the program fit its records and its prompts."""

from pathlib import Path

import pytest
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.text.byte_tokenizer import ByteTokenizer
from textgen_runtime.text.vocabulary import CharacterTokenizer
from textgen_train.report.facts import generating_command, generating_program

CHARACTERS = CharacterTokenizer(["a", "b"])


@pytest.mark.parametrize(
    ("metadata", "options", "arguments"),
    [
        (Metadata(CHARACTERS, prompts=("ab",)), "--temp 0.5", "length=400, temperature=0.5"),
        # A record ends by itself.
        (
            Metadata(CHARACTERS, records="lines"),
            "--count 20 --unique --novel 'my names.txt'",
            "temperature=0.5",
        ),
        # The bytes of a file that is no text have no excerpts to continue.
        (
            Metadata(ByteTokenizer()),
            "--raw --prompt-file BEGINNING > NEW",
            '"TEXT", length=400, temperature=0.5',
        ),
    ],
)
def test_the_command_and_the_program_fit_the_model(metadata: Metadata, options: str, arguments: str) -> None:
    folder = Path("my model")
    assert generating_command(folder, metadata, "my names.txt") == f"textgen-run 'my model' {options}"
    assert f"textgen.load('my model')\nprint(model.generate({arguments}))" in generating_program(
        folder, metadata
    )


@pytest.mark.parametrize(
    ("source", "option"), [("-names.txt", " --novel ./-names.txt"), ("-", ""), (None, "")]
)
def test_the_command_names_a_corpus_that_can_be_read_again(source: str | None, option: str) -> None:
    command = generating_command(Path("model"), Metadata(CHARACTERS, records="lines"), source)
    assert command == f"textgen-run model --count 20 --unique{option}"
