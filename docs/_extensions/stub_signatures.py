"""Gives the objects of compiled modules the signatures of their ``.pyi`` files.

A compiled module keeps neither annotations nor the signature of a class.
"""

import ast
import inspect
import sys
from functools import cache
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx


@cache
def stub_signatures(module: str) -> dict[str, tuple[str, str | None]]:
    """Signatures and return annotations by qualified name; empty for a module without a stub."""
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    stub = Path(file).with_name(f"{module.rpartition('.')[2]}.pyi")
    if not stub.is_file():
        return {}
    found: dict[str, tuple[str, str | None]] = {}
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = signature(node, bound=False)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    found[node.name] = (signature(method, bound=True)[0], None)
                elif isinstance(method, ast.FunctionDef):
                    found[f"{node.name}.{method.name}"] = signature(method, bound=True)
    return found


def signature(node: ast.FunctionDef, *, bound: bool) -> tuple[str, str | None]:
    """The signature and the return annotation of a function; ``bound`` leaves the first argument out."""
    if bound:
        node.args.args = node.args.args[1:]
    return f"({ast.unparse(node.args)})", ast.unparse(node.returns) if node.returns else None


def use_stub(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, shown: str | None, returns: str | None
) -> tuple[str | None, str | None] | None:
    """Handle ``autodoc-process-signature``."""
    if what not in {"class", "function", "method"}:
        return None
    module = getattr(obj, "__module__", None) or getattr(inspect.getmodule(obj), "__name__", "")
    return stub_signatures(module).get(getattr(obj, "__qualname__", ""))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("autodoc-process-signature", use_stub)
    return {"parallel_read_safe": True}
