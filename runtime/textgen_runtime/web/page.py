"""The page that learns and writes, with a model and its settings: ``textgen.html`` with other contents."""

import base64
import hashlib
import re
import zlib
from html import escape
from importlib.resources import files

_STYLE_POLICY = re.compile(r"style-src 'sha256-[^']+'")

# A browser must hold the text of the page, of which base64 is a third more than the model.
MAX_EMBEDDED = 2**28


def write_page(
    model: bytes = b"", *, title: str = "textgen", prompt: str = "", abcjs: str = "", known: str = ""
) -> bytes:
    """Return the page, an HTML file that contains everything.

    Args:
        model: The content of a model file, or nothing for a page that first learns a text.
        title: The title and heading, plain text.
        prompt: The text that stands in the field for the beginning, plain text.
        abcjs: The script of abcjs with its license, with which the page shows and plays tunes, or "".
        known: The element of the records that the page does not write, or "".
    """
    page = files(__package__).joinpath("textgen.html").read_text(encoding="utf-8")
    packed = base64.b64encode(zlib.compress(model, 9)).decode() if model else ""
    data = f'<script type="text/plain" id="model">{packed}</script>{known}'
    if abcjs:
        # A whole script is one text, so an end tag in it must not end the element.
        script = abcjs.replace("</script", "<\\/script")
        data += f"\n<script>{script}</script>"
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        # abcjs adds styles of its own to a score.
        page = _STYLE_POLICY.sub("style-src 'unsafe-inline'", page, count=1)
        page = page.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    for element, content in (
        ('<script type="text/plain" id="model"></script>', data),
        ("<title>textgen</title>", f"<title>{escape(title)}</title>"),
        ("<h1>textgen</h1>", f"<h1>{escape(title)}</h1>"),
        ("\n</textarea>", f"\n{escape(prompt)}</textarea>"),
    ):
        before, after = page.split(element)
        page = before + content + after
    return page.encode(errors="replace")
