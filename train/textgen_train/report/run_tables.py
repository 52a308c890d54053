"""The tables of a report: network, corpus, recipe, and the conditions of the run."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.model_file.network import Network

from textgen_train.parameters import format_value, option_name

from .facts import RunFacts
from .first_use import generating_command, generating_program
from .html_text import command, definitions, html, table


def network_table(network: Network, trained: int) -> str:
    """Return the layers of a network with their parameters.

    Args:
        network: The network of the model file.
        trained: Number of trained parameters.
    """
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
    """Return the facts of the corpus.

    Args:
        facts: The facts of the run.
        training: The metadata ``textgen.training`` of the model file.
    """
    split = training.get("split", {})
    held_out = split.get("held_out", "")
    if isinstance(held_out, dict):
        held_out = f"the text {held_out.get('corpus', '')}"
    pairs = [
        ("corpus", html(facts.corpus)),
        ("SHA-256", f"<code>{html(training.get('sha256', ''))}</code>"),
        ("characters", f"{training.get('characters', 0):,}"),
        ("training text", f"{split.get('training_characters', 0):,} characters"),
        ("held-out text", f"{split.get('held_out_characters', 0):,} characters, {html(held_out)}"),
        ("normalization", html(facts.normalization)),
        ("symbols", f"{facts.symbols:,}"),
    ]
    if "unknown" in split:
        unknown = split["unknown"]
        share = f"{unknown['training_share']:.2%} of the training text"
        pairs.append(("unknown symbol", f"replaces {unknown['symbols']:,} rare symbols, {share}"))
    frequent = [(name, f"{share:.1%}") for name, share in facts.frequent_symbols]
    return f"{definitions(pairs)}<h3>The most frequent symbols</h3>{definitions(frequent)}"


def recipe_table(facts: RunFacts) -> str:
    """Return the hyperparameters. Those that differ from the preset are marked."""
    usual = asdict(facts.usual)
    rows = []
    for parameter in fields(facts.recipe):
        value, default = getattr(facts.recipe, parameter.name), usual[parameter.name]
        explanation = html(parameter.metadata["help"])
        name = f"<code>{html(option_name(parameter.name))}</code><br><small>{explanation}</small>"
        shown = html(format_value(value))
        rows.append(
            [
                name,
                f"<mark>{shown}</mark> (changed)" if value != default else shown,
                html(format_value(default)),
            ]
        )
    return table(f"Recipe: {facts.usual_name}", ["option", "value", "usual value"], rows, (1, 2))


def run_facts(facts: RunFacts, training: Mapping[str, Any]) -> str:
    """Return the conditions of the run: budget, seed, threads, processor, versions and date."""
    recipe, budget = training.get("recipe", {}), training.get("budget", {})
    length = [
        f"{value:g} {unit.removesuffix('s') if value == 1 else unit}"
        for unit, value in budget.items()
        if value is not None
    ]
    replicas = training.get("replicas", 1)
    versions = ", ".join(f"{name} {version}" for name, version in training.get("versions", {}).items())
    return definitions(
        [
            ("budget", html(", ".join(length))),
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


def usage(facts: RunFacts, metadata: Metadata | None) -> str:
    """Return how to use the model, and the command that made it.

    Args:
        facts: The facts of the run.
        metadata: The metadata of the model; None if its file cannot be read.
    """
    parts: list[str] = []
    if metadata:
        parts = [
            "<p>In a shell:</p>",
            command(generating_command(facts.folder, metadata, facts.source)),
            "<p>In Python:</p>",
            command(generating_program(facts.folder, metadata)),
        ]
    if facts.command:
        parts += ["<p>The command that made the model:</p>", command(facts.command)]
    return "".join(parts)
