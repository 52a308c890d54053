"""Put ES modules into one script, so that a page needs no other file.

Each module becomes a function that returns its exports. Imports are
``import { a, b as c } from "./file.js";`` and ``import a from "./file.js";``. Exports are ``export`` before a
declaration, ``export default`` before an expression, ``export { a };`` and
``export { a } from "./file.js";``. Each begins a line. Modules must not import each other in a circle.
"""

import re
from collections.abc import Mapping
from posixpath import dirname, join, normpath

_NAMES = r"\{([^}]*)\}"
_IMPORT = re.compile(rf'^import {_NAMES} from "([^"]+)";$', re.MULTILINE)
_IMPORT_DEFAULT = re.compile(r'^import (\w+) from "([^"]+)";$', re.MULTILINE)
_EXPORT_FROM = re.compile(rf'^export {_NAMES} from "([^"]+)";$', re.MULTILINE)
_EXPORT_LIST = re.compile(rf"^export {_NAMES};$", re.MULTILINE)
_DECLARATION = re.compile(r"^export ((?:async )?(?:function\*?|class|const|let) (\w+))", re.MULTILINE)
_DEFAULT = re.compile(r"^export default (?!async\b|function\b|class\b)", re.MULTILINE)
# What the expressions above do not cover.
_OTHER = re.compile(r"^(?:import\b(?!\.)|export\b).*$", re.MULTILINE)


class BundleError(Exception):
    """A module has an import or an export of another form, or imports a file that does not exist."""


def bundle(modules: Mapping[str, str], entry: str) -> str:
    """Return one script that does what the modules do.

    Args:
        modules: The source of each module, by its path, such as ``"page/main.js"``.
        entry: The path of the module that starts the program.

    Raises:
        BundleError: If a module is missing, or is not written as described above.
    """
    order: list[str] = []
    _visit(entry, modules, order, ())
    names = {path: f"$module{number}" for number, path in enumerate(order)}
    return "\n".join(_as_function(path, modules[path], names) for path in order)


def _visit(path: str, modules: Mapping[str, str], order: list[str], parents: tuple[str, ...]) -> None:
    """Append a module to the order, after all that it imports."""
    if path in parents:
        raise BundleError(f"{path} imports itself, through {' and '.join(parents[1:])}")
    if path in order:
        return
    if path not in modules:
        raise BundleError(f"{parents[-1] if parents else 'the bundle'} imports {path}, which does not exist")
    for expression in (_IMPORT, _IMPORT_DEFAULT, _EXPORT_FROM):
        for _, target in expression.findall(modules[path]):
            _visit(_resolve(path, target), modules, order, (*parents, path))
    order.append(path)


def _resolve(path: str, target: str) -> str:
    return normpath(join(dirname(path), target))


def _as_function(path: str, source: str, names: Mapping[str, str]) -> str:
    exports: list[str] = []

    def module(target: str) -> str:
        return names[_resolve(path, target)]

    def export(*pairs: tuple[str, str]) -> str:
        exports.extend(f"{outer}: {inner}" for inner, outer in pairs)
        return ""

    body = source
    for expression, replacement in (
        (_IMPORT, lambda found: f"const {{ {_renamed(found[1])} }} = {module(found[2])};"),
        (_IMPORT_DEFAULT, lambda found: f"const {found[1]} = {module(found[2])}.default;"),
        (_EXPORT_FROM, lambda found: export(*((f"{module(found[2])}.{a}", b) for a, b in _pairs(found[1])))),
        (_EXPORT_LIST, lambda found: export(*_pairs(found[1]))),
        (_DECLARATION, lambda found: export((found[2], found[2])) + found[1]),
        (_DEFAULT, lambda _: export(("$default", "default")) + "const $default = "),
    ):
        body = expression.sub(replacement, body)
    if other := _OTHER.search(body):
        raise BundleError(f"{path} has a statement of a form that cannot be bundled: {other[0]}")
    result = f"return {{ {', '.join(exports)} }};\n" if exports else ""
    return f"// {path}\nconst {names[path]} = (() => {{\n{body}{result}}})();\n"


def _pairs(names: str) -> list[tuple[str, str]]:
    """Return the names of a list such as ``a, b as c``, before and after the renaming."""
    return [(name.split()[0], name.split()[-1]) for name in names.split(",") if name.strip()]


def _renamed(names: str) -> str:
    return ", ".join(f"{inner}: {outer}" for inner, outer in _pairs(names))
