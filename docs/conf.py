"""The documentation site: ``make docs`` writes it to build/docs.

Sphinx with MyST and furo: Sphinx is actively developed, documents compiled modules by importing them, and
reports each broken link, anchor and reference as an error without a network. mkdocs-material receives only
fixes, and its successor Zensical is still at version 0. The pages load nothing from other hosts.
"""

import sys
from pathlib import Path
from typing import Any

import textgen_runtime
import textgen_train
from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "textgen-onnx"
author = "the textgen-onnx authors"
version = release = textgen_runtime.__version__
html_title = f"textgen-onnx {version}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "api_names",
    "generated",
    "model_pages",
    "notebook_pages",
    "site_pages",
    "stub_signatures",
]

# Files at the root of the project, by the name of their page.
root_pages = {
    "readme": "README.md",
    "contributing": "CONTRIBUTING.md",
    "changelog": "CHANGELOG.md",
    "security": "SECURITY.md",
}
navigation = {
    "Begin": ["readme", "web-page", "tutorial", "lesson", "gallery", "troubleshooting"],
    "Use": [
        *("training", "generating", "constraints", "quality-and-speed", "python", "c", "javascript"),
        "serving",
    ],
    "Background": ["model-file", "how-it-works", "textbook"],
    "Develop": ["architecture", "contributing", "changelog", "security"],
}

exclude_patterns = ["_extensions"]
html_theme = "furo"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
# Python API lists the names. The tables of an index are wider than a phone.
html_use_index = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

# Anchors are those of code hosts, and MyST checks each link to one.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 80
napoleon_numpy_docstring = False
# The annotations have the types: a colon in a docstring is punctuation.
napoleon_use_rtype = False
napoleon_use_ivar = True
# Names of the facades, in backticks anywhere in these pages, are links; an unknown one is an error.
api_packages = {"textgen": textgen_runtime, "train": textgen_train}

# Unknown references are errors, but for types in signatures that have no entry here: those of other projects,
# and internal ones, whose second part is a module.
nitpicky = True
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(abc|array|collections|concurrent|np|numpy|os|pathlib|random|typing_extensions)\..+",
    ),
    ("py:class", r"textgen_(runtime|train)\.[a-z_]+\..+"),
    ("py:class", r"array|\w*(ArrayLike|Buffer)|Figure|FilterOptions|NDArray|State|Stream|Values"),
]


def keep_colon(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep napoleon from reading the start of a property's docstring, up to a colon, as its type."""
    if what in {"attribute", "property"}:
        # An empty comment, which has no colon.
        lines[:0] = ["..", ""]


def skip_fields(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the fields of named tuples: their class describes them, and they say only their number."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def setup(app: Sphinx) -> None:
    """Connect the above; ``keep_colon`` before napoleon."""
    app.connect("autodoc-process-docstring", keep_colon, priority=400)
    app.connect("autodoc-skip-member", skip_fields)
