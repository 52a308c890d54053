"""Replaces names in double braces by what the code has: values, and texts that are made from it.

``{{ textgen_runtime.model.DEFAULT_LENGTH }}`` is the value of a name of Python. A format may follow after a
colon, such as ``:,``. The other names are the functions of ``TEXTS``.
"""

import re
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import textgen_runtime
import textgen_train
from sphinx.application import Sphinx
from textgen_runtime.json_text import to_json
from textgen_train.config import PRESETS, Config

NAME = re.compile(r"\{\{ ([\w.]+)(?::(\S+))? \}\}")
# Directives of autodoc with options of their own. The values of data are described by hand.
OPTIONS = {
    "Generation": ":exclude-members: position",
    "Model": ":inherited-members:",
    "Sampling": ":inherited-members:",
}
WITHOUT_SIGNATURE = {"Config", "Corpus", "Generation", "Parameter", "Sampler", "Trainer"}
DATA = {
    "PARAMETERS": "The :class:`Parameter` of each sampling parameter, by its name.",
    "__version__": "The version of the distribution, a string.",
}

TRAINER = Path(__file__).parents[2] / "train/core"
# A row of presets.c.
CHOICE = re.compile(r'\{"(\w+)", (true|false), (\w+), &\w+, (.*?)\}')


def api(package: str) -> str:
    """Return an entry of autodoc for each public name of a package."""
    module = resolve_name(package)
    lines = [f".. currentmodule:: {package}"]
    for name in sorted(module.__all__, key=str.lower):
        value = getattr(module, name)
        if name in DATA:
            lines += [f".. py:data:: {name}", "", f"   {DATA[name]}", ""]
        elif module is textgen_runtime or name not in textgen_runtime.__all__:
            is_error = isinstance(value, type) and issubclass(value, Exception)
            kind = "exception" if is_error else "class" if isinstance(value, type) else "function"
            lines.append(f".. auto{kind}:: {name}{'()' * (name in WITHOUT_SIGNATURE)}")
            option = ":show-inheritance:" if is_error else OPTIONS.get(name, "")
            lines += [f"   {option}", ""] if option else [""]
    return "```{eval-rst}\n" + "\n".join(lines) + "\n```"


def table(*rows: tuple[str, ...]) -> str:
    """Return a table in Markdown, whose first row is the heading."""
    heading, *others = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([heading, "|---" * len(rows[0]) + "|", *others])


def preset_sizes() -> str:
    """Return the table of the networks of the presets, for the vocabulary of ``nietzsche``."""
    symbols = textgen_runtime.load("nietzsche").tokenizer.symbols
    text = "".join(symbols).encode() * 4
    corpus = textgen_train.Corpus(text, "", vocabulary=to_json([*symbols], ascii_only=False))
    rows = [("`--preset`", "layers", f"parameters, with {len(symbols)} symbols", "`model.onnx`")]
    for name in PRESETS:
        recipe = Config("nietzsche", preset=name).choose_recipe()
        parameters = textgen_train.Trainer(corpus, recipe, 0, 1).parameters
        size = f"{recipe['layers']} of {recipe['units']} units"
        rows.append((f"`{name}`", size, f"{parameters:,}", f"{4 * parameters / 1e6:.1f} MB"))
    return table(*rows)


def preset_choices() -> str:
    """Return the table of what each preset drops, and of its penalties."""
    heading = ("`--preset`", "vocabulary", "epochs", "outputs", "inputs", "recurrent weights")
    rows = [(*heading, "activation penalty", "confidence penalty")]
    for name, is_large, epochs, values in CHOICE.findall((TRAINER / "presets.c").read_text(encoding="utf-8")):
        numbers = [float(value) for value in values.split(", ")]
        rows.append(
            (
                f"`{name}`",
                "large" if is_large == "true" else "small",
                f"at most {int(epochs):,}" if epochs.isdigit() else "more",
                *(f"{share:.0%}" if share else "none" for share in numbers[:3]),
                *(f"{weight:g}" if weight else "none" for weight in numbers[3:]),
            )
        )
    return table(*rows)


def constant(name: str) -> str:
    """Return a number of the trainer in C."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(TRAINER.glob("*.c")))
    found = re.search(rf"\b{name}\b[ =]+([\d.]+)", text)
    if found is None:
        raise AttributeError(f"{TRAINER} has no number {name}")
    return f"{float(found[1]):,.0f}"


def parameters() -> str:
    """Return the table of the sampling parameters."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "runtime"))
    definitions = import_module("definitions")
    return str(definitions.table(definitions.read_definition()))


TEXTS: dict[str, Any] = {
    "api": api,
    "constant": constant,
    "parameters": parameters,
    "preset_choices": preset_choices,
    "preset_sizes": preset_sizes,
}


def fill(text: str) -> str:
    """Return a page with the values of its names.

    Raises:
        AttributeError, ImportError: If a name does not exist.
    """

    def value(found: re.Match[str]) -> str:
        name, argument = found.groups()
        if name in TEXTS:
            return str(TEXTS[name](*([argument] if argument else [])))
        return format(resolve_name(name), argument or "")

    return NAME.sub(value, text)


def handle(app: Sphinx, docname: str, source: list[str]) -> None:
    """Handle ``source-read``."""
    source[0] = fill(source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", handle)
    return {"parallel_read_safe": True}
