"""The files of the page: ``page.html`` with a model and its settings."""

import base64
import hashlib
import re
import zlib
from html import escape
from importlib.resources import files
from pathlib import Path

PAGE_FILE = "index.html"
MODEL_FILE = "model.onnx"
SCRIPT_FILE = "page.js"
STYLE_FILE = "style.css"
ABCJS_FILE = "abcjs.js"

# The line of the page that names the command, and the element by which it loads its other files.
_GENERATOR = b'<meta name="generator" content="textgen-web">'
_SCRIPT_ELEMENT = f'<script type="module" src="{SCRIPT_FILE}"></script>'
_ABCJS_ELEMENT = f'<script src="{ABCJS_FILE}"></script>'

# The places in page.html for the model and its settings.
_PLACE = re.compile(r"\{\{(policy|title|prompt|data)\}\}")
# Its style, its script, and the scripts that are no modules.
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_MODULE = re.compile(r'<script type="module">(.*?)</script>', re.DOTALL)
_INLINE = re.compile(r'<script(?: type="module")?>(.*?)</script>', re.DOTALL)

# Nothing is loaded from anywhere, and no other script can run. WebAssembly needs its own permission.
POLICY = "default-src 'none'; script-src {scripts} 'wasm-unsafe-eval'; style-src {style}; img-src data:; \
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
    packed = base64.b64encode(zlib.compress(model, 9)).decode()
    data = f'<script type="text/plain" id="model">{packed}</script>'
    if abcjs:
        # A whole script is one text, so an end tag in it must not end the element.
        data += "\n<script>{}</script>".format(abcjs.replace("</script", "<\\/script"))
    template = _template()
    style = ANY_STYLE if abcjs else _hashes(_STYLE, template)
    policy = POLICY.format(scripts=_hashes(_INLINE, template, data), style=style)
    return {PAGE_FILE: _fill(template, title=title, prompt=prompt, policy=policy, data=data)}


def separate_files(model: bytes, *, title: str, prompt: str, abcjs: str = "") -> dict[str, bytes]:
    """Return the page as files for a web server. Arguments and result are those of ``one_file``."""
    template = _template()
    style, script = (part.findall(template)[0].encode() for part in (_STYLE, _MODULE))
    links = (
        f'<link rel="stylesheet" href="{STYLE_FILE}">\n'
        f'<link rel="preload" href="{MODEL_FILE}" as="fetch" crossorigin>'
    )
    page = _MODULE.sub(_SCRIPT_ELEMENT, _STYLE.sub(links, template))
    policy = POLICY.format(
        scripts=f"'self' {_hashes(_INLINE, page)}", style=f"'self' {ANY_STYLE}" if abcjs else "'self'"
    )
    data = _ABCJS_ELEMENT if abcjs else ""
    # The page is the last one, so that it never stands beside older files.
    return {
        MODEL_FILE: model,
        SCRIPT_FILE: script,
        STYLE_FILE: style,
        **({ABCJS_FILE: abcjs.encode()} if abcjs else {}),
        PAGE_FILE: _fill(page, title=title, prompt=prompt, policy=f"{policy}; connect-src 'self'", data=data),
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


def _template() -> str:
    return files(__package__).joinpath("page.html").read_text(encoding="utf-8")


def _fill(template: str, *, title: str, prompt: str, **parts: str) -> bytes:
    values = {"title": escape(title), "prompt": escape(prompt), **parts}
    return _PLACE.sub(lambda place: values[place[1]], template).encode(errors="replace")


def _hashes(elements: re.Pattern[str], *pages: str) -> str:
    """Return the expressions of a policy that permit exactly the scripts or the style of these elements."""
    contents = (content for page in pages for content in elements.findall(page))
    digests = (hashlib.sha256(content.encode()).digest() for content in contents)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
