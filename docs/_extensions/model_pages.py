"""Puts the pages of ``textgen-web`` into the site: those whose commands docs/gallery.md shows.

On a code host, the page shows the commands alone. On the site, a link follows each command.
"""

import re
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

PAGE = "gallery"
# The folder in which the commands run: it has the script that one of them names.
ABCJS_FOLDER = Path(__file__).parents[2] / "tests/web/node_modules/abcjs/dist"
# A block of code that is the command of a page.
COMMAND = re.compile(r"^```sh\n(textgen-web (\S+).*)\n```\n", re.MULTILINE)


def add_links(app: Sphinx, docname: str, source: list[str]) -> None:
    """Handle ``source-read``: put a link to the page of each command after it."""
    if docname == PAGE:
        source[0] = COMMAND.sub(
            rf'\g<0>\n<a href="{PAGE}/\2/index.html">Run this model in your browser.</a>\n', source[0]
        )


def write_pages(app: Sphinx, exception: Exception | None) -> None:
    """Handle ``build-finished``: run the commands.

    Raises:
        ExtensionError: If a command fails.
    """
    if exception is not None or app.builder.format != "html":
        return
    if not ABCJS_FOLDER.is_dir():
        raise ExtensionError(f"{ABCJS_FOLDER} is missing: run make docs, or npm install --prefix tests/web")
    text = Path(app.env.doc2path(PAGE)).read_text(encoding="utf-8")
    for command, name in COMMAND.findall(text):
        program, *arguments = shlex.split(command)
        path = shutil.which(program, path=sysconfig.get_path("scripts"))
        if path is None:
            raise ExtensionError(f"there is no command {program!r} in this environment")
        folder = Path(app.outdir) / PAGE / name
        done = subprocess.run(  # noqa: S603 (the project's own command)
            [path, *arguments, "--output", str(folder.resolve())],
            cwd=ABCJS_FOLDER,
            check=False,
            capture_output=True,
            encoding="utf-8",
        )
        if done.returncode:
            raise ExtensionError(f"{command}: {done.stderr.strip()}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", add_links)
    app.connect("build-finished", write_pages)
    return {"parallel_read_safe": True}
