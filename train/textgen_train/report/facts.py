"""The facts of a run, and the tables of a report that show them: network, corpus, recipe, conditions, use."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from textgen_runtime.bench.report import describe_machine
from textgen_runtime.files import STANDARD_INPUT
from textgen_runtime.model_file import Metadata, unambiguous_path
from textgen_runtime.tokenizer import BYTE, symbol_name

from textgen_train.data.dataset import Dataset
from textgen_train.data.parts import symbol_count
from textgen_train.data.tokens import count_tokens
from textgen_train.export.network import Network
from textgen_train.export.written_models import is_native
from textgen_train.parameters import format_value, option_name

from .html import command, definitions, html, table

if TYPE_CHECKING:
    from textgen_train.loop.specification import RunSpecification

MAX_FREQUENT_SYMBOLS = 12

# Of a longer text, only the beginning is counted.
MAX_COUNTED_TOKENS = 2**24


@dataclass(frozen=True)
class RunFacts:
    """The facts of a run that do not change while it runs."""

    specification: "RunSpecification"
    folder: Path
    machine: Mapping[str, Any] = field(default_factory=describe_machine)

    @property
    def dataset(self) -> Dataset:
        """The dataset of the run."""
        return self.specification.dataset

    @property
    def normalization(self) -> str:
        """The normalization of the text, in words."""
        if self.dataset.tokenizer.level == BYTE:
            return "bytes unchanged"
        form = self.dataset.normalization
        case = "lower case" if form.lowercase else "case unchanged"
        return f"{case}, {f'Unicode {form.unicode}' if form.unicode else 'code points unchanged'}"

    @cached_property
    def frequent_symbols(self) -> list[tuple[str, float]]:
        """The names of the most frequent symbols, with their shares of the training text in [0, 1]."""
        tokenizer = self.dataset.tokenizer
        special = {token: f"{name} token" for name, token in tokenizer.special.by_name.items()}
        counted = self.dataset.training[:MAX_COUNTED_TOKENS]
        counts = count_tokens(counted, len(tokenizer))
        order = [int(token) for token in np.argsort(-counts, kind="stable")[:MAX_FREQUENT_SYMBOLS]]
        return [
            (
                special.get(token) or _name(tokenizer.level, tokenizer.symbols[token]),
                counts[token] / len(counted),
            )
            for token in order
            if counts[token]
        ]


def _name(level: str, symbol: str) -> str:
    # Most bytes above ASCII are only parts of a character.
    return f"byte {ord(symbol):02X}" if level == BYTE and not symbol.isascii() else symbol_name(symbol)


def generating_command(folder: Path, metadata: Metadata, source: str | None) -> str:
    """Return a command that generates text, quoted for a shell. Of records, it prints only new ones.

    Without records and default prompts, the corpus is no text: the user chooses the beginning of a file. The
    source of the corpus is that of ``read_corpus``; None if it is not known.
    """
    if metadata.records:
        options = f"--count 20 --unique{novel_option(metadata, source)}"
    else:
        options = "--temp 0.5" if metadata.prompts else "--raw --prompt-file BEGINNING > NEW"
    engine = "" if is_native(metadata) else "--engine onnxruntime "
    return f"textgen-run {shlex.quote(unambiguous_path(folder))} {engine}{options}"


def novel_option(metadata: Metadata, source: str | None) -> str:
    """Return the option, after a space, that leaves out the records of the corpus; "" without records.

    The source is that of ``generating_command``.
    """
    # Standard input cannot be read again.
    if metadata.records is None or source is None or source == STANDARD_INPUT:
        return ""
    # A name that begins with a hyphen would be an option.
    return f" --novel {shlex.quote(f'./{source}' if source.startswith('-') else source)}"


def generating_program(folder: Path, metadata: Metadata) -> str:
    """Return a Python program that generates one text."""
    # A record ends by itself.
    arguments = "" if metadata.records else "length=400, " if metadata.prompts else '"TEXT", length=400, '
    engine = "" if is_native(metadata) else ', engine="onnxruntime"'
    return (
        "import textgen_runtime as textgen\n\n"
        f"model = textgen.load({unambiguous_path(folder)!r}{engine})\n"
        f"print(model.generate({arguments}temperature=0.5))"
    )


def network_table(network: Network, trained: int) -> str:
    """Return the layers of a network with their parameters, of which so many were trained."""
    if not network.layers:
        # The core does not describe the cells that are for comparisons.
        return f"<p>{trained:,} parameters were trained.</p>"
    total = sum(layer.parameters for layer in network.layers)
    rows = [
        [
            html(layer.name),
            html(layer.kind),
            *(f"{n:,}" for n in (layer.parameters, layer.inputs, layer.outputs)),
        ]
        for layer in network.layers
    ]
    rows.append(["all layers", "", f"{total:,}", "", ""])
    parts = table("Layers", ["layer", "kind", "parameters", "inputs", "outputs"], rows, (2, 3, 4))
    if trained > total:
        parts += (
            f"<p>{trained:,} parameters were trained. Each recurrent layer had two biases, and the model "
            "file contains their sum.</p>"
        )
    elif trained < total:
        parts += f"<p>Training changed {trained:,} of them. The one-hot vectors are constant.</p>"
    return parts


def corpus_facts(facts: RunFacts, training: Mapping[str, Any]) -> str:
    """Return the facts of the corpus; ``training`` is the metadata of this name of the model file."""
    split = training.get("split", {})
    held_out = split.get("held_out", "")
    if isinstance(held_out, dict):
        held_out = f"the text {held_out.get('corpus', '')}"
    pairs = [
        ("corpus", html(facts.specification.corpus.name)),
        ("SHA-256", f"<code>{html(training.get('sha256', ''))}</code>"),
        ("characters", f"{training.get('characters', 0):,}"),
        ("training text", f"{split.get('training_characters', 0):,} characters"),
        ("held-out text", f"{split.get('held_out_characters', 0):,} characters, {html(held_out)}"),
        ("normalization", html(facts.normalization)),
        ("symbols", f"{symbol_count(facts.dataset.tokenizer):,}"),
    ]
    if "unknown" in split:
        unknown = split["unknown"]
        share = f"{unknown['training_share']:.2%} of the training text"
        pairs.append(("unknown symbol", f"replaces {unknown['symbols']:,} rare symbols, {share}"))
    frequent = [(name, f"{share:.1%}") for name, share in facts.frequent_symbols]
    return f"{definitions(pairs)}<h3>The most frequent symbols</h3>{definitions(frequent)}"


def recipe_table(facts: RunFacts) -> str:
    """Return the hyperparameters. Those that differ from the preset are marked."""
    options, recipe = facts.specification.options, facts.specification.recipe
    usual = options.usual_recipe(*facts.dataset.sizes, facts.specification.expected_epochs)
    rows = []
    for parameter in fields(recipe):
        value, default = getattr(recipe, parameter.name), getattr(usual, parameter.name)
        explanation = html(parameter.metadata["help"])
        name = f"<code>{html(option_name(parameter.name))}</code><br><small>{explanation}</small>"
        shown = html(format_value(value))
        changed = f"<mark>{shown}</mark> (changed)" if value != default else shown
        rows.append([name, changed, html(format_value(default))])
    return table(f"Recipe: {options.recipe_name}", ["option", "value", "usual value"], rows, (1, 2))


def run_facts(facts: RunFacts, training: Mapping[str, Any]) -> str:
    """Return the conditions of the run: budget, seed, threads, processor, versions and date."""
    recipe, budget = training.get("recipe", {}), training.get("budget", {})
    length = [
        f"{value:g} {unit.removesuffix('s') if value == 1 else unit}"
        for unit, value in budget.items()
        if value is not None
    ]
    replicas = training.get("replicas", 1)
    teachers = [("teacher", html(describe_teacher(teacher))) for teacher in training.get("teachers", ())]
    if teachers:
        teachers.append(("weight of the teacher", html(f"{training.get('teacher_weight'):g}")))
    versions = ", ".join(f"{name} {version}" for name, version in training.get("versions", {}).items())
    return definitions(
        [
            ("budget", html(", ".join(length))),
            *teachers,
            ("seed", html(recipe.get("seed", ""))),
            ("training threads", html(replicas)),
            ("matrix products", "bfloat16" if recipe.get("bfloat16") else "float32"),
            ("processor", html(facts.machine.get("processor", ""))),
            ("usable cores", html(facts.machine.get("cores", ""))),
            ("system", html(facts.machine.get("system", ""))),
            ("versions", html(versions)),
            ("date", html(training.get("date", ""))),
        ]
    )


def describe_teacher(teacher: Mapping[str, Any]) -> str:
    """Return the source of a model from which a run learned, the start of its SHA-256, and its loss."""
    loss = teacher.get("held_out_nats")
    described = f", held-out loss {loss:.4f} nats" if isinstance(loss, float) else ""
    return f"{teacher.get('source')} ({str(teacher.get('sha256'))[:8]}){described}"


def usage(facts: RunFacts, metadata: Metadata | None) -> str:
    """Return how to use the model, if its file can be read, and the command that made it."""
    words, source, parts = facts.specification.command, facts.specification.options.corpus, list[str]()
    if metadata:
        parts = [
            "<p>In a shell:</p>",
            command(generating_command(facts.folder, metadata, source)),
            "<p>In Python:</p>",
            command(generating_program(facts.folder, metadata)),
        ]
    if words:
        parts += ["<p>The command that made the model:</p>", command(shlex.join(words))]
    return "".join(parts)
