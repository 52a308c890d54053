"""Makes one site of docs/ and of the pages at the root of the project.

All of them stay plain Markdown whose links work on a code host. This adapts the links, and appends the table
of contents to the landing page.
"""

import re
import shutil
from typing import Any

from sphinx.application import Sphinx

# The target of a link or an image, in Markdown or HTML.
TARGET = re.compile(r'(\]\(|(?:src|srcset|href)=")(?![a-z]+:|#)([^)"#\s]*)')


def adapt(app: Sphinx, docname: str, source: list[str]) -> None:
    """Handle ``source-read``."""
    root_pages: dict[str, str] = app.config.root_pages
    pages = {f"../{file}": f"{page}.md" for page, file in root_pages.items()}
    folder = ""
    if docname in root_pages:
        folder = "../"
        source[0] = (app.srcdir.parent / root_pages[docname]).read_text(encoding="utf-8")

    def adapted(found: re.Match[str]) -> str:
        target = (folder + found[2]).removeprefix("../docs/")
        return found[1] + pages.get(target, target)

    source[0] = TARGET.sub(adapted, source[0])
    if docname == app.config.root_doc:
        for caption, names in app.config.navigation.items():
            entries = "\n".join(names)
            source[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


def copy_images(app: Sphinx, exception: Exception | None) -> None:
    """Handle ``build-finished``: images in HTML tags are not copied by Sphinx."""
    if exception is None and app.builder.format == "html":
        ignored = shutil.ignore_patterns("*.py", "*.txt", "__pycache__")
        shutil.copytree(app.srcdir / "images", app.outdir / "images", ignore=ignored, dirs_exist_ok=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    # Captions of the sidebar with their pages; and files at the root of the project by their page here.
    app.add_config_value("navigation", {}, "env", dict)
    app.add_config_value("root_pages", {}, "env", dict)
    app.connect("source-read", adapt)
    app.connect("build-finished", copy_images)
    return {"parallel_read_safe": True}
