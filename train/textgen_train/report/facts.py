"""The facts of a run that do not change while it runs."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from textgen_runtime.bench.machine import describe_machine
from textgen_runtime.text.levels import BYTE
from textgen_runtime.text.symbols import symbol_name

from textgen_train.data.dataset import Dataset
from textgen_train.data.symbols import symbol_count
from textgen_train.data.token_array import count_tokens
from textgen_train.recipe import AnyRecipe

MAX_FREQUENT_SYMBOLS = 12

# Of a longer text, only the beginning is counted.
MAX_COUNTED_TOKENS = 2**24


@dataclass(frozen=True)
class RunFacts:
    """The facts of a run.

    Attributes:
        corpus: The name of the corpus.
        source: Where it was read from, as for ``read_corpus``; None if it is not known.
        folder: The output folder.
        command: The command that started the run, quoted for a shell; "" if there was none.
        recipe: The hyperparameters.
        usual: The preset or recipe without the values that the user has changed.
        usual_name: Its name, such as "preset small".
        normalization: The normalization of the text, in words.
        symbols: The number of symbols in the vocabulary, as ``symbol_count`` counts them.
        frequent_symbols: The names of the most frequent symbols, with their shares of the training text in
            [0, 1].
        machine: The processor, the operating system, and so on.
    """

    corpus: str
    source: str | None
    folder: Path
    command: str
    recipe: AnyRecipe
    usual: AnyRecipe
    usual_name: str
    normalization: str
    symbols: int
    frequent_symbols: Sequence[tuple[str, float]]
    machine: Mapping[str, Any]


def gather_facts(  # noqa: PLR0913 (keywords, each a fact)
    dataset: Dataset,
    *,
    corpus: str,
    source: str | None,
    folder: Path,
    command: Sequence[str],
    recipe: AnyRecipe,
    usual: tuple[str, AnyRecipe] | None,
) -> RunFacts:
    """Return the facts of a run.

    Args:
        dataset: Provides the symbols and their frequencies.
        corpus: The name of the corpus.
        source: Where it was read from; None if it is not known.
        folder: The output folder.
        command: The words of the command that started the run.
        recipe: The hyperparameters.
        usual: The name and the values of the preset; None for a recipe without one.
    """
    usual_name, usual_recipe = usual or (f"{recipe.name} recipe", recipe)
    form = dataset.normalization
    return RunFacts(
        corpus=corpus,
        source=source,
        folder=folder,
        command=shlex.join(command),
        recipe=recipe,
        usual=usual_recipe,
        usual_name=usual_name,
        normalization="bytes unchanged"
        if dataset.tokenizer.level == BYTE
        else f"{'lower case' if form.lowercase else 'case unchanged'}, "
        + (f"Unicode {form.unicode}" if form.unicode else "code points unchanged"),
        symbols=symbol_count(dataset.tokenizer),
        frequent_symbols=_frequent_symbols(dataset),
        machine=describe_machine(),
    )


def _frequent_symbols(dataset: Dataset) -> list[tuple[str, float]]:
    tokenizer = dataset.tokenizer
    special = {token: f"{name} token" for name, token in tokenizer.special.by_name.items()}
    counted = dataset.training[:MAX_COUNTED_TOKENS]
    counts = count_tokens(counted, len(tokenizer))
    order = [int(token) for token in np.argsort(-counts, kind="stable")[:MAX_FREQUENT_SYMBOLS]]
    return [
        (special.get(token) or _name(tokenizer.level, tokenizer.symbols[token]), counts[token] / len(counted))
        for token in order
        if counts[token]
    ]


def _name(level: str, symbol: str) -> str:
    # Most bytes above ASCII are only parts of a character.
    return f"byte {ord(symbol):02X}" if level == BYTE and not symbol.isascii() else symbol_name(symbol)
