"""The directive ``command-help``: the output of a command's ``--help``, from the installed command."""

import os
import shutil
import subprocess
import sysconfig
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

# Lines of this width fit the page.
COLUMNS = 92


class CommandHelp(SphinxDirective):
    """Takes the command's name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the output as a literal block."""
        program = shutil.which(self.arguments[0], path=sysconfig.get_path("scripts"))
        if program is None:
            raise self.error(f"there is no command {self.arguments[0]!r} in this environment")
        text = subprocess.run(  # noqa: S603 (the project's own commands)
            [program, "--help"],
            env=os.environ | {"COLUMNS": str(COLUMNS)},
            check=True,
            capture_output=True,
            encoding="utf-8",
        ).stdout
        block = nodes.literal_block(text, text)
        block["language"] = "text"
        return [block]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
