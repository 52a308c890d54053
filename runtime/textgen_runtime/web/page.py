"""The page of ``textgen-web``: ``page.html`` with a model and its settings."""

import base64
import hashlib
import re
import zlib
from html import escape
from importlib.resources import files

# The places in page.html for the model and its settings.
_PLACE = re.compile(r"\{\{(policy|title|prompt|data)\}\}")
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_SCRIPT = re.compile(r'<script(?: type="module")?>(.*?)</script>', re.DOTALL)

# Nothing is loaded from anywhere, and no other script can run. WebAssembly needs its own permission.
_POLICY = "default-src 'none'; script-src {scripts} 'wasm-unsafe-eval'; style-src {style}; img-src data:; \
base-uri 'none'; form-action 'none'"

# A browser must hold the text of the page, of which base64 is a third more than the model.
MAX_EMBEDDED = 2**28


def write_page(model: bytes, *, title: str, prompt: str, abcjs: str = "", known: str = "") -> bytes:
    """Return the page, an HTML file that contains everything.

    Args:
        model: The content of a model file.
        title: The title and heading, plain text.
        prompt: The text that stands in the field for the beginning, plain text.
        abcjs: The script of abcjs with its license, with which the page shows and plays tunes, or "".
        known: The element of the records that the page does not write, or "".
    """
    packed = base64.b64encode(zlib.compress(model, 9)).decode()
    data = f'<script type="text/plain" id="model">{packed}</script>{known}'
    if abcjs:
        # A whole script is one text, so an end tag in it must not end the element.
        data += "\n<script>{}</script>".format(abcjs.replace("</script", "<\\/script"))
    template = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    # abcjs adds styles of its own to a score.
    style = "'unsafe-inline'" if abcjs else _hashes(_STYLE, template)
    policy = _POLICY.format(scripts=_hashes(_SCRIPT, template, data), style=style)
    values = {"title": escape(title), "prompt": escape(prompt), "policy": policy, "data": data}
    return _PLACE.sub(lambda place: values[place[1]], template).encode(errors="replace")


def _hashes(elements: re.Pattern[str], *pages: str) -> str:
    """Return the expressions of a policy that permit exactly the scripts or the style of these elements."""
    contents = (content for page in pages for content in elements.findall(page))
    digests = (hashlib.sha256(content.encode()).digest() for content in contents)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
