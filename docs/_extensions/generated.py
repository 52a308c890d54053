"""Replaces comments by what the installed packages have: their public names, and the help of their commands.

``<!--api:textgen_runtime-->`` is a reference of a package, and ``<!--help:textgen-run-->`` what a command
prints with ``--help``. A code host shows neither, so a sentence before each says where else to find it.
"""

import os
import re
import shutil
import subprocess
import sysconfig
from pkgutil import resolve_name
from typing import Any

import textgen_runtime
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

COMMENT = re.compile(r"^<!--(api|help):([\w-]+)-->$", re.MULTILINE)
# Of a help: lines of this width fit the page.
COLUMNS = 92
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


def command_help(command: str) -> str:
    """Return a block of code with the help of a command.

    Raises:
        ExtensionError: If this environment does not have the command.
    """
    program = shutil.which(command, path=sysconfig.get_path("scripts"))
    if program is None:
        raise ExtensionError(f"there is no command {command!r} in this environment")
    text = subprocess.run(  # noqa: S603 (the project's own commands)
        [program, "--help"],
        env=os.environ | {"COLUMNS": str(COLUMNS)},
        check=True,
        capture_output=True,
        encoding="utf-8",
    ).stdout
    return f"```text\n{text}```"


def handle(app: Sphinx, docname: str, source: list[str]) -> None:
    """Handle ``source-read``."""
    texts = {"api": api, "help": command_help}
    source[0] = COMMENT.sub(lambda found: texts[found[1]](found[2]), source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", handle)
    return {"parallel_read_safe": True}
