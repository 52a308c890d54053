"""Turns names in backticks, such as ``textgen.load()``, into links to the API reference.

A name that its package does not list is an unknown reference, which Sphinx reports.
"""

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

NAME = re.compile(r"(?P<package>\w+)\.(?P<path>[A-Za-z_]\w*(?:\.\w+)*)(?:\(.*\))?")
# Not names of the package: files, and the keys of a model file's metadata.
OTHER = {
    *("h", "c", "py", "wasm"),
    *("format", "special", "vocabulary", "level", "records", "normalization", "prompts", "training"),
    "quantization",
}


def link_names(app: Sphinx, doctree: nodes.document) -> None:
    """Put a reference in the place of each literal that is a name of a package in ``api_packages``."""
    packages = app.config.api_packages
    for literal in list(doctree.findall(nodes.literal)):
        found = NAME.fullmatch(literal.astext())
        if not found or found["package"] not in packages or found["path"].partition(".")[0] in OTHER:
            continue
        literal.replace_self(
            _reference(app, literal, f"{packages[found['package']].__name__}.{found['path']}")
        )


def _reference(app: Sphinx, literal: nodes.literal, target: str) -> nodes.Node:
    reference = addnodes.pending_xref(
        "",
        literal.deepcopy(),
        refdomain="py",
        reftype="obj",
        reftarget=target,
        refdoc=app.env.docname,
        refexplicit=True,
        refwarn=True,
    )
    reference.source, reference.line = literal.source, literal.line
    return reference


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_config_value("api_packages", {}, "", dict)
    app.connect("doctree-read", link_names)
    return {"parallel_read_safe": True}
