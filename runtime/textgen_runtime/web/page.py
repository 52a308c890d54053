"""The files of the page, from its sources, the sources of the npm package, and a model."""

import base64
import hashlib
import zlib
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import chain
from pathlib import Path
from string import Template

from .bundle import bundle

PAGE_FILE = "index.html"
MODEL_FILE = "model.onnx"
SCRIPT_FILE = "page.js"
STYLE_FILE = "style.css"
ABCJS_FILE = "abcjs.js"

# The line of the page that names the command, and the element by which it loads its other files.
_GENERATOR = b'<meta name="generator" content="textgen-web">'
_SCRIPT_ELEMENT = f'<script type="module" src="{SCRIPT_FILE}"></script>'
_ABCJS_ELEMENT = f'<script src="{ABCJS_FILE}"></script>'

# A script in the page of several files. From the disk, browsers load no module, so only this script runs.
_DISK_FILE = "from-disk.js"

# The folder with the modules of the npm package.
LIBRARY_FOLDER = "lib"

# Nothing is loaded from anywhere, and no other script can run. WebAssembly needs its own permission.
POLICY = "default-src 'none'; script-src {script} 'wasm-unsafe-eval'; style-src {style}; img-src data:; \
base-uri 'none'; form-action 'none'"

# A browser must hold the text of the page, of which base64 is a third more than the model.
MAX_EMBEDDED = 2**28

# abcjs adds styles of its own to a score.
ANY_STYLE = "'unsafe-inline'"


def one_file(model: bytes, *, title: str, prompt: str, abcjs: str = "") -> dict[str, bytes]:
    """Return the page as one HTML file that contains everything.

    Args:
        model: The content of a model file.
        title: The title and heading, plain text.
        prompt: The text that stands in the field for the beginning, plain text.
        abcjs: The script of abcjs with its license, with which the page shows and plays tunes, or "".

    Returns:
        The content of each file, by its name.
    """
    style = _source(STYLE_FILE)
    # A whole script is one text, so an end tag in it must not end the element.
    script, abcjs = (text.replace("</script", "<\\/script") for text in (_script(), abcjs))
    packed = base64.b64encode(zlib.compress(model, 9)).decode()
    return {
        PAGE_FILE: _fill(
            title,
            prompt,
            policy=POLICY.format(
                script=f"{_hash(script)} {_hash(abcjs)}" if abcjs else _hash(script),
                style=ANY_STYLE if abcjs else _hash(style),
            ),
            style=f"<style>{style}</style>",
            scripts=f'<script type="text/plain" id="model">{packed}</script>\n'
            + (f"<script>{abcjs}</script>\n" if abcjs else "")
            + f'<script type="module">{script}</script>',
        )
    }


def separate_files(model: bytes, *, title: str, prompt: str, abcjs: str = "") -> dict[str, bytes]:
    """Return the page as files for a web server. Arguments and result are those of ``one_file``."""
    from_disk = _source(_DISK_FILE)
    page = _fill(
        title,
        prompt,
        policy=POLICY.format(
            script=f"'self' {_hash(from_disk)}", style=f"'self' {ANY_STYLE}" if abcjs else "'self'"
        )
        + "; connect-src 'self'",
        style=f'<link rel="stylesheet" href="{STYLE_FILE}">\n<link rel="preload" href="{MODEL_FILE}" '
        'as="fetch" crossorigin>',
        scripts=f"<script>{from_disk}</script>\n"
        + (f"{_ABCJS_ELEMENT}\n" if abcjs else "")
        + _SCRIPT_ELEMENT,
    )
    # The page is the last one, so that it never stands beside older files.
    return {
        MODEL_FILE: model,
        SCRIPT_FILE: _script().encode(),
        STYLE_FILE: _source(STYLE_FILE).encode(),
        **({ABCJS_FILE: abcjs.encode()} if abcjs else {}),
        PAGE_FILE: page,
    }


def page_files(folder: Path) -> frozenset[str]:
    """Return the names of the files of the page in a folder; none if its ``index.html`` is another page."""
    page = folder / PAGE_FILE
    content = page.read_bytes() if page.is_file() else b""
    if _GENERATOR not in content:
        return frozenset()
    if _SCRIPT_ELEMENT.encode() not in content:
        return frozenset({PAGE_FILE})
    names = frozenset({PAGE_FILE, MODEL_FILE, SCRIPT_FILE, STYLE_FILE})
    return names | {ABCJS_FILE} if _ABCJS_ELEMENT.encode() in content else names


def _fill(title: str, prompt: str, **parts: str) -> bytes:
    template = Template(_source(PAGE_FILE))
    return template.substitute(title=escape(title), prompt=escape(prompt), **parts).encode(errors="replace")


def _script() -> str:
    """Return the script of the page, with all its modules and the package."""
    return bundle(page_modules(), "page/main.js")


def page_modules() -> dict[str, str]:
    """Return the modules of the page and of the npm package, by their paths."""
    return dict(chain(_modules(_page_folder(), "page"), _modules(package_folder(), "package")))


def _modules(folder: Traversable, name: str) -> Iterator[tuple[str, str]]:
    for file in folder.iterdir():
        if file.name.endswith(".js"):
            yield f"{name}/{file.name}", file.read_text(encoding="utf-8")
        elif file.name == LIBRARY_FOLDER:
            yield from _modules(file, f"{name}/{file.name}")


def package_folder() -> Traversable:
    """Return the folder of the npm package: a part of this package if it is installed, or in a clone."""
    installed = files(__package__).joinpath("package")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "web"


def _page_folder() -> Traversable:
    return files(__package__).joinpath("page")


def _source(name: str) -> str:
    return _page_folder().joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the expression of a policy that permits exactly this script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
